"""Feed every parser of files that others wrote with broken and hostile input.

    python -m benchmarks.fuzz [--inputs 10000] [--seed 0] [--only record ...] [--crashes FOLDER] [--page docs/fuzz.md]

An input is a valid one with mutations: of its bytes, of the text, or of the structure (keys removed, repeated,
replaced by values that have broken parsers before), in bundles with checksums made right again. Each parser may accept
it or raise the error that it documents. Anything else, more than five seconds of CPU time, or a file outside its folder
is a crash, counted by its place.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from benchmarks.fabricated import fabricate
from benchmarks.fuzz_inputs import VALUES, Mutator, mutated_json, mutated_yaml
from regimebench import jobs, records, registry
from regimebench.archive import InvalidBundle
from regimebench.bundle import pack
from regimebench.config import make_plan, read_config
from regimebench.cube import read_cube
from regimebench.dataset import DataError
from regimebench.records import InvalidRecord
from regimebench.registry import UnknownPlugin
from regimebench.schema import InvalidFile
from regimebench.unpack import unpack

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MEMORY = 5, 8 * 2**30
CONFIG = {
    "budget": "smoke",
    "n_clusters": 3,
    "seeds": 2,
    "datasets": {"tiny": {"plugin": "synthetic", "params": {"n_days": 8}}},
    "methods": ["random", {"kmeans": {"n_init": 2}}],
}


class Hang(BaseException):
    """One input took too long."""


class Parser(ABC):
    """One kind of file: valid inputs, how they are mutated, how they are read, and the errors that are documented."""

    name = ""
    errors: tuple[type[Exception], ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Return valid inputs."""

    @abstractmethod
    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return a broken input."""

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Read an input as the suite does, as far as its contents reach."""


class Record(Parser):
    """``record.json``."""

    name, errors = "record", (InvalidRecord,)

    def seeds(self) -> list[bytes]:
        """Return a record of each kind."""
        made = _results(self.folder.parent / "record-results")
        self.path = self.folder / "record.json"
        found = [path.read_bytes() for path in made.glob("tiny/*/*/*/record.json")][:2]
        record = json.loads(found[0])
        failed = {"status": "timeout", "message": "m", "labels": None, "clusters_found": None, "cluster_sizes": None}
        return [
            *found,
            json.dumps({**record, **failed, "hashes": {**record["hashes"], "fit": None}}, indent=1).encode(),
        ]

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return a broken record."""
        return mutated_json(mutator, data)

    def read(self, data: bytes) -> None:
        """Load it; a record that is accepted can be written and summarised."""
        self.path.write_bytes(data)
        self.path.with_name("fit.npz").touch()
        record = records.load(self.path)
        records.write_json(self.folder / "again.json", record)
        records.status_summary([record])


class Fit(Parser):
    """``fit.npz``."""

    name, errors = "fit", (InvalidRecord,)

    def seeds(self) -> list[bytes]:
        """Return one as the worker writes it, and one that is not: packed, with an object array."""
        made = _results(self.folder.parent / "fit-results")
        stream = io.BytesIO()
        np.savez_compressed(stream, labels=np.array([{"a": 1}, None], dtype=object))
        return [next(made.glob("tiny/*/*/*/fit.npz")).read_bytes(), stream.getvalue()]

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return broken bytes, or arrays that claim something else."""
        if mutator.random.random() < 0.5:
            return mutator.data(data)
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            for info in old.infolist():
                content = old.read(info)
                if info.filename == "labels.npy" or mutator.random.random() < 0.3:
                    shape = mutator.random.choice(
                        ("(8,)", "(10**12,)", "(-1,)", "(8, 8)", "()", "(99999999999999999999,)")
                    )
                    kind = mutator.random.choice(("<i8", "|O", "<f8", "|S8", "<U9", "|V8", "<M8[D]", "x", "<i8, <i8"))
                    content = content.replace(b"(8,)", shape.encode()).replace(b"<i8", kind.encode())
                    content = content if mutator.random.random() < 0.5 else mutator.data(content)
                new.writestr(info.filename, content)
        return out.getvalue()

    def read(self, data: bytes) -> None:
        """Read labels and curves."""
        (self.folder / "fit.npz").write_bytes(data)
        records.load_labels(self.folder)
        records.load_arrays(self.folder, lambda name: True)


