"""What records say about cost."""

import shutil

import pytest

from regimebench.cost import Key, Size
from regimebench.measured import collect
from tests.supervision.conftest import DAYS, run


def test_records_give_medians_and_the_start_of_a_worker_is_borne_by_its_first_seed(described, tmp_path):
    folder = tmp_path / "tiny"
    job = described(
        "kills_itself", bad=(1,), seeds=range(4), batch=str(folder / "misbehaving" / "default" / "batch-0.json")
    )
    shutil.copy(job["cube"], tmp_path)
    found, _ = run({**job, "parameters": {**job["parameters"], "pause": 0.05}})
    starts = [record["startup_seconds"] for record in found]
    assert [start > 0 for start in starts] == [True, False, True, False]
    assert all(record["startup_cpu_seconds"] > 0 for record in (found[0], found[2]))
    shutil.move(tmp_path / "cube.nc", folder / "cube.nc")
    (folder / "misbehaving" / "default" / "seed-0001" / "record.json").write_text("damaged")
    ((key, sizes),) = collect(tmp_path).items()
    ((size, measured),) = sizes.items()
    assert key == Key.of("misbehaving", found[0]["parameters"], "cpu")
    assert size == Size(DAYS * 4 * 5 * 2, DAYS)
    assert measured.seconds == found[3]["seconds"] >= 0.05  # the one that is not its worker's first
    more = (found[0]["seconds"] + found[2]["seconds"]) / 2 - measured.seconds
    assert measured.startup_seconds == pytest.approx((starts[0] + starts[2]) / 2 + max(0, more))
