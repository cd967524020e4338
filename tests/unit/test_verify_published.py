"""The published facts themselves, the command, and real data that are not the papers'."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from regimebench import registry
from regimebench.cube import write_cube
from regimebench.dataset import Cube
from regimebench.evidence.inertia import compare_inertia
from regimebench.evidence.labels import FEW
from regimebench.evidence.published import AGREES, DIFFERS, Printed, Published
from regimebench.evidence.verdict import OTHER, Findings
from regimebench.preprocess import prepare
from regimebench.verify import examine, read_findings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def planted():
    """Return noise on the authors' grid and days, with the printed values and the papers' total inertia planted."""
    facts, rng = Published("era5").facts, np.random.default_rng(0)
    names, units = tuple(facts["variables"]), tuple(facts["variables"].values())
    lat, lon = np.linspace(43, 33, 41), np.linspace(-33, -23, 41)
    days = np.arange("2021-01-01", "2022-01-01", dtype="datetime64[D]")
    mask = np.ones((41, 41, 7), dtype=bool)
    mask[20:22, 10:13, names.index("sst")] = False
    values = np.where(mask, rng.random((365, 41, 41, 7), dtype=np.float32), np.float32(0))
    values *= np.float32(np.sqrt(503.183 / values.reshape(365, -1).var(axis=0, dtype=float).sum()))
    minimum, scale = np.zeros(mask.shape), np.where(mask, 10.0, 0.0)
    for spot in facts["spots"]:
        at = np.argmin(abs(lat - float(spot["lat"]))), np.argmin(abs(lon - float(spot["lon"])))
        day = int(np.flatnonzero(days == np.datetime64(spot["day"]))[0])
        for name, text in spot["values"].items():
            index = (*at, names.index(name))
            minimum[index] = float(text) - 10.0 * float(values[day][index])
    return Cube(values, mask, days, lat, lon, names, units, minimum, scale, {"dataset": "era5"})


@pytest.fixture(scope="module")
def findings(planted):
    return examine(planted, "era5")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "regimebench", "verify", *map(str, arguments)], cwd=ROOT, text=True,
        capture_output=True, timeout=300, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "ours", "digits", "holds", "off_by"),
    [
        ("7.00", 7.0049, 3, True, 0.49),
        ("7.00", 7.0189, 2, False, 1.89),
        ("13.79", 13.79695, 3, True, 0.695),  # cut
        ("-5.477e4", -54_774.0, 4, True, -0.4),
        ("-5.477e4", -54_780.0, 3, False, -1.0),
        ("1.024e5", 102_460.0, 3, True, 0.6),  # cut
        ("-0.10", 0.10, 0, False, 20.0),
        ("0.25", float("nan"), 0, False, float("nan")),
    ],
)
def test_digits_of_a_printed_number(text, ours, digits, holds, off_by):
    printed = Printed(text)
    assert printed.digits_of(ours) == digits
    assert printed.holds(ours) == holds
    np.testing.assert_allclose(printed.off_by(ours), off_by, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "theirs", "contradicting"),
    [
        ("era5", 503.18, {"a_datsc"}),
        ("ncar", 152.46, {"clustergan", "a_datsc"}),
        ("carra", 64.82, {"clustergan", "dasc", "a_datsc"}),
    ],
)
def test_printed_rows_imply_one_inertia_and_some_contradict_it(planted, name, theirs, contradicting):
    found = compare_inertia(planted, Published(name))
    assert found.theirs == pytest.approx(theirs, abs=0.006)
    assert {row.row for row in found.rows if row.status == DIFFERS} == contradicting


def test_carra_rows_agree_with_fewer_clusters_and_one_belongs_to_other_data(planted):
    notes = {row.row: row.note for row in compare_inertia(planted, Published("carra")).rows}
    assert notes["dtc"] == "with 3 clusters that have days"
    assert notes["dsc"] == "with 5 clusters that have days"
    assert notes["dec"] == ""
    assert notes["dasc"] == (
        "RMSE squared, 127.8, exceeds the total 64.82; with 5 clusters that have days it fits the data set ncar"
    )


def test_noise_with_the_printed_values_is_not_the_papers_data(findings):
    found = findings
    assert [fact.status for fact in found.facts] == [AGREES] * 5
    assert (found.spot_status, len(found.counted), found.inertia.status) == (AGREES, 21, AGREES)
    assert found.verdict == "differs: 0 of 30 numbers printed for published label vectors are reproduced."
    assert max(number.digits for number in found.labels.numbers) < FEW
    tables = {number.row: number.table for number in found.labels.numbers if number.metric == "rmse"}
    assert tables["dec_reloaded"] == "13.62"
    contradicting = [(number.row, number.metric, number.table) for number in found.labels.numbers if number.note]
    assert contradicting == [("kmeans", "icd", "7.00")]


@pytest.mark.parametrize("name", ["carra", "ncar"])
def test_data_of_an_unpublished_region_differ_or_stay_undecided(planted, name):
    verdict = examine(planted, name).verdict
    assert verdict.startswith("differs: total inertia per day is 503.18, and ")
    assert verdict.endswith(
        "nothing published says which region, variables, grid and period the papers used, so these cannot be taken for "
        "the papers' data."
    )


def without_scores(findings):
    numbers = [replace(number, ours=0.0) for number in findings.labels.numbers]
    return replace(findings, labels=replace(findings.labels, numbers=numbers, scores={}))


def test_findings_are_read_as_they_were_written(findings):
    assert Findings.from_json(json.loads(json.dumps(findings.as_json()))) == findings


def test_the_command_prints_and_writes_the_evidence(planted, findings, tmp_path):
    cube = tmp_path / "cube.nc"
    write_cube(planted, cube)
    done = run(cube, "--findings", tmp_path / "verify.json", "--table", tmp_path / "tables" / "era5.verify.md")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("differs: 0 of 30 numbers")
    found = read_findings(tmp_path / "verify.json")
    # The scores of another process differ in the last bits: how numpy adds up depends on where an array lies in memory.
    for mine, its in zip(findings.labels.numbers, found.labels.numbers, strict=True):
        assert its.ours == pytest.approx(mine.ours, rel=0, abs=1e-12 * max(1, abs(mine.ours)))
    assert without_scores(found) == without_scores(findings)
    assert json.loads((tmp_path / "verify.json").read_text())["word"] == OTHER
    assert "| 43N 33W " in (tmp_path / "tables" / "era5.verify.md").read_text()


def test_a_cube_that_is_not_there_yet_is_said_in_a_sentence(tmp_path):
    config = {"results": f"{tmp_path}/r", "datasets": {"planted": {"plugin": "synthetic"}}, "methods": "all"}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = run("planted", "--config", tmp_path / "c.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {tmp_path}/r/planted/cube.nc does not exist, so there is nothing to verify")
    assert (
        f"`snakemake {tmp_path}/r/planted/cube.nc --cores all --configfile {tmp_path / 'c.yaml'}` first" in done.stderr
    )
    done = run("nothing", "--config", tmp_path / "c.yaml")
    assert "no data set 'nothing'; known: planted" in done.stderr


def test_a_file_of_the_user_s_own_is_no_cube_and_stays(tmp_path):
    path = tmp_path / "era5_2021.nc"
    path.write_bytes(b"not ours")
    done = run(path, "--published", "era5")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {path} is not a cube of the preprocess stage")
    assert "delete" not in done.stderr


def test_a_cube_without_a_published_name_asks_for_one(planted, tmp_path):
    write_cube(replace(planted, attrs={"dataset": "mine"}), tmp_path / "cube.nc")
    done = run(tmp_path / "cube.nc")
    assert done.returncode == 1
    assert "data set 'mine'" in done.stderr
    assert "carra, era5, ncar" in done.stderr


def test_real_fields_of_another_region_and_year_differ(real_data, tmp_path):
    spec = registry.dataset("local")
    files = str(real_data / "era_interim" / "*_ei_2000-2010_daily12utc.nc")
    data = registry.create(spec, {**spec.parameters, "files": files, "variables": ["z", "t", "msl"], "year": 2005})
    cube = prepare(data, "era_interim", tmp_path, "paper", tmp_path / "cube.nc", None)
    found = examine(cube, "era5")
    assert found.word == OTHER
    assert [fact.status for fact in found.facts if fact.name in ("days", "grid", "variables")] == [DIFFERS] * 3
    assert {spot.note for spot in found.spots} == {"the cube has no such day"}
    assert found.labels.reason == "published label vectors need exactly the days from 2021-01-01 to 2021-12-31"
