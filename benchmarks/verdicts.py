"""How often rules for a verdict tell an equal method apart: writes ``docs/verdicts.md``.

``python -m benchmarks.verdicts`` (seconds)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from regimebench.papers.verdict import BEST_OF, interval

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verdicts.md"
DRAWS = 4000
RUNS = (5, 10, 20)
rng = np.random.default_rng(20)
SCATTER: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
    "normal": lambda size: rng.normal(size=size),
    "uniform": lambda size: rng.uniform(size=size),
    "two groups": lambda size: rng.normal(scale=0.3, size=size) + 2 * (rng.random(size) < 0.3),
    "long tail downwards (exponential)": lambda size: -rng.exponential(size=size),
    "long tail upwards (Gumbel)": lambda size: rng.gumbel(size=size),
    "heavy tails (t, 5 degrees)": lambda size: rng.standard_t(5, size=size),
}
Rule = Callable[[np.ndarray], tuple[float, float]]


def whole_range(ours: np.ndarray) -> tuple[float, float]:
    """Return the smallest and largest of our runs."""
    return ours.min(), ours.max()


def bootstrap(ours: np.ndarray) -> tuple[float, float]:
    """Return the central 95 % of the best of 20 runs drawn from ours with replacement."""
    ordered = np.sort(ours)
    share = (np.arange(1, len(ordered) + 1) / len(ordered)) ** BEST_OF
    return ordered[np.searchsorted(share, 0.025)], ordered[np.searchsorted(share, 0.975)]


def fences(ours: np.ndarray) -> tuple[float, float]:
    """Return the quartiles with 1.5 times their distance added (Tukey), or the range where that is wider."""
    low, high = np.quantile(ours, [0.25, 0.75])
    return min(low - 1.5 * (high - low), ours.min()), max(high + 1.5 * (high - low), ours.max())


RULES: dict[str, Rule] = {
    "range": whole_range,
    "bootstrap of the best": bootstrap,
    "Tukey's fences": fences,
    "this suite": lambda ours: interval(ours, BEST_OF, selected=True),
}


def rates(scatter: Callable[[tuple[int, int]], np.ndarray], n: int) -> list[str]:
    """Return, per rule, how often the best of 20 further runs lies above and below the interval from ``n`` runs."""
    ours, best = scatter((DRAWS, n)), scatter((DRAWS, BEST_OF)).max(axis=1)
    cells = []
    for rule in RULES.values():
        low, high = np.array([rule(each) for each in ours]).T
        cells.append(f"{np.mean(best > high):.1%} / {np.mean(best < low):.1%}")
    return cells


def main() -> None:
    """Write the page."""
    lines = ["| runs scatter | our runs | " + " | ".join(RULES) + " |", "| --- | --- |" + " --- |" * len(RULES)]
    for name, scatter in SCATTER.items():
        lines += [f"| {name} | {n} | " + " | ".join(rates(scatter, n)) + " |" for n in RUNS]
    PAGE.write_text(
        "# How often a rule tells an equal method apart\n\n"
        "Written by `python -m benchmarks.verdicts`. Ours and the printed method are the same; the printed number is "
        f"the best of {BEST_OF} further runs. Cells: how often it lies above / below the interval of each rule, in "
        f"{DRAWS} trials. The rule of this suite means 2.5 % on each side if runs scatter normally; below it is exact "
        "for any scatter. Why it was chosen: [decision 23](decisions/0023-verdicts-on-printed-numbers.md).\n\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