class Bundle(Parser):
    """A bundle."""

    name, errors = "bundle", (InvalidBundle, InvalidFile)

    def seeds(self) -> list[bytes]:
        """Return a bundle with and without cubes."""
        made = _results(self.folder.parent / "bundle-results")
        out = self.folder / "valid.zip"
        found = []
        for cubes in (True, False):
            pack(made / "config.yaml", out, cubes)
            found.append(out.read_bytes())
        return found

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return broken bytes, or members and a manifest that agree with each other and are wrong."""
        choice = mutator.random.random()
        if choice < 0.3:
            return mutator.data(data)
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            members = {info.filename: old.read(info) for info in old.infolist()}
        manifest = json.loads(members.pop("manifest.json"))
        name = mutator.random.choice(sorted(members))
        if choice < 0.5 and name.endswith("record.json"):
            members[name] = mutated_json(mutator, members[name])
        elif choice < 0.6:
            members[name] = mutator.data(members[name])
        elif choice < 0.75:
            strange = mutator.random.choice([v for v in VALUES if isinstance(v, str)])
            parts = name.split("/")
            parts[mutator.random.randrange(len(parts))] = strange.replace("\x00", "?")
            members["/".join(parts) or "x"] = members.pop(name)
        if choice < 0.9:
            manifest["files"] = {
                key: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for key, content in members.items()
            }
        text = json.dumps(manifest, indent=1).encode()
        if choice > 0.7:
            text = json.dumps(mutator.document(manifest)).encode() if choice < 0.97 else mutated_json(mutator, text)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", mutator.random.choice((0, 8))) as new:
            for key, content in members.items():
                new.writestr(key.encode("utf-8", "replace").decode(), content)
            new.writestr("manifest.json", text)
        return out.getvalue()

    def read(self, data: bytes) -> None:
        """Unpack it; nothing may be written but into its folder."""
        place, path = self.folder / "place", self.folder / "x.zip"
        path.write_bytes(data)
        place.mkdir()
        try:
            unpack(path, place / "there")
        finally:
            found = sorted(each.name for each in place.iterdir())
            shutil.rmtree(place)
            if found not in ([], ["there"]):
                raise AssertionError(f"files were written beside the folder: {found}")


class Configuration(Parser):
    """A configuration file."""

    name, errors = "configuration", (InvalidFile,)

    def seeds(self) -> list[bytes]:
        """Return small ones, and the one of the papers, whose plan takes longer."""
        names = ("config", "ncar", "planted", "demo")
        return [(ROOT / "config" / f"{name}.yaml").read_bytes() for name in names] + 12 * [
            yaml.safe_dump(CONFIG).encode()
        ]

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return a broken configuration."""
        return mutated_yaml(mutator, data)

    def read(self, data: bytes) -> None:
        """Make the plan and what the rule files ask of it."""
        path = self.folder / "config.yaml"
        path.write_bytes(data)
        plan = make_plan(read_config(path), str(path))
        for dataset in plan.datasets:
            jobs.text(jobs.table_settings(plan, dataset))
            jobs.text(plan.datasets[dataset].settings())
            jobs.text(plan.job(dataset, next(iter(plan.methods)), 0))
        for method in plan.method_ids():
            jobs.resources(plan, method)


