"""Printed tables beside what they were made from, what they emphasise, what they leave out, and each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from regimebench.audit.finding import Finding, table
from regimebench.evidence.labels import NOT_METRICS, printed_numbers
from regimebench.evidence.published import Printed, Published
from regimebench.metrics import find
from regimebench.papers.layouts import Layout, Part

__all__ = ["distance", "emphasis", "listed", "notebooks", "twice"]


def notebooks(datasets: list[Published]) -> Finding:
    """Return how the tables' numbers follow from those of the notebooks."""
    rows = []
    for published in datasets:
        printed = printed_numbers(published) if published.notebook else {}
        for row, entry in published.notebook.items():
            for metric, text in entry.items():
                told = printed.get((entry.get("row", row), metric))
                if metric not in NOT_METRICS and told is not None:
                    rows.append([entry.get("row", row), metric, text, told, Printed(told).made_from(float(text))])
    counts = Counter(row[-1] for row in rows)
    sentences = [
        f"{len(rows)} numbers of the tables have one in a notebook: {counts['rounded']} are that number rounded, "
        f"{counts['cut']} are it with the further digits cut off, {counts['no']} neither."
    ]
    sentences += [
        f"{row} {metric}: {told} in the table, {text} in the notebook."
        for row, metric, text, told, how in rows
        if how == "no"
    ]
    question = "Does each number of a table follow from the one that the authors' notebook prints at full precision?"
    made = table("Numbers of the tables and of the notebooks", ["row", "metric", "notebook", "table", "made by"], rows)
    return Finding("notebooks", "Tables and notebooks", question, sentences, [made])


def distance(datasets: list[Published]) -> Finding:
    """Return what the rule that a notebook states for the inter-cluster distance would need."""
    sentences = [text for published in datasets for text in _row_means(published)]
    question = (
        "The notebooks fill a matrix with the smallest distance between two clusters, and on its diagonal the largest "
        "distance inside a cluster, and take the mean over clusters of the smallest entry of a row. One notebook takes "
        "the mean of the row instead. Two days of a cluster are √2 times as far apart as they are from its mean (root "
        "mean square), so the diagonal is about √2 RMSE or more."
    )
    return Finding("distance", "Inter-cluster distance", question, sentences)


def _row_means(published: Published) -> Iterator[str]:
    for row, entry in published.notebook.items():
        if "evaluated_on" not in entry:
            continue
        k = int(published.tables[0]["n_clusters"])
        diagonal = 2**0.5 * float(entry["rmse"])
        rest = (k * float(entry["icd"]) - diagonal) / (k - 1)
        others = [float(e["icd"]) for r, e in published.notebook.items() if r != row and "icd" in e]
        value = float(entry["icd"])
        yield (
            f"{row}: the notebook prints {value:.4f}, and its cell takes the mean of the row. The diagonal would be "
            f"about √2 · {float(entry['rmse']):.3f} = {diagonal:.2f}, and the other {k - 1} entries "
            f"({k} · {value:.3f} − {diagonal:.2f})/{k - 1} = {rest:.2f} on average. In the other notebooks the smallest "
            f"entries alone average {min(others):.2f} to {max(others):.2f}, and no mean of a row is below its smallest "
            f"entry. Read as a mean of smallest entries, {value:.2f} is the largest of them."
        )


def listed(layouts: list[Layout]) -> Finding:
    """Return the methods that a paper says it compares with and does not print."""
    sentences = []
    for layout in layouts:
        if layout.listed:
            missing = [name for name, row in layout.listed.methods.items() if row not in layout.methods]
            named = ", ".join(missing) if missing else "none"
            where = f"{layout.source}: {layout.listed.place} lists {len(layout.listed.methods)} methods to compare with"
            sentences.append(f"{where}; without a row in the table: {named}.")
    question = "Does every method that a paper lists have a row in its table?"
    return Finding("listed", "Methods listed and printed", question, sentences)


def emphasis(layouts: list[Layout]) -> Finding:
    """Return where the emphasised number of a metric is not the best one."""
    rows, count = [], 0
    for layout in layouts:
        for part in layout.parts:
            for metric in layout.metrics:
                count += 1
                best, shown = _best(layout, part, metric), _shown(layout, part, metric)
                if best != shown:
                    where = f"{layout.source}{f', {part.title}' if part.title else ''}"
                    rows.append(
                        [where, layout.metrics[metric], _named(part, metric, best), _named(part, metric, shown)]
                    )
    sentences = [
        f"In {count - len(rows)} of {count} comparisons of a metric over methods the best numbers, and no others, are "
        "set in bold or italics."
    ]
    sentences += [
        f"{layout.source}: the caption says underlined; the emphasised numbers are set in bold or italics."
        for layout in layouts
        if "underlined" in layout.caption
    ]
    made = table("Where they differ", ["table", "metric", "best", "emphasised"], rows)
    question = "Is the number that a table emphasises the best of its metric?"
    return Finding("emphasis", "Emphasis", question, sentences, [made] if rows else [])


def _best(layout: Layout, part: Part, metric: str) -> list[str]:
    values = {row: part.numbers[row, metric].value for row in layout.methods}
    best = (max if find("paper", metric).better == "higher" else min)(values.values())
    return [row for row, value in values.items() if value == best]


def _shown(layout: Layout, part: Part, metric: str) -> list[str]:
    return [row for row in layout.methods if (row, metric) in part.emphasis]


def _named(part: Part, metric: str, rows: list[str]) -> str:
    return ", ".join(f"{row} {part.numbers[row, metric].text}" for row in rows) or "none"


def twice(datasets: list[Published]) -> Finding:
    """Return the rows that two papers print for the same method and data set."""
    rows = []
    for published in datasets:
        found: dict[tuple[str, str], dict[str, str]] = {}
        for entry in published.tables:
            paper = entry["source"].partition(", Table")[0]
            for row, values in entry["rows"].items():
                for metric, text in values.items():
                    found.setdefault((row, metric), {}).setdefault(paper, text)
        rows += [
            [row, metric, *texts.values(), f"{float(last) - float(first):+.4g}"]
            for (row, metric), texts in found.items()
            if len(texts) == 2
            for first, last in [texts.values()]
        ]
    methods = list(dict.fromkeys(row[0] for row in rows))
    equal = sum(float(row[2]) == float(row[3]) for row in rows)
    sentences = [
        f"{len(methods)} methods are printed by both papers for the same data set ({', '.join(methods)}), with "
        f"{len(rows)} numbers; {equal} are equal. Runs, hyper-parameters and padding may differ."
    ]
    made = table(
        "Printed by both papers", ["row", "metric", "arXiv 2304.14541", "arXiv 2510.18004", "difference"], rows
    )
    question = "What do two papers print for the same method on the same data set?"
    return Finding("twice", "Rows in both papers", question, sentences, [made] if rows else [])
