"""How many seeds share a job on a cluster: from measured cost, within the queue's limit, and the same for every job."""

import json
from types import SimpleNamespace

import pytest

from regimebench import batching, driver, jobs
from regimebench.config import make_plan
from regimebench.cost import Cost, Costs, Key, Size
from regimebench.queues import Queue
from regimebench.schema import InvalidFile

SIZE = Size(365 * 41 * 41 * 7, 365)
QUEUE = Queue(1440, "a100")


def planned(tmp_path, queue=QUEUE, explicit=None, **settings):
    data = {"d": {"plugin": "synthetic", "params": {"n_days": 365, "height": 41, "width": 41, "n_variables": 7}}}
    config = {"datasets": data, "results": str(tmp_path), "seeds": 20, "methods": ["kmeans", "dec", "a_datsc"]}
    config.update(settings)
    return batching.arrange(make_plan(config), queue, "seeds_per_job" in config)


@pytest.fixture
def measured(monkeypatch):
    """Return a function that sets the measured seconds of rows, on the device that each would use."""

    def set_costs(seconds, startup=5.0):
        plan = make_plan({"datasets": {"d": {"plugin": "synthetic"}}, "methods": list(seconds)})
        table = {}
        for address, entry in plan.methods.items():
            device = "cuda" if entry.spec.device == "gpu" else "cpu"
            table[Key.of(address, entry.params, device)] = {SIZE: Cost(seconds[address], 1.0, startup, 1.0)}
        monkeypatch.setattr(Costs, "load", classmethod(lambda cls, results=None: Costs({}, table)))

    return set_costs


def chosen(plan):
    return {address: entry.seeds_per_job for address, entry in plan.methods.items()}


def test_start_up_is_at_most_a_twentieth_of_the_fits_where_there_are_seeds_enough(tmp_path, measured):
    measured({"kmeans": 0.5, "dec": 100.0, "a_datsc": 3600.0})
    numbers = chosen(planned(tmp_path))
    assert numbers == {"kmeans": 20, "dec": 4, "a_datsc": 1}
    for address, seconds in {"dec": 100.0, "a_datsc": 3600.0}.items():
        start = batching.SCHEDULED_SECONDS + 5.0
        assert start <= batching.SHARE * seconds * numbers[address]


def test_what_was_not_measured_keeps_the_methods_own_number(tmp_path, measured):
    measured({"kmeans": 0.5})
    assert chosen(planned(tmp_path)) == {"kmeans": 20, "dec": 5, "a_datsc": 1}


def test_a_number_in_the_configuration_holds_as_far_as_the_queue_allows(tmp_path, measured):
    measured({"kmeans": 0.5, "dec": 1.0})
    assert chosen(planned(tmp_path, seeds_per_job=2)) == {"kmeans": 2, "dec": 2, "a_datsc": 2}
    assert chosen(planned(tmp_path, Queue(100), seeds_per_job=20)) == {"kmeans": 9, "dec": 1, "a_datsc": 1}


@pytest.mark.parametrize("minutes", [30, 120, 700, 2880])
def test_no_job_asks_for_more_than_the_queue_allows_and_every_deadline_fits_into_it(tmp_path, measured, minutes):
    measured({"kmeans": 0.01})
    plan = planned(tmp_path, Queue(minutes), methods="all")
    for name in plan.method_ids():
        runtime = jobs.resources(plan, name)["runtime"]
        assert runtime <= minutes
        for entry in plan.entries(name):
            job = plan.job("d", entry.spec.address, 0)
            assert job["deadline_seconds"] * len(job["seeds"]) < 60 * runtime
    cut = [a for a, e in plan.methods.items() if e.spec.resources["deadline_minutes"] > plan.queue.fit_minutes]
    assert len(driver.queue_notes(plan)) == bool(cut)
    assert all(address in "".join(driver.queue_notes(plan)) for address in cut)


def test_jobs_of_a_run_come_to_the_batches_of_their_driver(tmp_path, measured):
    """Costs that became known since change nothing; another queue, or another number of seeds, is a new choice."""
    measured({"dec": 100.0})
    plan = planned(tmp_path)
    batching.keep(plan)
    measured({"dec": 1000.0, "kmeans": 1000.0})
    assert chosen(planned(tmp_path)) == chosen(plan)
    assert chosen(planned(tmp_path, methods=["dec", "edesc"]))["dec"] == 4
    assert chosen(planned(tmp_path, Queue(1441, "a100")))["dec"] == 1
    assert chosen(planned(tmp_path, seeds=10))["dec"] == 1
    (tmp_path / batching.FILE).write_text(json.dumps({"seeds": 20, "queue_minutes": 1440, "seeds_per_job": ["odd"]}))
    assert chosen(planned(tmp_path))["dec"] == 1


def test_one_machine_keeps_its_batches(tmp_path, measured):
    measured({"dec": 1.0})
    assert planned(tmp_path, None).queue is None
    assert chosen(planned(tmp_path, None))["dec"] == 5
    batching.keep(planned(tmp_path, None))
    assert not (tmp_path / batching.FILE).exists()


def test_a_gpu_is_asked_for_by_what_the_profile_says_and_not_by_what_the_head_node_has(tmp_path, monkeypatch):
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "")
    plan = planned(tmp_path, Queue(1440, "a100", "gpu"))
    assert jobs.gpu_resources(plan, "dec") == {"gpu": 1, "gpu_model": "a100", "slurm_partition": "gpu"}
    assert jobs.gpu_resources(plan, "kmeans") == {}
    assert jobs.gpu_resources(planned(tmp_path, Queue(1440, "any_gpu")), "dec") == {"gpu": 1}
    monkeypatch.setenv("REGIMEBENCH_DEVICES", "0")
    assert jobs.gpu_resources(planned(tmp_path, Queue(1440)), "dec") == {}
    assert jobs.gpu_resources(planned(tmp_path, None), "dec") == {"gpu": 1, "gpu_percent": 100}


def test_a_profile_that_was_not_filled_in_is_refused_before_anything_starts():
    given = {"slurm_account": "FILL_IN", "queue_minutes": 5, "tmpdir": "/tmp"}
    with pytest.raises(InvalidFile) as caught:
        Queue.of(given)
    assert "default-resources.slurm_account: found 'FILL_IN'" in str(caught.value)
    assert "default-resources.queue_minutes: found 5; allowed is a whole number" in str(caught.value)
    assert Queue.of({"tmpdir": "/tmp"}) is None
    raw = {name: SimpleNamespace(raw=value) for name, value in given.items()}
    settings = {"datasets": {"d": {"plugin": "synthetic"}}, "methods": ["random"]}
    with pytest.raises(driver.CannotStart, match="Nothing was started"):
        driver.make_plan(settings, [], raw)
