"""The evaluate stage: from batch files and a cube to scores.csv and runs.csv."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from regimebench.cube import write_cube
from regimebench.dataset import Cube, DataError
from regimebench.evaluate import RUN_COLUMNS, Outputs, evaluate
from regimebench.metrics import METRICS
from regimebench.records import InvalidRecord, sha256_file, write_json

N_DAYS, K = 40, 3
TRUTH = np.arange(N_DAYS) // 5 % K


def make_cube(path, n_days=N_DAYS, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.random((n_days, 4, 5, 2)) * 0.5 + np.resize(TRUTH, n_days)[:, None, None, None] / 6
    mask = np.ones((4, 5, 2), bool)
    mask[:, 4] = mask[0, 0, 1] = False  # the last column of cells is padding, one cell of msl is land
    cube = Cube(
        values=(values * mask).astype(np.float32),
        mask=mask,
        time=np.datetime64("2001-01-01") + np.arange(n_days),
        lat=np.linspace(50, 47, 4),
        lon=np.linspace(0, 4, 5),
        variables=("t2m", "msl"),
        units=("K", "Pa"),
        minimum=np.zeros((4, 5, 2)),
        scale=np.ones((4, 5, 2)),
        attrs={"padded_cells": [0, 1]},
    )
    return write_cube(cube, path)


class Results:
    """A results folder with a cube and whatever runs a test adds."""

    def __init__(self, folder):
        self.folder = folder
        self.cube = make_cube(folder / "cube.nc")
        self.batches = []

    def add(self, address, runs, batch=0):
        """Add one batch: seed -> labels, or status and message of a failure."""
        method, _, variant = address.partition("/")
        out = self.folder / method / (variant or "default")
        for seed, result in runs.items():
            self.record(out / f"seed-{seed:04d}", address, seed, result)
        path = out / f"batch-{batch}.json"
        names = [f"seed-{seed:04d}/record.json" for seed in runs]
        write_json(path, {"dataset": "tiny", "address": address, "seeds": list(runs), "records": names})
        self.batches.append(path)

    def diagnose(self, address, seed, **diagnostics):
        """Add diagnostics to a record of the plain method."""
        path = self.folder / address / "default" / f"seed-{seed:04d}" / "record.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "diagnostics": diagnostics or None}))

    def record(self, folder, address, seed, result):
        folder.mkdir(parents=True)
        failed = isinstance(result, tuple)
        status, message = result if failed else ("ok", "")
        found = sizes = digest = None
        if not failed:
            found, sizes = len(set(result)), np.bincount(result).tolist()
            status = "degenerate" if found == 1 else "ok"
            np.savez(folder / "fit.npz", labels=np.asarray(result, np.int64))
            digest = sha256_file(folder / "fit.npz")
        method, _, variant = address.partition("/")
        record = {
            "schema_version": 1,
            "dataset": "tiny",
            "address": address,
            "method": method,
            "variant": variant or "default",
            "seed": seed,
            "status": status,
            "message": message,
            "n_clusters": K,
            "labels": None if failed else "fit.npz",
            "clusters_found": found,
            "cluster_sizes": sizes,
            "epochs": None,
            "stop_reason": None,
            "n_parameters": None if failed else 120,
            "seconds": 1.5,
            "cpu_seconds": 1.25,
            "peak_rss_mib": 300.0,
            "peak_gpu_mib": None,
            "gpu_seconds": None,
            "reconstruction_rmse": None,
            "seeds_together": 1,
            "parameters": {},
            "device": "cpu",
            "threads": 1,
            "versions": {},
            "machine": {},
            "fingerprint": None,
            "hashes": {"plugin": None, "data": self.cube.attrs["content_sha256"], "config": None, "fit": digest},
            "git": None,
            "started": "2001-01-01T00:00:00Z",
        }
        (folder / "record.json").write_text(json.dumps(record))

    def evaluate(self, truth=None):
        """Return what the stage wrote."""
        scores, runs = self.folder / "scores.csv", self.folder / "runs.csv"
        evaluate(self.folder / "cube.nc", self.batches, Outputs(scores, runs), truth)
        return pd.read_csv(scores), pd.read_csv(runs)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def labels(seed):
    return np.random.default_rng(seed).permutation(np.arange(N_DAYS) % K)


def write_truth(path, n_days=N_DAYS, **columns):
    days = (np.datetime64("2001-01-01") + np.arange(n_days)).astype(str)
    pd.DataFrame({"date": days, **columns}).to_csv(path, index=False)
    return path


def value(scores, address, seed, protocol, metric):
    chosen = scores.set_index(["address", "seed", "protocol", "metric"])["value"]
    return chosen[address, seed, protocol, metric]


def test_scores_every_labelled_run_in_both_protocols(results):
    results.add("kmeans", {0: labels(0), 1: labels(1)})
    results.add("dec/untrained", {0: labels(2)})
    scores, runs = results.evaluate()
    keys = [(m.protocol, m.key) for m in METRICS if m.protocol != "truth"]
    expected = [(a, s, *key) for a, s in (("dec/untrained", 0), ("kmeans", 0), ("kmeans", 1)) for key in keys]
    assert list(scores.columns) == ["address", "seed", "protocol", "metric", "value"]
    assert list(scores.drop(columns="value").itertuples(index=False, name=None)) == expected
    assert list(zip(runs["address"], runs["seed"], strict=True)) == [("dec/untrained", 0), ("kmeans", 0), ("kmeans", 1)]
    X = results.cube.table
    for address, seed, partition in (("kmeans", 1, labels(1)), ("dec/untrained", 0, labels(2))):
        cosine = silhouette_score(X, partition, metric="cosine")
        assert value(scores, address, seed, "paper", "silhouette") == pytest.approx(cosine, rel=1e-5)
        euclidean = silhouette_score(X, partition)
        assert value(scores, address, seed, "standard", "silhouette") == pytest.approx(euclidean, rel=1e-5)


def test_the_unpadded_variance_leaves_out_padding_and_keeps_land(results):
    results.add("kmeans", {0: labels(0)})
    scores, _ = results.evaluate()
    data = results.cube.values[:, :, :4].reshape(N_DAYS, -1).astype(float)
    pooled = sum((labels(0) == c).mean() * data[labels(0) == c].var() for c in range(K))
    assert value(scores, "kmeans", 0, "paper", "variance_unpadded") == pytest.approx(pooled)
    assert value(scores, "kmeans", 0, "paper", "variance") > 1.1 * pooled


def test_failed_runs_are_rows_of_runs_and_not_of_scores(results):
    results.add("kmeans", {0: labels(0), 1: ("timeout", "stopped after 5 s, the deadline"), 2: ("oom", "no memory")})
    results.add("random", {0: np.zeros(N_DAYS, int)})
    scores, runs = results.evaluate()
    assert list(runs.columns) == list(RUN_COLUMNS)
    assert runs["status"].tolist() == ["ok", "timeout", "oom", "degenerate"]
    assert runs["message"].fillna("").tolist() == ["", "stopped after 5 s, the deadline", "no memory", ""]
    assert runs["clusters_found"].fillna(0).tolist() == [K, 0, 0, 1]
    assert runs["n_parameters"].fillna(0).tolist() == [120, 0, 0, 120]
    assert set(zip(scores["address"], scores["seed"], strict=True)) == {("kmeans", 0), ("random", 0)}
    assert np.isnan(value(scores, "random", 0, "paper", "silhouette"))
    assert value(scores, "random", 0, "paper", "rmse") > 0


def test_diagnostics_are_columns_of_runs(results):
    results.add("kmeans", {0: labels(0), 1: labels(1), 2: ("error", "no")})
    results.diagnose("kmeans", 0, twins=0.25, c_norm=3)
    results.diagnose("kmeans", 1, spread=0.5, twins=0.125)
    results.diagnose("kmeans", 2)
    _, runs = results.evaluate()
    found = runs.drop(columns=list(RUN_COLUMNS))
    assert list(found.columns) == ["diagnostics.c_norm", "diagnostics.spread", "diagnostics.twins"]
    np.testing.assert_array_equal(found, [[3, np.nan, 0.25], [np.nan, 0.5, 0.125], [np.nan] * 3])


def test_only_failures_give_an_empty_table_of_scores(results):
    results.add("kmeans", {0: ("error", "ValueError: no")})
    scores, runs = results.evaluate()
    assert list(scores.columns) == ["address", "seed", "protocol", "metric", "value"]
    assert scores.empty
    assert runs["status"].tolist() == ["error"]


def test_planted_data_add_agreement_and_reference_rows(results, tmp_path):
    results.add("kmeans", {4: labels(4), 5: ("error", "no")})
    oracle = np.where(np.arange(N_DAYS) < 4, 2, TRUTH)
    scores, runs = results.evaluate(write_truth(tmp_path / "truth.csv", truth=TRUTH, oracle=oracle))
    assert set(runs["address"]) == {"kmeans"}
    assert scores["address"].unique().tolist() == ["(truth)", "(oracle)", "kmeans"]
    keys = [(m.protocol, m.key) for m in METRICS]
    for address, partition in (("(truth)", TRUTH), ("(oracle)", oracle), ("kmeans", labels(4))):
        chosen = scores[scores["address"] == address]
        assert list(zip(chosen["protocol"], chosen["metric"], strict=True)) == keys
        agreement = chosen[chosen["protocol"] == "truth"].set_index("metric")["value"]
        assert agreement["ari"] == pytest.approx(adjusted_rand_score(TRUTH, partition))
    assert value(scores, "(truth)", 0, "truth", "accuracy") == 1
    assert value(scores, "(oracle)", 0, "truth", "accuracy") == pytest.approx(1 - 4 / N_DAYS)


def test_truth_without_an_oracle(results, tmp_path):
    results.add("kmeans", {0: labels(0)})
    scores, _ = results.evaluate(write_truth(tmp_path / "truth.csv", truth=TRUTH))
    assert set(scores["address"]) == {"(truth)", "kmeans"}


def test_same_input_same_bytes_whatever_the_order_of_batches(results):
    results.add("kmeans", {1: labels(1), 0: labels(0)}, batch=0)
    results.add("kmeans", {2: labels(2)}, batch=1)
    results.add("calendar", {0: labels(3)})
    results.evaluate()
    first = [(results.folder / name).read_bytes() for name in ("scores.csv", "runs.csv")]
    results.batches.reverse()
    results.evaluate()
    assert [(results.folder / name).read_bytes() for name in ("scores.csv", "runs.csv")] == first


def test_a_failed_write_leaves_the_old_file_and_no_rest(results, monkeypatch):
    results.add("kmeans", {0: labels(0)})
    results.evaluate()
    before = (results.folder / "scores.csv").read_bytes()

    def half_written(self, path, **options):
        path.write_text("address,se")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half_written)
    with pytest.raises(OSError, match="No space left"):
        results.evaluate()
    assert (results.folder / "scores.csv").read_bytes() == before
    assert not list(results.folder.glob(".*"))


def test_missing_labels_name_the_file(results):
    results.add("kmeans", {3: labels(3)})
    (results.folder / "kmeans/default/seed-0003/fit.npz").unlink()
    with pytest.raises(InvalidRecord, match=r"seed-0003/fit\.npz is missing"):
        results.evaluate()


@pytest.mark.parametrize("kept", [0, 40, 300])
def test_damaged_labels_name_the_file(results, kept):
    results.add("kmeans", {3: labels(3)})
    path = results.folder / "kmeans/default/seed-0003/fit.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidRecord, match=r"seed-0003/fit\.npz holds no readable labels"):
        results.evaluate()


def test_a_fit_without_labels_names_the_file(results):
    results.add("kmeans", {3: labels(3)})
    np.savez(results.folder / "kmeans/default/seed-0003/fit.npz", embedding=np.zeros(3))
    with pytest.raises(InvalidRecord, match=r"seed-0003/fit\.npz holds no readable labels"):
        results.evaluate()


def test_labels_of_another_length_name_the_file(results):
    results.add("kmeans", {3: labels(3)[:-1]})
    with pytest.raises(
        InvalidRecord, match=r"seed-0003/fit\.npz has labels of shape \(39,\), but the cube has 40 days"
    ):
        results.evaluate()


def test_labels_of_other_data_are_refused(results):
    results.add("kmeans", {0: labels(0)})
    make_cube(results.folder / "cube.nc", seed=1)
    with pytest.raises(InvalidRecord, match=r"seed-0000 was fitted on other data than .*cube\.nc"):
        results.evaluate()


def test_a_seed_in_two_batches_is_refused(results):
    results.add("kmeans", {0: labels(0)})
    results.batches *= 2
    with pytest.raises(InvalidRecord, match="lists kmeans seed 0 again"):
        results.evaluate()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"truth": TRUTH[:-1], "n_days": N_DAYS - 1}, "has 39 days, but the cube has 40"),
        ({"oracle": TRUTH}, "date, truth and perhaps oracle are required"),
        ({"truth": TRUTH + 0.5}, "column truth, has type float64"),
        ({"truth": TRUTH, "oracle": ["a"] * N_DAYS}, "column oracle, has type"),
    ],
)
def test_unusable_truth_is_refused(results, tmp_path, columns, message):
    results.add("kmeans", {0: labels(0)})
    with pytest.raises(DataError, match=message):
        results.evaluate(write_truth(tmp_path / "truth.csv", **columns))


def test_truth_of_other_days_is_refused(results, tmp_path):
    results.add("kmeans", {0: labels(0)})
    path = write_truth(tmp_path / "truth.csv", truth=TRUTH)
    path.write_text(path.read_text().replace("2001-01-03", "2002-01-03"))
    with pytest.raises(DataError, match="row 3, is 2002-01-03, but day 3 of the cube is 2001-01-03"):
        results.evaluate(path)


def test_missing_truth_names_the_file(results, tmp_path):
    results.add("kmeans", {0: labels(0)})
    with pytest.raises(DataError, match=r"absent\.csv cannot be read"):
        results.evaluate(tmp_path / "absent.csv")
