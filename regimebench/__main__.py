"""Command line: ``python -m regimebench``."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from regimebench.dataset import Dataset

app = typer.Typer(
    help="RegimeBench: compare clustering methods on reanalysis data, reproducibly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
new = typer.Typer(help="Start a plugin from the template.", no_args_is_help=True)
app.add_typer(new, name="new")

DRIVER_POLL_SECONDS = 0.2
STAGES = "Stages (the workflow calls these)"
Text = Annotated[str, typer.Option()]
File = Annotated[Path, typer.Option()]
ConfigOption = Annotated[Path, typer.Option("--config", help="Configuration file.")]


@app.command()
def doctor(config: ConfigOption = Path("config/config.yaml")) -> None:
    """Say what this machine has and lacks for a run."""
    from regimebench.doctor import examine, show

    raise typer.Exit(show(examine(config)))


@app.command()
def plan(
    config: Annotated[Path, typer.Option("--configfile", "--config", help="Configuration file.")] = Path(
        "config/config.yaml"
    ),
    cores: Annotated[int | None, typer.Option(min=1, help="Cores of the run; all by default.")] = None,
) -> None:
    """Say what a run will take: jobs, hours, disk, and what is unknown."""
    from regimebench.plan import show

    raise typer.Exit(show(config, cores))


@app.command(name="list")
def list_plugins() -> None:
    """List methods with their variants, and data sets."""
    from regimebench.listing import show

    show()


@new.command("method")
def new_method(name: str) -> None:
    """Create methods/NAME from the template."""
    from regimebench.scaffold import create

    typer.echo(create("methods", name))


@new.command("dataset")
def new_dataset(name: str) -> None:
    """Create datasets/NAME from the template."""
    from regimebench.scaffold import create

    typer.echo(create("datasets", name))


@app.command()
def check(name: str) -> None:
    """Run the conformance suite on one plugin (an address such as dec or dec/untrained, or a data set)."""
    for library in ("OMP", "OPENBLAS", "MKL"):  # as in a worker; small fits do not gain from more
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from regimebench.checks import check_plugin, show

    raise typer.Exit(show(name, check_plugin(name)))


@app.command()
def fit(
    method: Annotated[str, typer.Argument(help="Address, e.g. kmeans or dec/untrained.")],
    dataset: Annotated[str, typer.Argument(help="Data set in the configuration, or the path of a cube.nc.")],
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    config: ConfigOption = Path("config/demo.yaml"),
    param: Annotated[
        list[str] | None, typer.Option("--param", help="name=value, as in method.yaml; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for record and labels.")] = Path("results/single"),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: int = 1,
) -> None:
    """Fit one method once, without Snakemake, and score it."""
    from regimebench.single import fit_once

    raise typer.Exit(fit_once(method, dataset, seed, config, param or [], out, device, threads))


@app.command()
def verify(
    dataset: Annotated[str, typer.Argument(help="Data set in the configuration, or the path of a cube.nc.")],
    config: ConfigOption = Path("config/config.yaml"),
    published: Annotated[str | None, typer.Option(help="Key in published/ to compare with.")] = None,
    findings: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    table: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
) -> None:
    """Say whether a prepared data set is the papers', with the evidence."""
    from regimebench import verify as stage

    stage.verify(dataset, config, published, findings, table)


@app.command()
def audit(
    out: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
    html: Annotated[Path | None, typer.Option(help="HTML fragment to write.")] = None,
) -> None:
    """Check the papers' printed tables by arithmetic alone, and show it."""
    from regimebench.audit import audit as check

    text = check(out, html)
    if out is None and html is None:
        typer.echo(text)


@app.command()
def tables(results: Annotated[Path, typer.Argument(help="Results folder of a run.")] = Path("results")) -> None:
    """Print the tables of a finished run and where they stand."""
    found = sorted((results / "tables").glob("*.md"))
    if not found:
        raise typer.BadParameter(f"{results}/tables holds no table; run `snakemake --cores all` first")
    for path in found:
        typer.echo(path.read_text())
    typer.echo(f"Tables: {results}/tables/ (md, tex, csv)   Report: {results}/report/index.html")


@app.command()
def bundle(
    out: Annotated[Path, typer.Argument(help="File to write, e.g. demo.zip.")],
    config: ConfigOption = Path("config/config.yaml"),
    cubes: Annotated[bool, typer.Option(help="Include the data, which maps need.")] = True,
) -> None:
    """Pack the results of a run, finished or not, into one file (docs/bundles.md)."""
    from regimebench.bundle import pack

    packed = pack(config, out, cubes)
    for line in packed.left_out:
        typer.echo(f"Left out: {line}")
    typer.echo(f"{out}: {packed.records} of {packed.planned} planned fits, {out.stat().st_size / 2**20:.1f} MiB")


@app.command()
def unpack(bundle: Path, folder: Annotated[Path, typer.Argument(help="Results folder to make.")]) -> None:
    """Write a bundle into a results folder, to continue its run there."""
    from regimebench.unpack import CONFIG
    from regimebench.unpack import unpack as unpacked

    unpacked(bundle, folder)
    typer.echo(f"To continue: snakemake --cores all --configfile {folder / CONFIG}")


@app.command()
def merge(
    bundles: list[Path],
    out: Annotated[Path, typer.Option(help="Bundle to write.")],
    prefer: Annotated[Path | None, typer.Option(help="Bundle whose fits are taken where fits differ.")] = None,
) -> None:
    """Join bundles from several machines; what they contradict each other about is reported."""
    from regimebench.merge import merge as joined

    merged = joined(bundles, out, prefer)
    for line in merged.choices:
        typer.echo(f"Chosen: {line}")
    typer.echo(f"{out}: {merged.records} fits; {merged.same} were there more than once, with the same labels")


