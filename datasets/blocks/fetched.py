"""What all data sets have in common whose files come from a service, in parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from datasets.blocks.parts import Part, missing, provenance, refuse_damaged
from regimebench.dataset import DataError, Dataset


def first_and_last(year: int | Sequence[int]) -> tuple[int, int]:
    """Return the first and the last year of a parameter that is a year or the two of them."""
    return (year, year) if isinstance(year, int) else (year[0], year[1])


def days_of(year: int | Sequence[int]) -> int:
    """Return the number of days of a parameter that is a year or the first and the last year."""
    first, last = first_and_last(year)
    return (date(last + 1, 1, 1) - date(first, 1, 1)).days


class Fetched(Dataset):
    """A data set that is fetched in parts; a plugin adds ``parts``, ``download`` and ``open``."""

    needs_key = False  # of the Climate Data Store

    def setting_problems(self) -> list[str]:
        """Return what is wrong with the parameters, one sentence each."""
        return []

    def parts(self) -> list[Part]:
        """Return the parts that the data set is made from, in the order of time; the parameters are right."""
        raise TypeError(f"{type(self).__name__} does not define parts()")

    def problems(self, folder: Path) -> list[str]:
        """Return wrong parameters, and a missing key if something is still to be fetched."""
        found = self.setting_problems()
        if found or not self.needs_key or not missing(self.parts(), folder):
            return found
        from datasets.blocks.credentials import credential_problems

        return credential_problems()

    def origin(self) -> dict[str, Any]:
        """Return nothing: every file names the request it answers, and what still fits is used again."""
        return {}

    def provenance(self, folder: Path) -> list[dict[str, Any]]:
        """Return request, job, checksums, licence and time of each part that is there."""
        return provenance(self.parts(), folder)

    def wanted(self) -> list[Part]:
        """Return the parts to fetch.

        Raises
        ------
        DataError
            If parameters are wrong; every one of them is named.
        """
        if found := self.setting_problems():
            raise DataError("\n".join(found))
        return self.parts()

    def fetched(self, folder: Path) -> list[Part]:
        """Return the parts to read, none of them changed since it was fetched.

        Raises
        ------
        DataError
            If parameters are wrong, or a file is not the one that was fetched.
        """
        parts = self.wanted()
        refuse_damaged(parts, folder)
        return parts
