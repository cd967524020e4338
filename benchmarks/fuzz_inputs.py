"""Broken and hostile input: random changes of bytes, texts and documents, and values that have broken parsers."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 3.0, 1.5, 1e308, -1e-320, 10**30, -(10**30), 2**63, 2**31, float("nan"), float("inf")),
    *("", " ", "x" * 5000, "\x00", "\n", "\r\n", "é", "\u202e", "😀", "0", "null", "true", "ok", "default", "all"),
    *("..", "../../etc/passwd", "/etc/passwd", "~/.ssh/id_rsa", "C:\\x", "a/b/c", "//", "x\n", "random/", "/random"),
    *("x; rm -rf ~", "$(touch x)", "`id`", "' or 1=1", "{x}", "%s", "{{ 7 * 7 }}", "<script>alert(1)</script>"),
    *("\\input{/etc/passwd}", "=cmd()", "a|b", "fit.npz", "0" * 64, "2020-01-01T00:00:00", "tiny", "kmeans"),
    *([], {}, [[]], [{}], [None], [1] * 500, {"": {}}, {"a": {"a": {"a": {}}}}, [["random"]], {"x": None}),
]
LAUGH = "{1}: &{1} [*{0}, *{0}, *{0}, *{0}, *{0}, *{0}, *{0}, *{0}, *{0}]\n"
YAML_TEXTS = [
    *("!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!x y", "&a [*a]", "*nobody", "<<: 1"),
    *("? [a, b]\n: c", "{a: b}: c", "2001-13-45", "2001-12-14t99:99:99Z", "0b", "0x", "0o8", "!!int x", "!!float y"),
    *(
        "!!bool x",
        "!!binary =",
        "!!timestamp x",
        "!!set {a, b}",
        "!!omap [a]",
        "!!pairs [a: b]",
        "!!null x",
        "=",
        "= : 1",
    ),
    *(
        "190:20:30:70",
        "1e400",
        ".inf",
        ".nan",
        "1" * 5000,
        "---\n---\n",
        "%YAML 3.0\n---\n",
        "%TAG ! x",
        "\t",
        "- - - -",
    ),
    *(
        "[" * 2000,
        "{a: " * 2000,
        "- " * 3000,
        '"',
        "'",
        "|",
        ">-\n",
        "#",
        ": ",
        "\ufeff",
        "\x07",
        "a: a\na: b",
        "!!str",
        "@",
    ),
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(LAUGH.format(*pair) for pair in zip("abcdefgh", "bcdefghi", strict=True)),
]
JSON_TEXTS = [
    *(
        "NaN",
        "-Infinity",
        "1e999",
        "9" * 5000,
        '"\\ud800"',
        '"\\u0000"',
        "[" * 5000,
        '{"a":' * 5000,
        '{"a": 1, "a": 2}',
    ),
    *("nul", "'x'", "/* */", ",", "}", "]", "\ufeff", "\x00", "01", "1.", "+1", "true false", "\\"),
]


class Mutator:
    """Random changes of bytes, texts and documents."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def data(self, data: bytes) -> bytes:
        """Return bytes with some flipped, removed, repeated or inserted."""
        out = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 5, 20))):
            at = self.random.randrange(len(out) + 1)
            length = self.random.choice((1, 1, 2, 4, 16, 200))
            match self.random.randrange(6):
                case 0:
                    out[at : at + length] = b""
                case 1:
                    out[at:at] = self.random.randbytes(length)
                case 2:
                    out[at : at + length] = self.random.randbytes(length)
                case 3:
                    out[at:at] = out[at : at + length]
                case 4:
                    out[at : at + 4] = self.random.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
                case 5:
                    if self.random.random() < 0.3:
                        del out[at:]
        return bytes(out)

    def text(self, data: bytes, texts: list[str]) -> bytes:
        """Return text with one of ``texts`` put somewhere, most often in place of a value."""
        lines = data.decode().split("\n")
        at = self.random.randrange(len(lines))
        text = self.random.choice(texts)
        match self.random.randrange(4):
            case 0:
                lines.insert(at, text)
            case 1:
                lines[at] = lines[at].partition(":")[0] + ": " + text
            case 2:
                lines[at] = lines[at][: self.random.randrange(len(lines[at]) + 1)] + text
            case 3:
                lines[at:] = [text]
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    def document(self, document: Any) -> Any:
        """Return a copy with some places changed."""
        document = copy.deepcopy(document)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            places = list(_places(document))
            if not places:
                return self.random.choice(VALUES)
            holder, key = self.random.choice(places)
            match self.random.randrange(6):
                case 0 | 1:
                    holder[key] = copy.deepcopy(self.random.choice(VALUES))
                case 2:
                    del holder[key]
                case 3:
                    other, name = self.random.choice(places)
                    with_value = copy.deepcopy(other[name]) if _has(other, name) else None
                    holder[key] = with_value
                case 4:
                    holder[key] = [holder[key]] if self.random.random() < 0.5 else {"x": holder[key]}
                case 5 if isinstance(holder, dict):
                    name = self.random.choice([v for v in VALUES if isinstance(v, str)])
                    holder[name] = holder.pop(key)
        return document


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(document: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(parts)[:100]:
        yield document, key
        if depth < 8:
            yield from _places(value, depth + 1)


def mutated_json(mutator: Mutator, data: bytes) -> bytes:
    """Return a mutated JSON file."""
    choice = mutator.random.random()
    if choice < 0.6:
        return json.dumps(mutator.document(json.loads(data)), indent=1).encode()
    return mutator.text(data, JSON_TEXTS) if choice < 0.8 else mutator.data(data)


@cache
def _loaded(data: bytes) -> Any:
    return yaml.safe_load(data)


def mutated_yaml(mutator: Mutator, data: bytes) -> bytes:
    """Return a mutated YAML file."""
    choice = mutator.random.random()
    if choice < 0.6:
        return yaml.safe_dump(mutator.document(yaml.safe_load(data)), allow_unicode=True).encode(
            "utf-8", "surrogatepass"
        )
    return mutator.text(data, YAML_TEXTS) if choice < 0.85 else mutator.data(data)
