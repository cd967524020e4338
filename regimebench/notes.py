"""What a reader must know beside a table: captions and legends, worded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from regimebench.alarms import ALARMS
from regimebench.evidence.inertia import judge_printed
from regimebench.evidence.published import DIFFERS, Published
from regimebench.stats.pairwise import ALPHA

if TYPE_CHECKING:
    from regimebench.results import Results
    from regimebench.stats.study import MetricStudy

MEDIANS = "Median over the runs that are ok, quartiles in brackets."
HEALTH = (
    "Median over the runs that have labels, degenerate ones included; docs/diagnostics.md says what each number means."
)
ONE_RUN = "One run out of many is not evidence of a difference: see the standard protocol."
SEEDS = (
    "Seeds stand for the noise of training on this data set: nothing here says that a difference holds on other data."
)
FAILURES = (
    "Failed and degenerate runs count as worse than any score, and equal among themselves; twins take no part "
    "(docs/statistics.md)."
)
TESTS = (
    "Tests: mann-whitney, both rows draw seeds of their own; signed-rank, seeds are paired; sign, the seeds of one row "
    "against the one score of a deterministic row; none, two scores without noise."
)
PADDING = (
    "The printed variances are of zero-padded arrays in some rows (near 0.10 on ERA5) and of unpadded ones in others "
    "(near 0.045), so each is set beside both of ours."
)


def budget(settings: dict[str, Any]) -> str:
    """Return the sentence that a shortened run needs in its caption."""
    if settings["budget"] == "full":
        return ""
    return " Smoke budget: iterative methods are cut short, so their rows show that they run, not what they can do."


def choice(settings: dict[str, Any]) -> list[str]:
    """Return the notes on what the papers do not say about their data and the data set or its user chooses."""
    if not settings["ours"]:
        return []
    changed = [f"{key} = {value}" for key, value in settings["changed"].items()]
    return [f"Our choice, not the papers': {settings['ours']}"] + (
        [f"Configured otherwise than by default: {', '.join(changed)}."] if changed else []
    )


def legend(results: Results) -> list[str]:
    """Return the notes on kinds of rows."""
    rows = results.rows
    named = {
        "Controls, which a method has to beat": [row["address"] for row in rows if row["kind"] == "control"],
        "Deterministic, so one run": [row["address"] for row in rows if row["deterministic"]],
        "Reconstructed from partial information (†)": [r["address"] for r in rows if r["fidelity"] == "reconstructed"],
        _twins(results.settings["budget"]): dict.fromkeys(map(_pair, (row for row in rows if row["kind"] == "twin"))),
        "Not marked best, because fewer than half of the runs are ok": results.unreliable,
        "Not marked best, because they find fewer clusters than asked (median)": [
            f"{address} ({results.clusters(address):g})" for address in results.few_clusters
        ],
    }
    found = [f"{text}: {', '.join(names)}." for text, names in named.items() if names]
    if results.references:
        found.append("In brackets: what the planted labels themselves score, and a solver that is told the mechanism.")
    return [*found, *_skipped(results.skipped)]


def marks(results: Results) -> list[str]:
    """Return a note on the alarms whose marks are shown."""
    shown = {alarm.mark for alarms in results.alarms.values() for alarm in alarms}
    if not shown:
        return []
    meanings = [f"{alarm.mark}: {alarm.sentence} ({alarm.rule})" for alarm in ALARMS if alarm.mark in shown]
    return [
        f"Marks, of alarms that at least half of a row's runs with labels raise. {'; '.join(meanings)}. "
        "Capitals are collapse: such runs are degenerate. Thresholds are ours (docs/diagnostics.md)."
    ]


def _twins(budget: str) -> str:
    smaller = ", here with smoke values of their own, so that rows need not agree" if budget == "smoke" else ""
    return f"Twins (‡), a second implementation in another framework, as evidence, and never ranked{smaller}"


def _pair(row: dict[str, Any]) -> str:
    """Return a twin's plugin and the one it repeats; variants have the same names."""
    return f"{row['address'].partition('/')[0]} ({row['twin_of'].partition('/')[0]})"


def _skipped(rows: dict[str, str]) -> list[str]:
    """Return one note per reason why rows are not shown, plugins named once with the number of their rows."""
    reasons: dict[str, Counter[str]] = {}
    for address, reason in rows.items():
        reasons.setdefault(reason, Counter())[address.partition("/")[0]] += 1
    return [
        f"Skipped: {', '.join(f'{name} ({_rows(n)})' for name, n in counts.items())}. {reason}."
        for reason, counts in reasons.items()
    ]


def _rows(n: int) -> str:
    return f"{n} row{'s' * (n > 1)}"


def unlike(source: str, printed: Iterable[str], published: Published) -> list[str]:
    """Return a note on printed rows whose RMSE and CH cannot belong to the data of the others.

    Parameters
    ----------
    source : str
        Where the rows are printed.
    printed : iterable of str
        Rows of that table that are shown.
    published : Published
        All that is printed about the data set.
    """
    common, rows = judge_printed(published)
    shown = set(printed)
    named = [row for row in rows if row.status == DIFFERS and row.row in shown and source in row.source.split("; ")]
    if not named:
        return []
    theirs = sum(common) / 2
    each = "; ".join(f"{row.row} {row.implied:.2f} ({row.note})" for row in named)
    return [
        "RMSE and CH together fix the total inertia of its data per day. Most printed rows of these data agree "
        f"on {theirs:.2f}; not so: {each}."
    ]


def left_out(settings: dict[str, Any], published: list[dict[str, Any]]) -> list[str]:
    """Return a note on printed tables that are not set beside ours because their number of clusters differs."""
    others = [entry["source"] for entry in published if entry["n_clusters"] != settings["n_clusters"]]
    return [f"Not set beside ours, because printed for another k: {'; '.join(others)}."] if others else []


def test(title: str, found: MetricStudy, reference: str | None, twins: bool) -> str:
    """Return what column p holds, and what it cannot show."""
    tested = found.pairs["p"].notna()
    if reference is None or not tested.any():
        return "p: no two rows have two runs each, so nothing can be tested."
    text = (
        f"p: the {title} of all runs against ref., the row of best median; failed runs rank last; "
        f"Holm-corrected over all {tested.sum()} pairs of rows, so that the choice of ref. needs no correction"
        f"{'; – for twins' if twins else ''} (docs/statistics.md)."
    )
    floor = found.pairs.loc[tested, "smallest_p"].min()
    if floor > ALPHA:
        text += f" With so few runs no p below {floor:.2g} can be reached: no difference can be significant here."
    return text
