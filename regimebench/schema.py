"""Validation of YAML and JSON against ``workflow/schemas/``: every problem at once, each as one sentence."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from regimebench.untrusted import Refused, check_size, parse_yaml, read_text

SHORT = reprlib.Repr()  # never the whole of a large value
SHORT.maxlevel, SHORT.maxdict, SHORT.maxlist, SHORT.maxstring, SHORT.maxother = 4, 10, 30, 100, 100
SCHEMAS = Path(__file__).resolve().parents[1] / "workflow" / "schemas"


class InvalidFile(ValueError):
    """A file does not match its schema; the message lists every problem."""

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        many = f"{len(self.problems)} problems" if len(self.problems) != 1 else "1 problem"
        super().__init__("\n  - ".join([f"{where}: {many}", *self.problems]))


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_whole, "number": _is_number})
    document = parse_yaml(read_text(SCHEMAS / f"{name}.schema.yaml"))
    return extend(Draft202012Validator, type_checker=types)(_to_the_end(document))


def _is_whole(checker: Any, value: Any) -> bool:
    """Say what a whole number is: for JSON Schema 3.0 is one, for ``range`` it is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: Any, value: Any) -> bool:
    return _is_whole(checker, value) or (isinstance(value, float) and math.isfinite(value))


def _to_the_end(schema: Any) -> Any:
    """Return a schema whose patterns end where the text ends: Python's ``$`` lets a line end follow."""
    if isinstance(schema, dict):
        made = {key: _to_the_end(value) for key, value in schema.items()}
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and pattern.endswith("$"):
            made["pattern"] = pattern[:-1] + r"\Z"
        return made
    return [_to_the_end(each) for each in schema] if isinstance(schema, list) else schema


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file, loaded safely.

    Raises
    ------
    InvalidFile
        If the file cannot be read or parsed, naming the line.
    """
    try:
        return parse_yaml(read_text(path))
    except OSError as error:
        raise InvalidFile(str(path), [f"cannot be read: {error.strerror}"]) from error
    except Refused as error:
        raise InvalidFile(str(path), [str(error)]) from error


def problems(document: Any, name: str) -> list[str]:
    """Return every way in which ``document`` breaks the schema ``name``, as ``path: sentence``."""
    try:
        check_size(document)
    except Refused as error:
        return [f"top level: {error}"]
    found = sorted(
        _validator(name).iter_errors(document), key=lambda error: [str(part) for part in error.absolute_path]
    )
    return [line for error in found for line in _sentences(error)]


def _where(path: Iterable[Any]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "top level"


def _show(value: Any) -> str:
    text = SHORT.repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _sentences(error: Any) -> list[str]:
    """Translate one jsonschema error into sentences that say what is allowed."""
    where, kind, allowed = _where(error.absolute_path), error.validator, error.validator_value
    if kind == "additionalProperties" and allowed is False:
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        return [f"{where}: unknown key {key!r}; allowed keys are {', '.join(known)}" for key in unknown]
    if kind == "required":
        missing = [key for key in allowed if key not in error.instance]
        return [f"{where}: the key {key!r} is missing" for key in missing if f"'{key}'" in error.message]
    if kind in ("anyOf", "oneOf"):
        options = [option.get("description") or option.get("type") or option for option in allowed]
        return [f"{where}: found {_show(error.instance)}; allowed: {' or '.join(map(str, options))}"]
    texts = {
        "enum": lambda: f"allowed are {', '.join(map(str, allowed))}",
        "const": lambda: f"allowed is {allowed}",
        "type": lambda: f"expected {' or '.join(allowed) if isinstance(allowed, list) else allowed}",
        "minimum": lambda: f"the smallest value allowed is {allowed}",
        "maximum": lambda: f"the largest value allowed is {allowed}",
        "exclusiveMinimum": lambda: f"it must be greater than {allowed}",
        "minItems": lambda: f"at least {allowed} entries are needed",
        "minLength": lambda: "it must not be empty",
        "pattern": lambda: "it must match " + allowed.replace(r"\Z", "$"),
        "uniqueItems": lambda: "entries must differ",
    }
    hint = texts[kind]() if kind in texts else error.message
    described = error.schema.get("description") if isinstance(error.schema, dict) else None
    return [f"{where}: found {_show(error.instance)}; {hint}" + (f" ({described})" if described else "")]
