"""Write ``docs/post-processing.md``: what the constants between C and the labels decide.

Run ``python -m benchmarks.post_processing`` (a minute on one core).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from tabulate import tabulate

from methods.blocks.self_expression import ridge
from methods.blocks.spectral import DEFAULT, PRESETS, Preset, affinity, cut, plain_affinity
from regimebench.files import replacing

PAGE = Path(__file__).resolve().parents[1] / "docs" / "post-processing.md"
SIZES = (65, 62, 60, 58, 55, 45, 20)  # 365 days
DIMENSIONS, WIDTH, NOISES = 4, 40, (0.1, 0.15, 0.2)
WEIGHT = 1.0
DRAWS, CUTS = 3, 10

VARIED: dict[str, Preset] = {
    "no threshold, 4 dimensions": Preset(1.0, DIMENSIONS, 8),
    f"`{DEFAULT}`, no threshold": replace(PRESETS[DEFAULT], rho=1.0),
    f"`{DEFAULT}`, 4 dimensions": replace(PRESETS[DEFAULT], d=DIMENSIONS),
    f"`{DEFAULT}`, no power": replace(PRESETS[DEFAULT], alpha=1.0),
    f"`{DEFAULT}`, abs": replace(PRESETS[DEFAULT], negatives="abs"),
}


def subspaces(noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy days (365, 40) in seven 4-dimensional subspaces of unequal sizes, and the subspace of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    bases = [np.linalg.qr(rng.standard_normal((WIDTH, DIMENSIONS)))[0] for _ in SIZES]
    days = np.array([bases[i] @ rng.standard_normal(DIMENSIONS) for i in truth])
    return days + noise * rng.standard_normal(days.shape), truth


def affinities(C: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Return the affinity by each preset, each variation and none."""
    presets = {f"`{name}`": preset for name, preset in PRESETS.items()} | VARIED
    made = {name: affinity(C, k, preset) for name, preset in presets.items()}
    return {**made, "plain cut of abs(C)": plain_affinity(C)}


def constants(name: str, k: int) -> list[str]:
    """Return share kept, dimensions, power, treatment of negatives and diagonal, as shown."""
    preset = {f"`{name}`": preset for name, preset in PRESETS.items()}.get(name, VARIED.get(name))
    if preset is None:
        return [""] * 5
    numbers = [f"{number:g}" for number in (preset.share(k), preset.d, preset.alpha)]
    return [*numbers, preset.negatives, "1" if preset.diagonal else "as it is"]


def spread(values: list[float]) -> str:
    """Return the median, and the range."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def cuts(noise: float, draw: int) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """Return the truth, and the labels that each affinity of one C gives with each seed of the discretisation."""
    days, truth = subspaces(noise, draw)
    k = len(SIZES)
    found = {
        name: [cut(A, k, seed) for seed in range(CUTS)]
        for name, A in affinities(ridge(torch.from_numpy(days), WEIGHT).numpy(), k).items()
    }
    found["k-means on the days"] = [KMeans(k, n_init=10, random_state=0).fit_predict(days)]
    return truth, found


def cell(truths: list[np.ndarray], found: list[list[np.ndarray]]) -> str:
    """Return the ARI to the truth over data sets and seeds, and the least ARI between the seeds of one data set."""
    to_truth = [adjusted_rand_score(truth, one) for truth, each in zip(truths, found, strict=True) for one in each]
    least = [min(adjusted_rand_score(*pair) for pair in combinations(each, 2)) for each in found if len(each) > 1]
    return spread(to_truth) + (f"; {np.median(least):.2f}" if least else "")


def page() -> str:
    """Return the page."""
    k = len(SIZES)
    columns, clip_or_abs = {}, []
    for noise in NOISES:
        truths, found = zip(*(cuts(noise, draw) for draw in range(DRAWS)), strict=True)
        columns[noise] = {name: cell(truths, [each[name] for each in found]) for name in found[0]}
        pairs = [(each[f"`{DEFAULT}`"][0], each[f"`{DEFAULT}`, abs"][0]) for each in found]
        clip_or_abs.append(f"{np.median([adjusted_rand_score(*pair) for pair in pairs]):.2f}")
    rows = [[name, *constants(name, k), *(columns[noise][name] for noise in NOISES)] for name in columns[NOISES[0]]]
    head = ["constants", "rho", "d", "alpha", "negatives", "diagonal", *(f"noise {noise:g}" for noise in NOISES)]
    return f"""# What the post-processing decides

Written by `python -m benchmarks.post_processing`. Do not edit.

Days in a union of {k} subspaces of {DIMENSIONS} dimensions in {WIDTH}, {min(SIZES)} to {max(SIZES)} days each,
{sum(SIZES)} in all; a day's own part has length 2 on average, noise the standard deviation shown in each column.
C is the ridge solution of ||X - C X||^2 + {WEIGHT:g} ||C||^2, the same for all rows. No network is involved: the table
says what the constants between C and labels do, not what any method reaches. Presets are constants of official codes
([methods/blocks/spectral.py](../methods/blocks/spectral.py)); all methods here share `{DEFAULT}`.

Each cell: adjusted Rand index with the truth, median (range) over {DRAWS} data sets and {CUTS} seeds of the
discretisation, which official codes leave unseeded; then the least index between two of the {CUTS} cuts of one
affinity, median over data sets.

{tabulate(rows, head, tablefmt="pipe", disable_numparse=True)}

Clipping negative affinities (DSC-Net) or taking their size (DASC), all else as in `{DEFAULT}`, gives partitions with an
index of {", ".join(clip_or_abs)} to each other at the three levels of noise (median).

By these constants labels of one C differ as much as methods differ in a table. To choose constants for a data set takes
its labels; so here none are chosen: one preset, fixed beforehand, serves all self-expressive methods, whatever stands
above, and the plain cut and the same post-processing of the raw data's C stand in every record beside the labels
([decision 16](decisions/0016-one-spectral-post-processing.md)).
"""


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with replacing(PAGE) as temporary:
        temporary.write_text(page())


if __name__ == "__main__":
    main()
