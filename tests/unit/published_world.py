"""A small data set with everything that is published about it, computed here by other means than the suite's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.preprocessing import MinMaxScaler

from regimebench.evidence.verdict import Findings
from regimebench.preprocess import preprocess
from regimebench.verify import examine

DAYS, LAT, LON = 40, np.linspace(43, 42, 5), np.linspace(-33, -31.75, 6)
UNITS = {"t": "K", "p": "Pa", "flux": "J m-2"}
SPOTS = ((0, 0, 0), (0, -1, 0), (-1, -1, -1))  # day, row, column; the second place is only probable
K = 3


def make_fields(seed: int = 0) -> xr.Dataset:
    """Return daily fields with three regimes; t has no values in two cells."""
    rng = np.random.default_rng(seed)
    regime = np.repeat([0, 1, 2, 1, 0], DAYS // 5)
    pattern = rng.normal(size=(K, 3, 5, 6))
    fields = {}
    for index, (name, (mean, spread)) in enumerate({"t": (290, 5), "p": (1e5, 800), "flux": (-4e4, 9e3)}.items()):
        values = mean + spread * (pattern[regime, index] + rng.normal(size=(DAYS, 5, 6)))
        if name == "t":
            values[:, 2, 2:4] = np.nan
        fields[name] = (("time", "lat", "lon"), values, {"units": UNITS[name]})
    days = np.datetime64("2021-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    return xr.Dataset(fields, {"time": days, "lat": LAT, "lon": LON})


def matrix_of(fields: xr.Dataset, size: int | None = None) -> np.ndarray:
    """Return the matrix (time, column) that the authors score, on the grid or zero-padded to ``size`` cells."""
    stacked = fields.to_array().transpose("time", "lat", "lon", "variable").values
    if size:
        rows, columns = (size - n for n in stacked.shape[1:3])
        stacked = np.pad(stacked, [(0, 0), (0, rows), (0, columns), (0, 0)])
    filled = np.where(np.isnan(stacked), np.nanmean(stacked), stacked)
    return MinMaxScaler().fit_transform(filled.reshape(len(filled), -1))


def metrics_of(X: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return what the authors' notebooks print, written out from their definitions."""
    clusters = [X[labels == label] for label in np.unique(labels)]
    within = sum(((cluster - cluster.mean(axis=0)) ** 2).sum() for cluster in clusters)
    nearest = np.array([[cdist(a, b).max() if a is b else cdist(a, b).min() for b in clusters] for a in clusters])
    return {
        "silhouette": silhouette_score(X, labels, metric="cosine"),
        "davies_bouldin": davies_bouldin_score(X, labels),
        "rmse": np.sqrt(within / len(X)),
        "variance": sum(cluster.var() * len(cluster) for cluster in clusters) / len(X),
        "icd": nearest.min(axis=1).mean(),
    }


@dataclass
class World:
    """The data set, its published facts, and the folder to write them to; a test may change any of them."""

    folder: Path
    fields: xr.Dataset
    facts: dict[str, Any]
    labels: pd.DataFrame
    notebook: dict[str, dict[str, Any]]
    tables: list[dict[str, Any]]

    def examine(self, variant: str = "standard", name: str = "world") -> Findings:
        """Write the facts, preprocess the fields and return the findings."""
        data = {"world": self.facts, "other": {"n_days": DAYS, "unknown": "region and variables"}}
        (self.folder / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        (self.folder / "notebook.yaml").write_text(yaml.safe_dump(self.notebook))
        (self.folder / "tables.yaml").write_text(yaml.safe_dump(self.tables))
        self.labels.to_csv(self.folder / "labels.csv", index_label="date")
        return examine(preprocess(self.fields, variant, name=name), name, self.folder)


def make_world(folder: Path) -> World:
    """Return a world in which everything fits together."""
    fields = make_fields()
    X, days = matrix_of(fields), fields["time"].values.astype("datetime64[D]").astype(str).tolist()
    vectors = {name: KMeans(k, n_init=3, random_state=0).fit_predict(X) for name, k in (("one", 3), ("two", 4))}
    notebook = {
        "one": {"labels": "one", **{key: repr(float(value)) for key, value in metrics_of(X, vectors["one"]).items()}},
        "two_again": {"labels": "two", "row": "two"},
        "lost": {"labels": None, "rmse": "1.25"},
    }
    notebook["two_again"] |= {key: repr(float(value)) for key, value in metrics_of(X, vectors["two"]).items()}
    cut = {key: text[:6] for key, text in notebook["one"].items() if key != "labels"}
    rounded = {key: f"{float(text):.3f}" for key, text in notebook["two_again"].items() if key not in ("labels", "row")}
    later = {
        name: {"rmse": f"{metrics_of(X, v)['rmse']:.4f}", "calinski_harabasz": f"{calinski_harabasz_score(X, v):.4f}"}
        for name, v in (*vectors.items(), ("ward", np.arange(DAYS) // 14))
    }
    # One row whose RMSE and CH contradict each other, and one of other data.
    later["wrong"] = {**later["one"], "rmse": f"{0.9 * float(later['one']['rmse']):.4f}"}
    other = {row: {"rmse": rmse, "calinski_harabasz": "20.000"} for row, rmse in (("x", "1.0000"), ("y", "1.00000"))}
    tables = [
        {"id": "first", "source": "Table 1", "dataset": "world", "n_clusters": K, "rows": {"one": cut, "two": rounded}},
        {"id": "later", "source": "Table 2", "dataset": "world", "n_clusters": 4, "rows": later},
        {"id": "other", "source": "Table 3", "dataset": "other", "n_clusters": K, "rows": other},
    ]
    facts = {
        "n_days": DAYS, "days": [days[0], days[-1]], "shape": [5, 6], "lat": [43, 42], "lon": [-33, -31.75],
        "variables": UNITS, "missing": ["t"], "accumulated": ["flux"], "spots": [_spot(fields, *at) for at in SPOTS],
        "labels": "labels.csv", "metrics": "notebook.yaml", "label_tables": ["first"],
    }  # fmt: skip
    facts["spots"][1]["place"] = "probable"
    return World(folder, fields, facts, pd.DataFrame(vectors, index=days), notebook, tables)


def _spot(fields: xr.Dataset, day: int, row: int, column: int) -> dict[str, Any]:
    """Return the values of one cell with four digits."""
    at = fields.isel(time=day, lat=row, lon=column)
    date = str(at["time"].values.astype("datetime64[D]"))
    values = {name: f"{float(at[name]):.3e}" for name in UNITS}
    return {"lat": float(at["lat"]), "lon": float(at["lon"]), "day": date, "values": values}
