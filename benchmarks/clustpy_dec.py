"""DEC and IDEC beside those of ClustPy: same data, network, start and optimiser; quality over seeds and time.

ClustPy is an independent package (Leiber, Miklautz, Plant and Boehm; BSD-3-Clause) and not needed by this project:
``pip install -c requirements.lock clustpy`` adds it without changing the pinned torch. Run
``python -m benchmarks.clustpy_dec``, which writes ``docs/clustpy.md``; with ``--seeds 2 --epochs-scale 0.05`` it is a
quick look.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from tabulate import tabulate

from benchmarks import clustpy_side
from regimebench import provenance, registry
from regimebench.preprocess import preprocess
from regimebench.stats.exact import rank_sum_p

OUT = Path(__file__).resolve().parents[1] / "docs" / "clustpy.md"
METHODS = {"DEC": "dec", "IDEC": "dec/idec"}
SMALL, PAPER, CODE, BATCH = [64, 64, 256], [500, 500, 2000], 10, 256
SCORES = {"ARI": adjusted_rand_score, "NMI": normalized_mutual_info_score}
DIFFERENCES = """\
What stays different, as found in the source of ClustPy (`clustpy/deep/dec.py`):

- its target P is made anew in each step, from the Q of that batch alone; ours, as in the DEC paper, from all days every
  20 (DEC) or 30 (IDEC) steps, and is fixed in between;
- it minimises the cross-entropy of P and Q, which has the same gradient as the divergence, since P is held fixed;
- it draws a new order of the days in each pass of both phases; ours in pre-training only;
- it runs for a fixed number of passes; ours was told to (`tol: 0`);
- its random numbers are others, so no single run can agree.

Set on its side to be as ours: ReLU (its default is LeakyReLU), biases that start at zero, SGD (Adam), mean squared
error over all elements (it sums over the columns), 20 starts of k-means (1), and the labels of the soft assignment
(`dec_labels_`; its `labels_` come from a last k-means). Its augmentation is off, as by default. Set on ours: no
layer-wise phase (`layer_steps: 0`), weights from U(-1 / sqrt(fan-in), 1 / sqrt(fan-in)), which is torch's default and
so ClustPy's, a constant rate, and momentum that is kept at a new target. How many passes of pre-training the planted
data get was chosen by looking at our side, seed 0."""


@dataclass(frozen=True)
class Data:
    """Table (days, columns) of mean square 1, its true labels, and passes of pre-training and clustering."""

    name: str
    x: np.ndarray
    truth: np.ndarray
    pretraining: int
    clustering: int

    @property
    def k(self) -> int:
        """Number of true clusters."""
        return len(np.unique(self.truth))


def digits() -> Data:
    """Return scikit-learn's digits: 1797 images of 8 x 8 pixels."""
    x, truth = load_digits(return_X_y=True)
    return Data("scikit-learn digits", unit(x), truth, 100, 50)


def planted(side: int, n_variables: int) -> Data:
    """Return a planted year of seven regimes (datasets/synthetic, family centroids)."""
    spec = registry.dataset("synthetic")
    shape = {"height": side, "width": side, "n_variables": n_variables}
    dataset = registry.load(spec)(**{**spec.parameters, "family": "centroids", **shape})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset.download(folder)
        cube = preprocess(dataset.open(folder), "standard", name="planted")
        truth = dataset.truth(folder)
    return Data(f"planted centroids, {side} x {side} x {n_variables}", unit(cube.table), truth, 2000, 100)


def unit(x: np.ndarray) -> np.ndarray:
    """Scale to a mean square of 1, as the DEC plugin does itself."""
    return (x / np.sqrt(np.mean(np.square(x, dtype=float)))).astype(np.float32)


