"""``python -m regimebench plan``: jobs, hours and disk before a run starts, and what is not known."""

import dataclasses
import math

import pytest

from regimebench import registry
from regimebench.config import make_plan
from regimebench.cost import Cost, Costs, Key, Size
from regimebench.plan import Forecast, clock, size_of, text

TINY = {"family": "subspaces", "n_days": 40, "height": 6, "width": 6, "n_variables": 2, "n_clusters": 3}
SIZE = Size.of((40, 6, 6, 2))


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "")


def planned(tmp_path, **changes):
    config = {
        "results": str(tmp_path / "results"),
        "budget": "smoke",
        "n_clusters": 3,
        "seeds": 4,
        "seeds_per_job": 2,
        "datasets": {"tiny": {"plugin": "synthetic", "params": TINY}},
        "methods": ["kmeans", "random"],
    }
    return make_plan({**config, **changes})


def measured(plan, **seconds):
    """Return costs in which a fit of each row takes so long, its worker 10 s to start, and other jobs 2 s."""
    table = {}
    for address, took in seconds.items():
        key = Key.of(address, plan.methods[address].params, "cpu")
        table[key] = {SIZE: Cost(took, took, 10.0, 9.0, 100.0, None, 0.5)}
    stages = {"download": 2, "preprocess": 2, "evaluate": 2, "aggregate": 2, "report": 2, "fit": 1, "snakemake": 5}
    return Costs({}, table | {Key(f"({s})", "", "cpu"): {Size(1, 1): Cost(t, t)} for s, t in stages.items()})


def test_jobs_hours_wall_and_disk(tmp_path):
    plan = planned(tmp_path)
    forecast = Forecast(plan, measured(plan, kmeans=4.0, random=1.0), cores=2)
    assert [step.rule for step in forecast.steps].count("fit") == 4
    assert sum(step.fits for step in forecast.steps) == 8
    fits = [step for step in forecast.steps if step.rule == "fit"]
    assert sum(step.cpu_seconds for step in fits) == 4 * (1 + 9) + 4 * 4.0 + 4 * 1.0
    assert sum(step.startup_cpu_seconds for step in fits) == 4 * 10
    # 2 + 2 before; batches of 19, 19 and 13, 13 s on two cores; three jobs after; Snakemake's own 5 s
    assert forecast.wall_seconds() == 4 + 19 + 13 + 6 + 5
    assert Forecast(plan, forecast.costs, cores=1).wall_seconds() == 4 + 2 * (19 + 13) + 6 + 5
    shown = text(forecast)
    assert shown.startswith("9 jobs with 8 fits of 2 rows on 1 data set. 2 cores, no GPUs.")
    assert "Wall time of what is known: 47 s. Disk: 0.01 GiB." in shown
    assert "Unknown" not in shown


def test_what_was_not_measured_is_said_with_what_is_assumed(tmp_path):
    plan = planned(tmp_path)
    forecast = Forecast(plan, measured(plan, kmeans=4.0), cores=2)
    deadline = registry.method("random").resources["deadline_minutes"] / 60
    assert f"not measured with these parameters: 4 fits, at most {clock(3600 * 4 * deadline + 22)}" in text(forecast)
    assert "their deadlines: random." in text(forecast)
    assert forecast.wall_seconds() == 4 + 19 + 6 + 5
    nothing = text(Forecast(plan, Costs({}, {}), cores=2))
    assert "Unknown, because nothing was measured: 5 jobs: download tiny, preprocess tiny, " in nothing


def test_a_service_and_skipped_rows_are_named(tmp_path, monkeypatch):
    plan = planned(tmp_path, datasets={"era5": {}})
    lacking = dataclasses.replace(plan.methods["random"].spec, framework="tensorflow")
    monkeypatch.setattr("regimebench.registry.missing", lambda *_: "TensorFlow is not installed")
    monkeypatch.setitem(plan.methods, "random", dataclasses.replace(plan.methods["random"], spec=lacking))
    monkeypatch.setattr(
        type(lacking), "lacks", lambda spec: "No TensorFlow" if spec.framework == "tensorflow" else None
    )
    shown = text(Forecast(plan, measured(plan), cores=2))
    assert "how long the service takes is not known: 1 job: download era5" in shown
    assert "Skipped: random. No TensorFlow." in shown


@pytest.mark.parametrize(
    ("plugin", "params", "shape"),
    [
        ("synthetic", TINY, (40, 6, 6, 2)),
        ("era5", {}, (365, 41, 41, 7)),
        ("era5", {"year": [2019, 2020]}, (731, 41, 41, 7)),
        ("carra", {}, (365, 16, 19, 5)),
        ("ncar", {}, (365, 11, 16, 7)),
        ("ncar", {"box": None, "coarsen": 2, "variables": {"hgt": {"level": [500, 850]}}}, (365, 36, 72, 2)),
        ("local", {}, None),
    ],
)
def test_the_size_of_data_is_known_before_they_are_there(tmp_path, plugin, params, shape):
    plan = planned(tmp_path, datasets={"x": {"plugin": plugin, "params": params}}, budget="full")
    expected = Size(math.prod(shape), shape[0]) if shape else None
    assert size_of(plan, plan.datasets["x"]) == expected
