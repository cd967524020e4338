"""The calendar as a clustering: what a score is worth when only the season is known."""

from __future__ import annotations

import numpy as np

from regimebench.method import Cube, Fit, Method


class Plugin(Method):
    """Cut the year into ``n_clusters`` blocks with equally many calendar days."""

    def fit(self, cube: Cube) -> Fit:
        """Label the days of ``cube`` by their date alone; nothing is random.

        Raises
        ------
        ValueError
            If the cube has fewer calendar days than clusters.
        """
        day = calendar_day(cube.time)
        present = np.unique(day)
        if present.size < self.n_clusters:
            raise ValueError(
                f"the cube has {present.size} different calendar days, too few for {self.n_clusters} blocks of the "
                "year; ask for fewer clusters"
            )
        since_start = (day - season_start(present, 365 / self.n_clusters)) % 365
        rank = np.searchsorted(np.unique(since_start), since_start)
        labels = rank * self.n_clusters // present.size
        return Fit(labels=labels, n_parameters=0, epochs=0, stop_reason="nothing to train")


def calendar_day(time: np.ndarray) -> np.ndarray:
    """Return the day of a 365-day year, 0..364, for dates of any year; 29 February counts as 28 February.

    Parameters
    ----------
    time : ndarray of datetime64, shape (n_days,)
        Dates.
    """
    date = time.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    day_of_month = (date - month).astype(int)
    month_of_year = month.astype(int) % 12
    day_of_month[(month_of_year == 1) & (day_of_month == 28)] = 27
    first_of_month = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    return first_of_month[month_of_year] + day_of_month


def season_start(present: np.ndarray, longest_gap: float) -> int:
    """Return the calendar day that the first block starts with.

    1 January, unless the data leave out more than ``longest_gap`` days of the year in one piece (a single season): then
    the first day after the longest such piece, so that a winter is not cut at New Year.

    Parameters
    ----------
    present : ndarray of int, sorted
        Calendar days that the data have.
    longest_gap : float
        Days.
    """
    gaps = np.diff(present, prepend=present[-1] - 365)
    return int(present[gaps.argmax()]) if gaps.max() > longest_gap else 0
