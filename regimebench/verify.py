"""Stage verify: is a cube the papers' data? Published facts beside ours, a verdict, and no claim beyond them."""

from __future__ import annotations

import json
from pathlib import Path

from regimebench.config import make_plan, read_config
from regimebench.cube import read_cube
from regimebench.dataset import Cube, DataError
from regimebench.evidence.fields import compare_facts, compare_spots
from regimebench.evidence.inertia import compare_inertia
from regimebench.evidence.labels import compare_labels
from regimebench.evidence.published import FOLDER, Published
from regimebench.evidence.shown import as_markdown, print_findings
from regimebench.evidence.verdict import Findings
from regimebench.files import replacing
from regimebench.schema import InvalidFile

__all__ = ["examine", "read_findings", "verify"]


def examine(cube: Cube, name: str, folder: Path = FOLDER) -> Findings:
    """Return all evidence on whether a cube holds the data that a paper used.

    Parameters
    ----------
    cube : Cube
        Prepared by either variant of the preprocess stage.
    name : str
        Key of the data set in ``published/``.
    folder : Path
        Where the published facts stand.

    Returns
    -------
    Findings
        Also where nothing can be compared; it then says why.
    """
    published = Published(name, folder)
    return Findings(
        dataset=str(cube.attrs.get("dataset", name)),
        published=name,
        unknown=published.facts.get("unknown", ""),
        facts=compare_facts(cube, published),
        spots=compare_spots(cube, published),
        inertia=compare_inertia(cube, published),
        labels=compare_labels(cube, published),
    )


def verify(dataset: str, config: Path, published: str | None, findings: Path | None, table: Path | None) -> None:
    """Examine one data set, print the evidence, and write it where asked.

    Parameters
    ----------
    dataset : str
        A data set of the configuration, or the path of a cube.
    config : Path
        The configuration; not read for a path.
    published : str, optional
        Key in ``published/``; by default what the configuration says, for a path the name stored in the cube.
    findings, table : Path, optional
        JSON and Markdown files to write.

    Raises
    ------
    DataError
        If there is no cube, or nobody says which published data set it is to be compared with.
    """
    path, name = _cube_and_name(dataset, config)
    cube = _read(path)
    found = examine(cube, published or name or _stored_name(cube, path))
    print_findings(found)
    if findings is not None:
        with replacing(findings) as temporary:
            temporary.write_text(json.dumps(found.as_json(), indent=1) + "\n")
    if table is not None:
        with replacing(table) as temporary:
            temporary.write_text(as_markdown(found))


def read_findings(path: Path) -> Findings:
    """Return what :func:`verify` wrote."""
    return Findings.from_json(json.loads(path.read_text()))


def _read(path: Path) -> Cube:
    try:
        return read_cube(path)
    except DataError as error:
        if not path.is_file() or path.name == "cube.nc":
            raise
        # Not the suite's own file, so nobody is told to delete it.
        raise DataError(
            f"{path} is not a cube of the preprocess stage, and only cubes can be examined; name the file as a data "
            "set of the plugin `local` in a configuration, run that, and examine the cube it makes"
        ) from error


def _cube_and_name(dataset: str, config: Path) -> tuple[Path, str | None]:
    """Return the cube and the key of the published data set, None where the cube has to say it."""
    if dataset.endswith(".nc"):
        return Path(dataset), None
    plan = make_plan(read_config(config), str(config))
    if dataset not in plan.datasets:
        known = ", ".join(plan.datasets)
        raise InvalidFile(
            str(config), [f"datasets: no data set {dataset!r}; known: {known}; or give the path of a cube.nc"]
        )
    path = plan.results / dataset / "cube.nc"
    if not path.is_file():
        raise DataError(
            f"{path} does not exist, so there is nothing to verify yet; run "
            f"`snakemake {path} --cores all --configfile {config}` first, or give the path of a cube.nc"
        )
    return path, plan.datasets[dataset].published


def _stored_name(cube: Cube, path: Path) -> str:
    name, known = str(cube.attrs.get("dataset", "")), Published("").known
    if name in known:
        return name
    raise DataError(
        f"{path} holds the data set {name!r}, which no paper is said to have used; say which one to compare it with "
        f"(--published, or the key `published` of the configuration): {', '.join(known)}"
    )