def ours(method: str, data: Data, hidden: list[int], seed: int, pretraining: int, clustering: int) -> np.ndarray:
    """Return the labels of this project's plugin after so many passes."""
    spec = registry.method(METHODS[method])
    steps = -(-len(data.x) // BATCH)
    same = {
        "hidden": hidden,
        "code": CODE,
        "initialiser": "variance_scaling",
        "layer_steps": 0,
        "decay_steps": None,
        "reset_momentum": False,
        "tol": 0.0,
        "batch_size": BATCH,
        "joint_steps": steps * pretraining,
        "max_steps": steps * clustering,
    }
    plugin = registry.load(spec)(n_clusters=data.k, seed=seed, **{**spec.parameters, **same})
    return plugin.fit(SimpleNamespace(table=data.x)).labels


def theirs(method: str, data: Data, hidden: list[int], seed: int, pretraining: int, clustering: int) -> np.ndarray:
    """Return the labels of ClustPy's class after so many passes."""
    parameters = registry.method(METHODS[method]).parameters
    sizes = [data.x.shape[1], *hidden, CODE]
    return clustpy_side.fit(method, data.x, data.k, parameters, sizes, BATCH, seed, pretraining, clustering)


SIDES: dict[str, Callable[..., np.ndarray]] = {"ours": ours, "ClustPy": theirs}


def spread(values: np.ndarray, form: str = ".3f") -> str:
    """Return median and quartiles as text."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def quality(data: Data, seeds: int) -> list[list[str]]:
    """Return the rows of the table of scores for one data set."""
    rows = []
    start = [KMeans(data.k, n_init=20, random_state=seed).fit_predict(data.x) for seed in range(seeds)]
    rows += [[data.name, "k-means", score, spread(of(start, data, score)), "", "", "", ""] for score in SCORES]
    for method in METHODS:
        labels: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
        for seed in range(seeds):
            for side, run in SIDES.items():
                labels[side].append(run(method, data, SMALL, seed, data.pretraining, data.clustering))
        rows += [[data.name, method, score, *compared(labels, data, score)] for score in SCORES]
    return rows


def of(labels: list[np.ndarray], data: Data, score: str) -> np.ndarray:
    """Return the score of each partition."""
    return np.array([SCORES[score](data.truth, one) for one in labels])


def compared(labels: dict[str, list[np.ndarray]], data: Data, score: str) -> list[str]:
    """Return both sides' spread, the difference of their medians, the larger interquartile range, p and the verdict."""
    one, other = (of(labels[side], data, score) for side in SIDES)
    difference = np.median(one) - np.median(other)
    noise = max(np.subtract(*np.quantile(values, [0.75, 0.25])) for values in (one, other))
    p = rank_sum_p(one, other)
    verdict = "not told apart" if p >= 0.05 else f"ours {'higher' if difference > 0 else 'lower'}"
    return [spread(one), spread(other), f"{difference:+.3f}, IQR {noise:.3f}", f"{p:.3f}", verdict]


def speed(data: Data, repeats: int, passes: int) -> list[list[str]]:
    """Return the rows of the table of seconds per pass for one data set; the sides take turns."""
    rows = []
    for method in METHODS:
        found: dict[tuple[str, str], list[float]] = {}
        for repeat in range(repeats):
            for side, run in SIDES.items():
                fit = partial(run, method, data, PAPER, repeat)
                nothing, first, both = seconds(fit, 0, 0), seconds(fit, passes, 0), seconds(fit, passes, passes)
                found.setdefault(("pre-training", side), []).append((first - nothing) / passes)
                # After pre-training: with some seeds ClustPy's clustering of an untrained network ends in NaN.
                found.setdefault(("clustering", side), []).append((both - first) / passes)
        for phase in ("pre-training", "clustering"):
            one, other = (np.array(found[phase, side]) for side in SIDES)
            rows.append([data.name, method, phase, spread(one), spread(other), spread(other / one, ".2f")])
    return rows


def seconds(fit: Callable[[int, int], np.ndarray], pretraining: int, clustering: int) -> float:
    """Return the CPU time of one fit, on one thread: other work on the machine has less part in it."""
    start = time.process_time()
    fit(pretraining, clustering)
    return time.process_time() - start


def page(chosen: argparse.Namespace) -> str:
    """Run everything and return the page."""
    sets = [digits(), planted(16, 3)]
    scale = chosen.epochs_scale
    sets = [Data(d.name, d.x, d.truth, round(d.pretraining * scale), round(d.clustering * scale)) for d in sets]
    times = [row for data in (digits(), planted(41, 7)) for row in speed(data, chosen.repeats, chosen.passes)]
    scores = [row for data in sets for row in quality(data, chosen.seeds)]
    machine = ", ".join(f"{key} {value}" for key, value in provenance.machine().items())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "clustpy", "scikit-learn"))
    network, paper = ("-".join(map(str, ["d", *hidden, CODE])) for hidden in (SMALL, PAPER))
    counts = "; ".join(f"{d.name}: {len(d.x)} rows, {d.pretraining} + {d.clustering}" for d in sets)
    different = sorted({f"{row[1]} on {row[0]}" for row in scores if row[-1] not in ("", "not told apart")})
    summary = (
        "No comparison can be told apart from seed noise." if not different else f"Different: {'; '.join(different)}."
    )
    command = f"python -m benchmarks.clustpy_dec --seeds {chosen.seeds} --repeats {chosen.repeats}"
    if scale != 1:
        command += f" --epochs-scale {scale:g}"
    return f"""# DEC and IDEC beside ClustPy's

Written by `{command}` on {datetime.date.today()}
({machine}; {torch.get_num_threads()} thread; {versions}). Do not edit.

## Quality

Network {network}, batches of {BATCH}, {chosen.seeds} seeds. Passes of pre-training and clustering: {counts}.
Median (quartiles) over seeds, and the larger of the two interquartile ranges; p: two-sided Mann-Whitney test, not
corrected for the number of rows; below 0.05 the sides are told apart. A score far below that of k-means means too
little training for the comparison to say much. **{summary}**

{table(scores, ["data", "method", "score", *SIDES, "difference of medians", "p", ""])}

{DIFFERENCES}

## CPU seconds per pass

Network {paper}, batches of {BATCH}, {chosen.repeats} repeats, in which the sides take turns.
Each number is the CPU time of {chosen.passes} passes of a phase, less that of a fit without them, per pass: median
(quartiles). A ratio above 1: ours is faster. Other work may run on the machine, so read the ratios, not the seconds. On
the wide data ours trains in the smaller basis that days and last layer span, which is the same training
(methods/dec/README.md); the change of basis itself, once per fit, is not in a pass.

{table(times, ["data", "method", "phase", "ours, s", "ClustPy, s", "ClustPy / ours"])}
"""


def table(rows: list[list[str]], head: list[str]) -> str:
    """Return a Markdown table."""
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)


def main() -> None:
    """Write the page, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each timing")
    parser.add_argument("--passes", type=int, default=20, help="passes per timing; few drown in the time of the rest")
    parser.add_argument("--epochs-scale", type=float, default=1.0, help="share of the passes, for a quick look")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    if find_spec("clustpy") is None:
        print("ClustPy is not installed, so there is nothing to compare: pip install -c requirements.lock clustpy")
        return
    clustpy_side.load()
    torch.set_num_threads(1)
    chosen.out.write_text(page(chosen))
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    main()
