"""Files that others wrote: JSON and YAML read so that no content can exhaust memory, recurse or execute.

What is refused, and why, is listed in ``docs/security.md``. The supervisor imports this module, so whatever takes time
to import is imported where it is used.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

DEPTH = 50  # levels of nesting
VALUES = 1_000_000  # keys and values of one document, those that YAML aliases repeat counted each time
TEXT_BYTES = 2**24
YAML_LENGTH = 2**20
BRACKET = re.compile(r"[\[\]{}]")
NESTED = re.compile(rf"(?:[-?:][ \t]+){{{DEPTH}}}")


class Refused(ValueError):
    """A document cannot be used; the message says why, without naming the file."""


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file.

    Raises
    ------
    Refused
        If it is too large or not UTF-8.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(TEXT_BYTES + 1)
    if len(data) > TEXT_BYTES:
        raise Refused(f"it is larger than {TEXT_BYTES:,} bytes")
    return decode(data)


def decode(data: bytes) -> str:
    """Return UTF-8 bytes as text, or raise :class:`Refused`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"it is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}") from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file (errors as for :func:`parse_json` and :func:`read_text`)."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """Return a JSON document that holds what JSON allows and nothing more.

    Raises
    ------
    Refused
        If it is no JSON, nests too deeply, repeats a key, or holds NaN, infinity, or text that is no Unicode.
    """
    try:
        document = json.loads(
            text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole, object_pairs_hook=_distinct
        )
    except Refused:
        raise
    except RecursionError as error:
        raise Refused(f"it nests more than {DEPTH} levels deep") from error
    except ValueError as error:
        raise Refused(f"it is not valid JSON ({error})") from error
    check_size(document)
    if "\\u" in text:
        _check_unicode(document)
    return document


def _no_number(name: str) -> float:
    raise Refused(f"it holds {name}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Refused(f"it holds {text[:40]}, which is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > 40:
        raise Refused(f"it holds a whole number of {len(text)} digits")
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise Refused(f"the key {next(name for name in names if names.count(name) > 1)!r} occurs twice in one object")
    return found


def _check_unicode(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Refused("it holds half of a surrogate pair, which is no text") from error


def check_size(document: Any) -> None:
    """Raise :class:`Refused` if a document of lists and mappings is too deep, too large or contains itself."""
    left, stack = VALUES, [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, dict):
            parts: Any = value.values()
        elif isinstance(value, list | tuple | set):
            parts = value
        else:
            continue
        left -= len(parts)
        if depth >= DEPTH:
            raise Refused(f"it nests more than {DEPTH} levels deep")
        if left < 0:
            raise Refused(f"it holds more than {VALUES:,} values")
        stack += [(part, depth + 1) for part in parts]


def parse_yaml(text: str) -> Any:
    """Return a YAML document of plain values: no tag makes an object, no alias a document that explodes.

    Raises
    ------
    Refused
        If it is no YAML, repeats a key, or is too deep or too large; the line is named where known.
    """
    import yaml

    if len(text) > YAML_LENGTH:
        raise Refused(f"is longer than {YAML_LENGTH:,} characters")
    try:
        _check_nesting(text)
        loader = _yaml_loader()(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise Refused(f"is not valid YAML{line}: {getattr(error, 'problem', None) or error}") from error
    except Refused:
        raise
    except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError) as error:
        # PyYAML's constructors fail so for what looks like a date or a number and is none, as 2001-13-45.
        raise Refused(f"is not valid YAML: a value is none of its kind ({error})") from error


@cache
def _yaml_loader() -> Any:
    """Return PyYAML's safe loader, in C where there is one."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_nesting(text: str) -> None:
    """Refuse text that nests so deeply that PyYAML, which is recursive, could exhaust the stack.

    What nests by indentation grows too long for that; brackets in quoted text count as well.
    """
    depth = 0
    for bracket in BRACKET.findall(text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > 4 * DEPTH:
            break
    if depth > 4 * DEPTH or NESTED.search(text):
        raise Refused(f"nests more than {DEPTH} levels deep")


def _check_nodes(root: Any) -> None:
    """Refuse repeated keys, and a document that its aliases make too deep or too large."""
    import yaml

    left, stack = VALUES, [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > 40 and node.tag == "tag:yaml.org,2002:int":
                raise Refused(
                    f"is not valid YAML in line {node.start_mark.line + 1}: a number of {len(node.value)} digits"
                )
            continue
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        left -= len(parts)
        if depth >= DEPTH:
            raise Refused(f"nests more than {DEPTH} levels deep")
        if left < 0:
            raise Refused(f"holds more than {VALUES:,} values, aliases counted each time")
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        stack += [(part, depth + 1) for part in parts]


def _check_keys(node: Any) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        line, name = key.start_mark.line + 1, key.value
        if not isinstance(name, str):
            raise Refused(f"is not valid YAML in line {line}: a key is no word")
        if name in seen and name != "<<":
            raise Refused(f"is not valid YAML in line {line}: the key {name!r} occurs twice")
        seen.add(name)