@app.command()
def rebuild(
    what: Annotated[Path, typer.Argument(metavar="BUNDLE_OR_RESULTS")],
    folder: Annotated[Path | None, typer.Argument(help="Results folder to make from a bundle.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration of a results folder.")] = None,
    cores: int = os.cpu_count() or 1,
) -> None:
    """Make tables and report anew from a bundle or a results folder, without any fit."""
    from regimebench.rebuild import rebuild as rebuilt

    raise typer.Exit(rebuilt(what, folder, config, cores))


@app.command(rich_help_panel=STAGES)
def download(settings: Text, manifest: File) -> None:
    """Fetch the raw files of one data set."""
    from regimebench import download as stage

    entry = json.loads(settings)
    with _dataset(entry) as dataset:
        stage.download(dataset, manifest, entry)


@app.command(rich_help_panel=STAGES)
def preprocess(settings: Text, manifest: File, cube: File, truth: File) -> None:
    """Turn raw files into the cube."""
    from regimebench import given
    from regimebench import preprocess as stage

    entry = json.loads(settings)
    given.forget(cube)
    with _dataset(entry) as dataset:
        stage.prepare(dataset, entry["name"], manifest.parent, entry["preprocess"], cube, truth, entry["gaps"])


@app.command(rich_help_panel=STAGES)
def derive(settings: Text, source: File, cube: File) -> None:
    """Make a surrogate, or days without a season, of another data set's cube."""
    from regimebench import derived, given

    entry = json.loads(settings)
    given.forget(cube)
    derived.prepare(source, entry["name"], entry["change"], entry["seed"], cube)


@app.command(rich_help_panel=STAGES)
def evaluate(
    cube: File,
    scores: File,
    runs: File,
    agreement: File,
    shifted: File,
    batches: Text,
    shifts: int = 0,
    truth: Annotated[Path | None, typer.Argument()] = None,
) -> None:
    """Score every partition of one data set."""
    from regimebench import evaluate as stage
    from regimebench.jobs import batch_files

    out = stage.Outputs(scores, runs, agreement, shifted)
    stage.evaluate(cube, batch_files(cube.parent, json.loads(batches)), out, truth, shifts)


@app.command(rich_help_panel=STAGES)
def aggregate(
    settings: Text, scores: File, runs: File, agreement: File, shifted: File, printed: File, tables: File
) -> None:
    """Write the tables of one data set."""
    from regimebench import aggregate as stage

    stage.aggregate(json.loads(settings), scores, runs, printed, tables, agreement, shifted)


@app.command(rich_help_panel=STAGES)
def across(settings: Text, tables: File) -> None:
    """Write the tables over all data sets."""
    from regimebench.across import over_data_sets

    over_data_sets(json.loads(settings), tables)


@app.command(rich_help_panel=STAGES)
def paper_tables(settings: Text, tables: File) -> None:
    """Write the papers' tables, regenerated."""
    from regimebench import paper_tables as stage

    stage.paper_tables(json.loads(settings), tables)


@app.command(rich_help_panel=STAGES)
def choose_k(settings: Text, cube: File, tables: File, figures: File) -> None:
    """Write what k-means gives over the number of clusters."""
    from regimebench import choose_k as stage

    stage.choose_k(json.loads(settings), cube, tables, figures)


@app.command(rich_help_panel=STAGES)
def cost(settings: Text, results: File, stem: File) -> None:
    """Write the cost tables of all data sets."""
    from regimebench.spent import cost_tables

    cost_tables(json.loads(settings), results, stem)


@app.command(rich_help_panel=STAGES)
def report(settings: Text, page: File) -> None:
    """Write the report page."""
    from regimebench import report as stage

    stage.report(json.loads(settings), page)


@app.command(rich_help_panel=STAGES)
def figures(settings: Text, folder: File) -> None:
    """Draw the figures of one data set as PNG and PDF."""
    from regimebench.reporting.figures import figures as draw

    draw(json.loads(settings), folder)


@contextmanager
def _dataset(settings: dict[str, Any]) -> Iterator[Dataset]:
    """Yield a data set whose progress is shown, and let it and the suite say in the job's log what they do."""
    from regimebench import registry
    from regimebench.progress import Shown

    logging.basicConfig(format="%(message)s")
    for package in ("regimebench", "datasets"):
        logging.getLogger(package).setLevel(logging.INFO)
    with Shown(settings["name"]) as shown:
        dataset = registry.create(registry.dataset(settings["plugin"]), settings["params"])
        dataset.progress = shown
        yield dataset


def _end_with_driver() -> None:
    """End this process when Snakemake ends, however it ends: a stage that goes on would write into the next run."""
    from regimebench.processes import Watched

    pid = os.environ.get("REGIMEBENCH_DRIVER_PID", "")
    if not pid.isdigit():
        return
    driver = Watched(int(pid))

    def watch() -> None:
        while not driver.gone():
            time.sleep(DRIVER_POLL_SECONDS)
        print(f"the driver (process {pid}) has ended; this stage was stopped", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Run the command line; errors meant for users are printed as sentences, without a traceback."""
    from regimebench.archive import InvalidBundle
    from regimebench.dataset import DataError
    from regimebench.merge import Conflicts
    from regimebench.records import InvalidRecord
    from regimebench.registry import UnknownPlugin
    from regimebench.schema import InvalidFile

    _end_with_driver()
    try:
        app()
    except (Conflicts, DataError, InvalidBundle, InvalidFile, InvalidRecord, UnknownPlugin) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
