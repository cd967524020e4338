"""Make tables and report anew from records, without any fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from regimebench.config import Plan, make_plan, read_config
from regimebench.driver import REBUILDS
from regimebench.schema import InvalidFile
from regimebench.sources import ROOT
from regimebench.unpack import CONFIG, missing_fits, unpack, write_batches

# What is made from records; what comes from data alone, as the choice of k, is made only where it is missing.
ANEW = ("evaluate", "aggregate", "aggregate_planted", "across", "cost", "paper_tables", "audit", "figures", "report")


def rebuild(what: Path, folder: Path | None, config: Path | None, cores: int) -> int:
    """Make scores, tables and report of a bundle or a results folder anew.

    Data sets whose cube is there are evaluated again; of others the scores that came along are used. The workflow does
    it, without the rules that fetch, prepare or fit.

    Parameters
    ----------
    what : Path
        A bundle, or a results folder.
    folder : Path, optional
        For a bundle: the results folder to make; by default named as the bundle, in ``results``.
    config : Path, optional
        For a results folder: its configuration; by default the one that a bundle left in it.
    cores : int
        Cores to use.

    Returns
    -------
    int
        Exit code of the workflow.
    """
    if what.is_dir():
        results, config = what, config or what / CONFIG
        plan = make_plan({**read_config(config), "results": results.as_posix()}, str(config))
    else:
        results = folder or Path("results") / what.stem
        plan, config = unpack(what, results), results / CONFIG
    write_batches(plan, results, unfinished=True)
    _refuse_without_scores(plan, results)
    for dataset, count in missing_fits(plan, results).items():
        print(f"Note: {count} planned fits of {dataset} have no record; the tables show the others.")
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "rules", "--forcerun", *ANEW]
    command += ["--configfile", str(config.absolute()), "--config", f"results={results.as_posix()}"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, REBUILDS: "1"}).returncode


def _refuse_without_scores(plan: Plan, results: Path) -> None:
    """Say what is missing before anything is started."""
    names = [name for name in plan.datasets if not (results / name / "cube.nc").is_file()]
    lacking = [name for name in names if not (results / name / "scores.csv").is_file()]
    if lacking:
        raise InvalidFile(
            str(results),
            [
                f"{', '.join(lacking)}: there is neither a cube to score labels with nor scores; merge bundles with "
                f"cubes, or run `snakemake --cores all --configfile {results / CONFIG}`, which prepares the data and "
                "keeps the fits"
            ],
        )
