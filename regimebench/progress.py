"""Show the progress of a data set's work: lines in the job's log, and a bar on the terminal of whoever started the run.

Under Snakemake a job's output goes to its log file, so the bar is drawn on the controlling terminal itself.
"""

from __future__ import annotations

import fcntl
import logging
import os
from time import monotonic
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

__all__ = ["Shown"]

LINE_SECONDS, QUIET_SECONDS, LINE_PERCENT = 30.0, 1.0, 10.0
# A line claims a rate only where something has moved since the work began.
WITH_TOTAL, WITHOUT_TOTAL = "{desc}: {percentage:.0f} % ({n_fmt} of {total_fmt})", "{desc}: {n_fmt} so far"
BYTES_MOVED, COUNT_MOVED, STANDS = ", {rate_fmt}, {remaining} left", ", {remaining} left", ", for {elapsed}"

log = logging.getLogger(__name__)


class Shown:
    """A :class:`~regimebench.dataset.Progress` that people see; close it, or use it in a ``with`` statement.

    The log gets a line every 30 seconds or every 10 percent, never more than one a second. The bar is drawn if the
    environment variable ``REGIMEBENCH_TTY`` is 1, there is a controlling terminal, and no other job draws on it.

    Parameters
    ----------
    label : str
        What is worked on, before every message; the data set's name.
    """

    def __init__(self, label: str):
        self.label = label
        self._message, self._began, self._first = "", 0.0, 0
        self._line_at, self._line_percent = -LINE_SECONDS, 0.0
        self._bar: tqdm | None = None
        self._terminal = _terminal()

    def __call__(self, message: str, done: int, total: int, unit: str = "") -> None:
        """Show that ``done`` of ``total`` (0: unknown) is done; ``unit`` is ``B`` for bytes."""
        text, now = f"{self.label}: {message}", monotonic()
        begins = text != self._message
        if begins:
            self._message, self._began, self._first = text, now, done
        how = {"total": total or None, "unit": unit or "it", "unit_scale": unit == "B"}
        self._write_line(text, begins, done, now, how)
        if self._terminal is not None:
            self._draw(text, begins, done, how)

    def close(self) -> None:
        """Remove the bar from the terminal and let others draw."""
        if self._bar is not None:
            self._bar.close()
        if self._terminal is not None:
            self._terminal.close()
        self._bar = self._terminal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_line(self, text: str, begins: bool, done: int, now: float, how: dict[str, Any]) -> None:
        percent = 100 * done / how["total"] if how["total"] else 0.0
        since = now - self._line_at
        step = begins or abs(percent - self._line_percent) >= LINE_PERCENT
        if since < LINE_SECONDS and not (step and since >= QUIET_SECONDS):
            return
        self._line_at, self._line_percent = now, percent
        elapsed = now - self._began
        layout = WITH_TOTAL if how["total"] else WITHOUT_TOTAL if done else "{desc}"
        if done > self._first:
            moved = BYTES_MOVED if how["unit"] == "B" else COUNT_MOVED
            layout += moved if how["total"] else moved.rpartition(", ")[0]
        elif elapsed >= 1:
            layout += STANDS
        log.info(
            "%s", tqdm.format_meter(done, prefix=text, elapsed=elapsed, initial=self._first, bar_format=layout, **how)
        )

    def _draw(self, text: str, begins: bool, done: int, how: dict[str, Any]) -> None:
        if self._bar is None or begins:
            if self._bar is not None:
                self._bar.close()
            elif not _ours(self._terminal):
                return
            self._bar = tqdm(desc=text, initial=done, file=self._terminal, leave=False, dynamic_ncols=True, **how)
        self._bar.total = how["total"]
        self._bar.update(done - self._bar.n)


def _terminal() -> TextIO | None:
    """Return the controlling terminal, None if nobody watches or there is none."""
    if os.environ.get("REGIMEBENCH_TTY") != "1":
        return None
    try:
        return open("/dev/tty", "w", encoding="utf-8")
    except OSError:
        return None


def _ours(terminal: TextIO) -> bool:
    """Return whether we may draw: one job at a time, or the bars overwrite each other."""
    try:
        fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
