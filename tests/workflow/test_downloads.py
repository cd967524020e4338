"""Whole runs of Snakemake against the loopback services, with the real clients, from request to cube."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from regimebench.cube import read_cube
from tests.servers.carra import Carra
from tests.servers.cds import CANARY, CdsServer
from tests.servers.cds_scenarios import Scenario
from tests.servers.era5 import answer as era5_answer
from tests.servers.psl import Psl
from tests.workflow.conftest import ROOT, Project

CARRA = Carra()
ERA5 = {"params": {"area": [40, -30, 39.5, -29.5], "variables": ["sst", "sshf", "t2m"]}}
SMALL_CARRA = {"params": {"margin": 2, "block": 6, "variables": ["2m_temperature"]}}


def answer(collection: str, request: dict) -> tuple[bytes, str, str]:
    return CARRA(collection, request) if "carra" in collection else era5_answer(collection, request)


def serve(project: Project, scenario: str | Scenario = "ok", datasets: dict | None = None) -> CdsServer:
    """Return a server; while it is open, the project's runs talk to it."""
    server = CdsServer(answer, scenario).__enter__()
    project.environment |= server.environment(project.folder) | {"REGIMEBENCH_PATIENCE": "0.1"}
    project.config["datasets"] = {"era5": ERA5} if datasets is None else datasets
    return server


@pytest.fixture
def servers() -> Iterator[list[CdsServer]]:
    opened: list[CdsServer] = []
    yield opened
    for server in opened:
        server.__exit__()
        assert server.violations == []


def cubes(project: Project) -> list[str]:
    """Return the files to make, so that nothing is fitted."""
    return [str(project.results / name / "cube.nc") for name in project.config["datasets"]]


def everything_written(project: Project) -> bytes:
    """Return all that the runs left on disk: results, logs, records, Snakemake's own notes."""
    contents = []
    for folder in (project.folder, ROOT / ".snakemake"):
        for path in folder.glob("**/*"):
            with suppress(FileNotFoundError, IsADirectoryError):  # other tests' runs come and go beside this one
                contents.append(path.read_bytes())
    return b"\n".join(contents)


@pytest.mark.slow
def test_from_requests_to_cubes_and_the_key_is_nowhere(project, servers):
    server = serve(project, datasets={"era5": ERA5, "carra": SMALL_CARRA})
    servers.append(server)
    with Psl(["air.sig995"]) as psl:
        params = {"base_url": psl.base_url, "variables": ["air.sig995"]}
        project.config["datasets"]["ncar"] = {"params": params, "preprocess": "paper"}
        output = project.run(*cubes(project))
    assert len(server.posted) == 12 + 12
    era5, carra, ncar = (read_cube(path) for path in cubes(project))
    assert (era5.values.shape, era5.variables) == ((365, 3, 3, 3), ("sst", "sshf", "t2m"))
    assert (len(carra.values), carra.lat.ndim) == (365, 2)
    assert (ncar.values.shape, ncar.unpadded().values.shape) == ((365, 16, 16, 1), (365, 11, 16, 1))
    for name in project.config["datasets"]:
        manifest = json.loads((project.results / name / "raw" / "manifest.json").read_text())
        first = manifest["provenance"][0]
        assert {"request", "sha256", "licence", "attribution", "downloaded", "client"} <= set(first)
        assert "md5" in first["received"]
        assert ("job" in first) == (name != "ncar")
    assert CANARY.encode() not in everything_written(project)
    assert CANARY not in output
    assert b"signature=secret" not in everything_written(project)

    project.run(*cubes(project), "--forcerun", "download", "preprocess")
    assert len(server.posted) == 12 + 12, "what is there must not be asked for again"


@pytest.mark.slow
def test_a_changed_choice_of_what_is_there_asks_only_for_what_is_new(project, servers):
    server = serve(project)
    servers.append(server)
    project.run(*cubes(project))
    project.config["datasets"] = {"era5": {"params": {**ERA5["params"], "variables": ["t2m", "sst", "sshf"]}}}
    project.run(*cubes(project))
    assert len(server.posted) == 12
    assert read_cube(cubes(project)[0]).variables == ("t2m", "sst", "sshf")


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_jobs_it_had(project, servers):
    """The driver and all its children are killed while jobs are queued; no job is asked for twice."""
    server = serve(project, Scenario(queue=True))
    servers.append(server)
    running = subprocess.Popen(
        project.command(*cubes(project)), cwd=ROOT, env=project.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    records = project.results / "era5" / "raw"
    while sum('"submitted"' in path.read_text() for path in records.glob("*.nc.json")) < 4:
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    server.released.set()
    project.run(*cubes(project))
    assert len(server.posted) == 12


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("bad_key", "does not accept the key in the environment variable ECMWF_DATASTORES_KEY"),
        ("licence", "?tab=download#manage-licences and run again"),
        ("job_failed", "could not make the data"),
    ],
)
def test_the_user_is_told_in_one_sentence(project, servers, scenario, sentence):
    servers.append(serve(project, scenario))
    output = project.run(*cubes(project), check=False)
    told = output[output.index("What went wrong:") :]
    assert project.returncode != 0
    assert sentence in told
    assert "Traceback" not in told
    assert CANARY not in output


def test_no_key_stops_before_the_first_job(project, servers):
    servers.append(serve(project))
    del project.environment["ECMWF_DATASTORES_KEY"]
    output = project.run(*cubes(project), check=False)
    assert project.returncode != 0
    assert "Nothing was started, because data is missing" in output
    assert "https://cds.climate.copernicus.eu/profile" in output
    assert not (project.results / "era5" / "raw").exists()
