"""What no schema can say about ``method.yaml`` and ``dataset.yaml``: keys that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def inconsistencies(meta: dict[str, Any]) -> Iterator[str]:
    """Yield one sentence for each; ``meta`` keeps the schema."""
    yield from _parameter_problems(meta)
    yield from _twin_problems(meta)
    known = {"default", *(meta.get("variants") or {})}
    for name in meta.get("paired") or []:
        if name not in known:
            yield f"paired: no variant is called {name!r}; known: {', '.join(sorted(known))}"


def _parameter_problems(meta: dict[str, Any]) -> list[str]:
    """Return smoke values that name no declared parameter."""
    base = set(meta["parameters"])
    found = [
        f"smoke.{key}: no parameter has this name; known: {', '.join(sorted(base))}"
        for key in sorted(set(meta.get("smoke") or {}) - base)
    ]
    for name, variant in (meta.get("variants") or {}).items():
        own = base | set(variant.get("parameters") or {})
        found += [
            f"variants.{name}.smoke.{key}: no parameter has this name; known: {', '.join(sorted(own))}"
            for key in sorted(set(variant.get("smoke") or {}) - own)
        ]
    return found


def _twin_problems(meta: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a plugin that says it is, or repeats, another's twin."""
    twin = meta.get("kind") == "twin"
    if twin and "twin_of" not in meta:
        yield "twin_of: the key is missing; a twin names the plugin that it repeats in another framework"
    if not twin and "twin_of" in meta:
        yield f"twin_of: found {meta['twin_of']!r}; only a plugin with kind: twin has this key"
    for name, variant in (meta.get("variants") or {}).items():
        if twin and "kind" in variant:
            yield f"variants.{name}.kind: found {variant['kind']!r}; the variants of a twin are twins, so leave it out"
