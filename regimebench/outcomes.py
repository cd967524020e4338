"""Checks of the conformance suite and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Check = tuple[str, Callable[[], str | None]]


@dataclass(frozen=True)
class Result:
    """Outcome of one check; one that was not run is not ok."""

    name: str
    ok: bool
    message: str = ""
    skipped: bool = False


class Failed(AssertionError):
    """A check did not pass; the message says what was found and what is allowed."""


class NotRun(Exception):
    """A check cannot be made here; the message says why."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`Failed` unless ``condition`` holds."""
    if not condition:
        raise Failed(message)


def outcome(label: str, check: Callable[[], str | None]) -> Result:
    """Make one check."""
    try:
        return Result(label, True, check() or "")
    except KeyboardInterrupt:
        raise
    except NotRun as error:
        return Result(label, False, f"not run: {error}", skipped=True)
    except SystemExit as error:
        return Result(label, False, f"the plugin called sys.exit({error.code!r}); raise an exception instead")
    except BaseException as error:
        return Result(label, False, str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}")
