"""What a reader must know in a minute, in sentences: what was compared, what can be told apart, what cannot be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from regimebench import notes
from regimebench.metrics import find
from regimebench.reporting.material import FIRST, Material
from regimebench.reporting.verdicts import Duel, against_control, against_untrained, best_row, not_told_from
from regimebench.stats.pairwise import ALPHA

__all__ = ["facts", "glance", "limits", "overall_limits", "sentences"]

MOST_NAMES = 8


def sentences(material: Material) -> list[str]:
    """Return what is found on one data set."""
    return [
        _compared(material),
        *_best(material),
        *_controls(material),
        *_training(material),
        *_lost(material),
        *_calendar(material),
    ]


def limits(material: Material) -> list[str]:
    """Return what may not be concluded from one data set."""
    found = [
        "All tests here are about training noise on these data: another seed, the same days. Nothing says that a "
        "method is better on other data.",
        "The metrics are internal: they reward compact, separate clusters in the input space, which is what k-means "
        "optimises by definition, and not physical meaning.",
    ]
    if material.settings["budget"] != "full":
        found.insert(0, notes.budget(material.settings).strip())
    if material.planted:
        found[-1] = (
            "Only the agreement with the planted regimes says whether a method found them; the other metrics reward "
            "compact clusters, planted or not."
        )
    return found


def overall_limits(n_datasets: int) -> list[str]:
    """Return what may not be concluded from all data sets together."""
    if n_datasets < 2:
        return ["With one data set no statement about methods in general is possible."]
    floor = 2 / 2**n_datasets
    text = (
        f"Across {n_datasets} data sets the smallest two-sided p that a signed-rank test of two methods can reach is "
        f"{floor:.2g}"
    )
    end = ": no difference between methods can be significant across them." if floor > ALPHA else ", before correction."
    return [text + end, "Seeds of several data sets are not pooled: they are no independent cases."]


def facts(material: Material) -> str:
    """Return what was computed on."""
    cube, settings = material.cube, material.settings
    if cube is None:
        return (
            "The data did not come with these results, so this section has no calendar, no maps and no picture of the "
            f"days; preprocessing {settings['preprocess']}, k = {settings['n_clusters']}."
        )
    shape, padded = (" x ".join(map(str, each.values.shape[1:3])) for each in (cube.unpadded(), cube))
    padding = f" (with zeros to {padded})" if padded != shape else ""
    return (
        f"{cube.n_days} days from {cube.time[0].astype('datetime64[D]')} to {cube.time[-1].astype('datetime64[D]')}, "
        f"{shape} cells{padding}, {len(cube.variables)} variables ({', '.join(cube.variables)}), "
        f"preprocessing {settings['preprocess']}, k = {settings['n_clusters']}."
    )


def glance(material: Material) -> dict[str, Any]:
    """Return one line about one data set for the table at the top."""
    statuses = Counter(material.results.records["status"])
    medians, best = material.medians(*FIRST), best_row(material)
    control, duels = against_control(material)
    return {
        "rows": len(material.results.rows),
        "runs": f"{statuses['ok']} of {statuses.total()}",
        "best": best,
        "value": _shown(medians[best]) if best else "–",
        "tied": len(not_told_from(material, best)[0]) if best else None,
        "control": control,
        "control_value": _shown(medians[control]) if control else "–",
        "beat_control": _tally(duels),
        "beat_untrained": _tally(against_untrained(material)),
    }


def _compared(material: Material) -> str:
    rows = material.results.rows
    kinds = Counter(row["kind"] for row in rows)
    parts = [_count(kinds["method"], "method or variant", "methods and variants"), _count(kinds["control"], "control")]
    parts += [_count(kinds["twin"], "twin")] if kinds["twin"] else []
    statuses = Counter(material.results.records["status"])
    return (
        f"{_count(len(rows), 'row')} ({', '.join(parts)}) with {_count(statuses.total(), 'run')}, of which "
        f"{statuses['ok']} {'is' if statuses['ok'] == 1 else 'are'} ok."
    )


def _best(material: Material) -> list[str]:
    best = best_row(material)
    if best is None:
        return ["No run is ok, so nothing can be compared."]
    title = find(*FIRST).title
    title = title[0].lower() + title[1:]
    text = f"By the {title}, {best} ranks first (median {_shown(material.medians(*FIRST)[best])})."
    pairs = material.study.metric(*FIRST).pairs
    if not pairs["p"].notna().any():
        return [text + " Too few rows have two runs for a test."]
    tied, untested = not_told_from(material, best)
    told = (
        f"{_count(len(tied), 'row')} cannot be told from {best} at the 5 % level: {_names(tied)}."
        if tied
        else f"Every other row that can be tested is significantly worse than {best}."
    )
    told += f" Too few runs to be tested against it: {_names(untested)}." if untested else ""
    floor = pairs["smallest_p"].min()
    if floor > ALPHA:
        told += (
            f" With so few runs no corrected p below {floor:.2g} can be reached: no two rows that draw seeds can be "
            "told apart."
        )
    return [text, told]


def _controls(material: Material) -> list[str]:
    control, duels = against_control(material)
    if control is None or not duels:
        return []
    above = [duel.row for duel in duels if duel.median_is_better]
    text = f"The best control is {control} ({_shown(material.medians(*FIRST)[control])}). "
    many = _count(len(duels), "method or variant", "methods and variants")
    if not above:
        return [text + (f"None of {many} has" if len(duels) > 1 else f"{duels[0].row} has not") + " a better median."]
    text += f"{len(above)} of {many} {'has' if len(above) == 1 else 'have'} a better median: {_names(above)}. "
    return [text + f"Significantly better: {_names(duel.row for duel in duels if duel.verdict == 'better')}."]


def _training(material: Material) -> list[str]:
    duels = against_untrained(material)
    if not duels:
        return []
    groups = {name: [d.row for d in duels if d.verdict == name] for name in ("better", "worse", "open", "untested")}
    words = {
        "better": "better than their untrained selves",
        "worse": "worse than them",
        "open": "not to be told from them",
        "untested": "not tested",
    }
    parts = [f"{len(rows)} {words[name]} ({_names(rows)})" for name, rows in groups.items() if rows]
    return [
        f"Does training help? Of {_count(len(duels), 'trained row')} with an untrained self, at the 5 % level: "
        f"{'; '.join(parts)}."
    ]


def _lost(material: Material) -> list[str]:
    statuses = Counter(material.results.records["status"])
    others = [f"{n} {status}" for status, n in statuses.most_common() if status != "ok"]
    found = [f"Not ok: {', '.join(others)}; the messages stand below."] if others else []
    if material.results.few_clusters:
        found.append(f"Fewer clusters than asked (median), so not comparable: {_names(material.results.few_clusters)}.")
    return found


def _calendar(material: Material) -> list[str]:
    """Return rows whose alarms say that their labels tell little about the data."""
    found = []
    for mark, text in (
        ("c", "Labels are blocks of the calendar"),
        ("w", "The raw data give the same labels without the network"),
        ("p", "Labels are made by the post-processing"),
    ):
        rows = [row["address"] for row in material.results.rows if row["kind"] != "control"]
        rows = [address for address in rows if mark in {alarm.mark for alarm in material.results.alarms[address]}]
        if rows:
            found.append(f"{text} (mark {mark}): {_names(rows)}.")
    return found


def _tally(duels: Sequence[Duel]) -> str:
    """Return how many duels are won for sure."""
    if not duels:
        return "–"
    tested = [duel for duel in duels if duel.verdict != "untested"]
    if not tested:
        return f"no test, {len(duels)} rows"
    return f"{sum(duel.verdict == 'better' for duel in tested)} of {len(tested)}"


def _names(addresses: Iterable[str]) -> str:
    names = list(addresses)
    if not names:
        return "none"
    if len(names) > MOST_NAMES:
        return ", ".join(names[:MOST_NAMES]) + f" and {len(names) - MOST_NAMES} more"
    return ", ".join(names)


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _shown(value: float) -> str:
    return f"{value:.3f}".replace("-", "\u2212")
