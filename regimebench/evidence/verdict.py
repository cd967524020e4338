"""What the evidence on one cube comes to: one word and one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from regimebench.evidence.fields import Fact, Spot
from regimebench.evidence.inertia import Inertia, Row
from regimebench.evidence.labels import Labels, Number
from regimebench.evidence.published import AGREES, DIFFERS, NEAR, OPEN

__all__ = ["CONSISTENT", "OTHER", "UNDECIDED", "Findings"]

CONSISTENT, OTHER, UNDECIDED = "consistent with the authors' file", "differs", "cannot be decided"
NAMED = 3  # differences that the sentence names


@dataclass(frozen=True)
class Findings:
    """All evidence on one cube.

    Parameters
    ----------
    dataset, published : str
        Name of the data set, and the key under which facts about it are published.
    unknown : str
        What of the papers' data is not published, empty for nothing.
    facts, spots, inertia, labels
        See the modules they come from.
    """

    dataset: str
    published: str
    unknown: str
    facts: list[Fact]
    spots: list[Spot]
    inertia: Inertia
    labels: Labels

    @property
    def word(self) -> str:
        """The verdict's first words, one of :data:`CONSISTENT`, :data:`OTHER` and :data:`UNDECIDED`."""
        statuses = [fact.status for fact in self.facts] + [self.spot_status, self.inertia.status, self.labels.status]
        if DIFFERS in statuses:
            return OTHER
        decided = self.spot_status in (AGREES, NEAR) and self.inertia.status in (AGREES, NEAR)
        return CONSISTENT if decided and not self.unknown else UNDECIDED

    @property
    def verdict(self) -> str:
        """The verdict with its reasons."""
        chosen = self._differences() if self.word == OTHER else self._reasons()
        return f"{self.word}: {'; '.join(chosen)}."

    @property
    def counted(self) -> list[Spot]:
        """Printed values that can be compared and decide: those of a probable place only if most agree there."""
        compared = [spot for spot in self.spots if spot.status != OPEN]
        doubtful = [spot for spot in compared if spot.probable]
        misplaced = sum(spot.status == DIFFERS for spot in doubtful) > len(doubtful) / 2
        return [spot for spot in compared if not (misplaced and spot.probable)]

    @property
    def spot_status(self) -> str:
        """The status of all printed values together; packing may have moved some last digits, but not most of them."""
        if not self.counted:
            return OPEN
        near = len(self._with(NEAR))
        if self._with(DIFFERS) or near > len(self.counted) / 2:
            return DIFFERS
        return NEAR if near else AGREES

    def _with(self, status: str) -> list[Spot]:
        return [spot for spot in self.counted if spot.status == status]

    @property
    def spot_sentence(self) -> str:
        """How many printed values agree, and which do not."""
        wrong, near = self._with(DIFFERS), self._with(NEAR)
        if not wrong:
            agree = len(self.counted) - len(near)
            text = f"{agree} of {len(self.spots)} printed values agree in every digit" + self._left_out()
            named = _listed([spot.sentence for spot in near])
            return text + (f", {len(near)} but for one unit of the last: {named}" if near else "")
        text = f"{len(wrong)} of {len(self.counted)} printed values differ: {_listed([s.sentence for s in wrong])}"
        if all(spot.accumulated for spot in wrong):
            text += ", all of them fluxes, which depend on the hours that make a day (01-24 or 00-23 UTC)"
        return text + self._left_out()

    def _left_out(self) -> str:
        absent = sum(spot.status == OPEN for spot in self.spots)
        misplaced = len(self.spots) - absent - len(self.counted)
        parts = [f"{absent} cannot be compared"] if absent else []
        parts += [f"{misplaced} do not count: their place is only probable, and most differ"] if misplaced else []
        return f" ({', '.join(parts)})" if parts else ""

    def _differences(self) -> Iterator[str]:
        for fact in self.facts:
            if fact.status == DIFFERS:
                yield f"{fact.name}: here {fact.ours}, in the authors' file {fact.theirs}"
        if self.spot_status == DIFFERS:
            yield self.spot_sentence
        if self.inertia.status == DIFFERS:
            yield self.inertia.sentence
        if self.labels.status == DIFFERS:
            yield self.labels.sentence
        if self.unknown:
            yield f"{self._nothing_says()}, so these cannot be taken for the papers' data"

    def _reasons(self) -> Iterator[str]:
        if self.inertia.theirs is None and not self.facts:
            yield f"nothing that could be compared is published about {self.published!r}"
            return
        if self.spots:
            yield self.spot_sentence
        yield self.inertia.sentence
        if self.labels.numbers:
            missed = self.labels.missed
            yield self.labels.sentence + (f"; not reproduced: {_listed(missed, 3 * NAMED)}" if missed else "")
        for fact in self.facts:
            if fact.status == NEAR:
                yield f"{fact.name}: here {fact.ours}, in the authors' file {fact.theirs}, which changes no metric"
        if self.unknown:
            yield self._nothing_says()

    def _nothing_says(self) -> str:
        return f"nothing published says which {self.unknown} the papers used"

    def as_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready, the verdict first."""
        return {"word": self.word, "verdict": self.verdict, **asdict(self)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Findings:
        """Return what :meth:`as_json` was made from."""
        inertia, labels = document["inertia"], document["labels"]
        return cls(
            dataset=document["dataset"],
            published=document["published"],
            unknown=document["unknown"],
            facts=[Fact(**entry) for entry in document["facts"]],
            spots=[Spot(**entry) for entry in document["spots"]],
            inertia=Inertia(**{**inertia, "rows": [Row(**row) for row in inertia["rows"]]}),
            labels=Labels(**{**labels, "numbers": [Number(**number) for number in labels["numbers"]]}),
        )


def _listed(items: Sequence[str], most: int = NAMED) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
