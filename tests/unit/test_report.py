"""The page: its figures do not overwrite each other, and it says what was computed on."""

import numpy as np
import pandas as pd
from published_world import make_fields

from regimebench.method_checks import tiny_cube
from regimebench.preprocess import preprocess
from regimebench.records import row_folder, seed_folder
from regimebench.report import _curves, _facts, _figures, best_runs
from regimebench.results import Results

ROWS = [{"address": "calendar", "kind": "control"}, {"address": "dec/untrained", "kind": "control"}]
ROWS += [{"address": "dec_tf", "kind": "twin"}]
SETTINGS = {"title": "Toy", "preprocess": "paper", "n_clusters": 3, "rows": ROWS}


def test_a_method_called_calendar_does_not_overwrite_the_calendar_of_all_rows(tmp_path):
    """The control of this name is part of the papers' protocol."""
    cube = tiny_cube()
    labels = {"calendar": np.arange(cube.n_days) % 3, "dec/untrained": np.arange(cube.n_days) // 20}
    best = pd.DataFrame({"silhouette": [0.2, 0.1]}, index=list(labels))
    paths = [path for path, _ in _figures(tmp_path, SETTINGS, cube, best, labels, coast=False)]
    assert len(set(paths)) == len(paths) == 3
    assert all(path.is_file() for path in paths)


def test_a_twin_is_drawn_last_and_has_no_maps_and_planted_maps_no_coast(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("regimebench.maps._coast", asked.append)
    cube = tiny_cube()
    labels = {"dec_tf": np.arange(cube.n_days) % 3, "calendar": np.arange(cube.n_days) // 20}
    best = pd.DataFrame({"silhouette": [0.2, 0.1]}, index=list(labels))
    (_, caption), *maps = _figures(tmp_path, SETTINGS, cube, best, labels, coast=False)
    assert caption.endswith("rows in order of their cosine silhouette, twins last.")
    assert [path.name for path, _ in maps] == ["calendar.png"]
    assert not asked, "planted fields know no land"
    _figures(tmp_path, SETTINGS, cube, best, labels, coast=True)
    assert asked == [cube]


def test_a_collapsed_run_is_not_drawn_whatever_it_scores(tmp_path):
    scores = [("dec", seed, "paper", "silhouette", value) for seed, value in ((0, 0.2), (1, 0.9), (2, 0.3))]
    columns = ["address", "seed", "protocol", "metric", "value"]
    pd.DataFrame(scores, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    runs = {"address": "dec", "seed": range(3), "status": ["ok", "degenerate", "ok"]}
    pd.DataFrame(runs).to_csv(tmp_path / "runs.csv", index=False)
    found = Results.read(SETTINGS, tmp_path / "scores.csv", tmp_path / "runs.csv")
    assert best_runs(found).loc["dec", "seed"] == 2


def test_the_grid_is_told_from_the_zeros_around_it():
    for variant, shape in (("standard", "5 x 6 cells, "), ("paper", "5 x 6 cells (with zeros to 16 x 16), ")):
        assert f", {shape}" in _facts(preprocess(make_fields(), variant, name="world"), SETTINGS)


def test_rows_with_a_history_have_curves_and_the_best_seed_comes_first(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "regimebench.report.draw_curves", lambda histories, title, path: drawn.update({path: histories})
    )
    for seed in (0, 1):
        folder = seed_folder(row_folder(tmp_path / "toy", "dec_tf"), seed)
        folder.mkdir(parents=True)
        np.savez(folder / "fit.npz", labels=np.arange(3), history_loss=np.array([float(seed)]))
    runs = pd.DataFrame(
        {"address": ["dec_tf", "dec_tf", "calendar"], "seed": [0, 1, 0], "status": "ok", "message": None}
    )
    best = pd.DataFrame({"seed": [1, 0]}, index=["dec_tf", "calendar"])
    found = Results(SETTINGS, pd.DataFrame(), runs)
    ((path, caption),) = _curves(tmp_path, "toy", found, best)
    assert path.name == "dec_tf-training.png"
    assert "2 seeds" in caption
    assert [history["loss"].item() for history in drawn[path]] == [1, 0]
