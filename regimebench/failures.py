"""From an exception to a record: which status, and one sentence that names the line of the plugin."""

from __future__ import annotations

import traceback
from pathlib import Path

from regimebench.provenance import ROOT

MEMORY_ERRORS = {"MemoryError", "OutOfMemoryError"}  # by name: torch has its own, and is not imported here
MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory")


def describe(error: BaseException, plugin: Path | None) -> tuple[str, str]:
    """Return the record status and the sentence for an exception.

    Parameters
    ----------
    error : BaseException
        What was raised, with its traceback.
    plugin : Path or None
        The plugin's folder, if it is known.
    """
    names = {base.__name__ for base in type(error).__mro__}
    if "ContractError" in names:
        return "error", str(error)
    place = _place(error, plugin)
    if isinstance(error, SystemExit):
        return "error", f"the method called sys.exit({error.code!r}){place}"
    text = str(error) or "no message"
    text = text if len(text) <= 350 else text[:347] + "..."
    memory = names & MEMORY_ERRORS or ("RuntimeError" in names and any(part in text.lower() for part in MEMORY_TEXTS))
    return "oom" if memory else "error", f"{type(error).__name__}: {text}{place}"


def _place(error: BaseException, plugin: Path | None) -> str:
    """Return the innermost line of the plugin, or of the shared blocks it uses, that the error came through."""
    places = [(ROOT / "methods", ROOT)] + ([(plugin, plugin.parents[1])] if plugin else [])
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        for folder, top in places:
            if path.is_relative_to(folder):
                found = f" ({path.relative_to(top).as_posix()}, line {frame.lineno})"
    return found