class Method(Parser):
    """``method.yaml``."""

    name, errors = "method.yaml", (InvalidFile, UnknownPlugin)

    def seeds(self) -> list[bytes]:
        """Return the ones of the suite's own methods."""
        os.environ["REGIMEBENCH_PLUGINS"] = str(self.folder)
        self.path = self.folder / "methods" / "fuzzed" / "method.yaml"
        self.path.parent.mkdir(parents=True)
        return [path.read_bytes() for path in sorted(ROOT.glob("methods/[a-z]*/method.yaml"))]

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return a broken description."""
        return mutated_yaml(mutator, data)

    def read(self, data: bytes) -> None:
        """Describe every variant."""
        self.path.write_bytes(data)
        registry._meta.cache_clear()
        for address in registry.variants("fuzzed"):
            registry.method(address)


class CubeFile(Parser):
    """``cube.nc``: bytes alone, as its reader is a library in C; structure is tested in the tests of cubes."""

    name, errors = "cube", (DataError,)

    def seeds(self) -> list[bytes]:
        """Return one cube."""
        return [next(_results(self.folder.parent / "cube-results").glob("*/cube.nc")).read_bytes()]

    def mutate(self, mutator: Mutator, data: bytes) -> bytes:
        """Return broken bytes."""
        return mutator.data(data)

    def read(self, data: bytes) -> None:
        """Read it."""
        path = self.folder / "cube.nc"
        path.write_bytes(data)
        read_cube(path)


PARSERS = {parser.name: parser for parser in (Record, Fit, Bundle, Configuration, Method)}
EXTRA = {CubeFile.name: CubeFile}  # in a process of its own: a library in C may end it


def _results(folder: Path) -> Path:
    """Return a results folder of two rows."""
    settings = {**CONFIG, "results": str(folder)}
    fabricate(make_plan(settings), (8, 2, 3, 1))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


@contextmanager
def _limit() -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise Hang(f"more than {SECONDS} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzz(
    kind: type[Parser], inputs: int, seed: int, folder: Path, tell: Callable[[], object] = lambda: None
) -> tuple[Counter[str], dict[str, tuple[bytes, str]]]:
    """Return how many inputs were accepted, refused and crashed, and an input with its traceback per place."""
    parser, mutator = kind(folder), Mutator(seed)
    seeds = parser.seeds()
    counts: Counter[str] = Counter()
    crashes: dict[str, tuple[bytes, str]] = {}
    for _ in range(inputs):
        data = parser.mutate(mutator, mutator.random.choice(seeds))
        try:
            with _limit():
                parser.read(data)
            counts["accepted"] += 1
        except parser.errors:
            counts["refused"] += 1
        except (Exception, Hang) as error:
            counts["crashed"] += 1
            frame = traceback.extract_tb(error.__traceback__)
            place = next((f for f in reversed(frame) if "regimebench" in f.filename), frame[-1])
            name = f"{type(error).__name__} in {Path(place.filename).name} line {place.lineno}"
            crashes.setdefault(name, (data, traceback.format_exc()))
        tell()
    return counts, crashes


def _write_page(page: Path, rows: list[str]) -> None:
    """Write the rows of this run over those of the same parsers in the page, and keep the others."""
    old = page.read_text().splitlines() if page.is_file() else []
    table = {line.split("|")[1].strip(): line for line in [*old, *rows] if line.startswith("| ")}
    table.pop("parser", None)
    head = ["| parser | inputs | seed | accepted | refused | crashed | CPU seconds |", "|---|--:|--:|--:|--:|--:|--:|"]
    known = [table[name] for name in (*PARSERS, *EXTRA) if name in table]
    text = "# Fuzzing\n\nWritten by `python -m benchmarks.fuzz --page docs/fuzz.md`; [security.md](security.md).\n\n"
    page.write_text(text + "\n".join([*head, *known]) + "\n")


def main() -> int:
    """Run the command line; the exit code is 1 if anything crashed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--inputs", type=int, default=10_000, help="inputs per parser")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", nargs="*", default=[*PARSERS], choices=[*PARSERS, *EXTRA])
    options.add_argument("--crashes", type=Path, help="folder for inputs that crash")
    options.add_argument("--page", type=Path, help="Markdown file to write")
    given = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rows, bad = [], 0
    for name in given.only:
        bar = tqdm(total=given.inputs, desc=name, disable=None)
        with bar, tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            counts, crashes = fuzz({**PARSERS, **EXTRA}[name], given.inputs, given.seed, Path(folder), bar.update)
            seconds = time.process_time() - begun
        line = [
            name,
            given.inputs,
            given.seed,
            counts["accepted"],
            counts["refused"],
            counts["crashed"],
            f"{seconds:.0f}",
        ]
        rows.append("| " + " | ".join(map(str, line)) + " |")
        print(rows[-1], flush=True)
        bad += counts["crashed"]
        for place, (data, trace) in crashes.items():
            print(f"{name}: {place}\n{trace[-1500:]}", file=sys.stderr)
            if given.crashes:
                given.crashes.mkdir(parents=True, exist_ok=True)
                (given.crashes / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
    if given.page:
        _write_page(given.page, rows)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
