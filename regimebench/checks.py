"""The conformance suite: what every plugin must keep, checked on tiny data in seconds."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console
from rich.text import Text

from regimebench import registry
from regimebench.arrows import forbidden_imports
from regimebench.cube import write_cube
from regimebench.dataset_checks import dataset_checks
from regimebench.method_checks import CLUSTERS, method_checks, tiny_cube
from regimebench.outcomes import Check, Result, outcome, require
from regimebench.records import RECORD, load, seed_folder
from regimebench.registry import MethodSpec
from regimebench.single import run_supervised

DEADLINE_SECONDS = 60


def check_plugin(name: str, deadline: float = DEADLINE_SECONDS, thorough: bool = True) -> list[Result]:
    """Run the suite on a method address or a data set plugin.

    Parameters
    ----------
    name : str
        ``method``, ``method/variant`` or the id of a data set.
    deadline : float
        Seconds that the supervised run of a method may take.
    thorough : bool
        Otherwise leave out a method's supervised run and most of what it has to withstand: enough for a variant of a
        plugin whose default is tested in full.

    Raises
    ------
    UnknownPlugin
        If nothing has this name.
    """
    methods, datasets = registry.folders("methods"), registry.folders("datasets")
    first = name.partition("/")[0]
    if first in methods:
        return _check_method(registry.method(name), deadline, thorough)
    if name in datasets:
        spec = registry.dataset(name)
        return [outcome(*check) for check in (*_static_checks(spec.folder, "datasets"), *dataset_checks(spec))]
    close = get_close_matches(first, [*methods, *datasets], n=1)
    raise registry.UnknownPlugin(
        f"there is no method or data set {name!r}; "
        + (f"did you mean {close[0]!r}? " if close else "")
        + f"Methods: {', '.join(methods)}. Data sets: {', '.join(datasets)}"
    )


def show(name: str, results: list[Result]) -> int:
    """Print the results; return 1 if a check failed, else 0."""
    console = Console(highlight=False)
    for result in results:
        mark = ("pass", "green") if result.ok else ("skip", "yellow") if result.skipped else ("FAIL", "red")
        text = f"  {result.name}" + (f": {result.message}" if result.message else "")
        console.print(Text.assemble(mark, text), soft_wrap=True)
    passed, skipped = (sum(getattr(result, what) for result in results) for what in ("ok", "skipped"))
    ending = f", {skipped} not run" if skipped else ""
    console.print(Text(f"\n{name}: {passed} of {len(results)} checks passed{ending}"))
    return int(passed + skipped < len(results))


def _check_method(spec: MethodSpec, deadline: float, thorough: bool) -> list[Result]:
    """Run what executes no code of the plugin, then a supervised run, and in this process only what survived that."""
    supervised = f"a supervised run keeps the contract, ends within {deadline:g} s and leaves cube and truth alone"
    results = [outcome(*check) for check in _static_checks(spec.folder, "methods")]
    if spec.twin_of:
        results.append(outcome("a twin repeats what there is, in another framework", lambda: _twin(spec)))
    if lacking := spec.lacks():
        return [*results, Result("all checks that run the method", False, f"not run: {lacking}", skipped=True)]
    if not thorough:
        return results + [outcome(*check) for check in method_checks(spec, thorough=False)]
    results.append(outcome(supervised, lambda: _supervised(spec, deadline)))
    if results[-1].ok:
        return results + [outcome(*check) for check in method_checks(spec)]
    why = "not run, because the supervised run failed"
    return results + [Result(label, False, why, skipped=True) for label, _ in method_checks(spec)]


def _static_checks(folder: Path, kind: str) -> Iterator[Check]:
    yield "README describes the plugin", lambda: _readme(folder)
    yield "imports keep the arrows", lambda: _imports(folder, kind)


def _readme(folder: Path) -> None:
    path = folder / "README.md"
    require(
        path.is_file() and len(path.read_text().split()) >= 20, f"{folder.name}/README.md is missing or says nothing"
    )


def _imports(folder: Path, kind: str) -> None:
    found = forbidden_imports(folder, kind)
    require(not found, "; ".join(found))


def _twin(spec: MethodSpec) -> str:
    other = registry.method(spec.twin_of)
    require(other.kind != "twin", f"{other.address} is itself a twin")
    require(other.framework != spec.framework, f"{other.address} is written in {spec.framework}, too")
    return other.address


def _supervised(spec: MethodSpec, deadline: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_cube(tiny_cube(), base / "cube.nc")
        (base / "truth").mkdir()
        (base / "truth" / "check.csv").write_text("date,truth\n")
        params = {**spec.parameters, **spec.smoke}
        code = run_supervised(spec, params, "check", base / "cube.nc", base / "out", 0, CLUSTERS, deadline=deadline)
        if code == 128 + signal.SIGINT:
            raise KeyboardInterrupt
        require(code == 0, f"the run ended with exit code {code}; the reason is printed above")
        record = load(seed_folder(base / "out", 0) / RECORD)
    require(record["status"] in ("ok", "degenerate"), f"status {record['status']}: {record['message']}")
    return f"{record['clusters_found']} clusters, {record['seconds']:.1f} s, {record['peak_rss_mib']:.0f} MiB"
