"""Tables of fits that grow: one row per fit in a CSV file, whose first line says when and where."""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from regimebench import provenance
from regimebench.files import replacing
from regimebench.fit import THREAD_VARIABLES

DOCS = Path(__file__).resolve().parents[1] / "docs"


def options(about: str, rows: list[str]) -> argparse.ArgumentParser:
    """Return the command line that the pages have in common: which rows again, how many fits at a time, and where."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=rows, help="fit these again, and nothing else")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="fits at a time (default: one per core)")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    return parser


def read(csv: Path, columns: list[str]) -> pd.DataFrame:
    """Return the rows so far; none if there is no file."""
    return pd.read_csv(csv, comment="#") if csv.is_file() else pd.DataFrame(columns=columns)


def write(csv: Path, rows: pd.DataFrame) -> None:
    """Write rows under a line that says when and where."""
    machine = ", ".join(f"{key} {value}" for key, value in provenance.machine().items())
    with replacing(csv) as temporary:
        temporary.write_text(f"# {datetime.date.today()}, {machine}\n{rows.round(6).to_csv(index=False)}")


def about(csv: Path) -> str:
    """Return the line that says when and where."""
    return csv.read_text().partition("\n")[0].removeprefix("# ")


def fitted(run: Callable[..., Any], jobs: Iterable[tuple], processes: int) -> Iterator[Any]:
    """Call ``run(*job)`` for every job, each on one thread, and yield the rows as they come."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before the new processes load numpy and torch
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        waiting = [pool.submit(run, *job) for job in jobs]
        for future in tqdm(as_completed(waiting), total=len(waiting), desc="fits", disable=not waiting):
            yield future.result()
