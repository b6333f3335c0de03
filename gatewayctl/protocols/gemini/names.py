"""Fields by either of their two names, as Google's servers take them."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

V = TypeVar("V")

_WORD = re.compile(r"_([a-z0-9])")


def camel(name: str) -> str:
    """Return ``maxOutputTokens`` for ``max_output_tokens``, and the same name for itself."""
    return _WORD.sub(lambda found: found.group(1).upper(), name)


_known = cache(camel)


def either(fields: Mapping[str, V], name: str) -> V | None:
    """Return a field's value; ``name`` is the one with underscores, one of those that are read."""
    found = fields.get(_known(name))
    return fields.get(name) if found is None else found


def renamed(value: Any) -> Any:
    """Return decoded JSON with the fields of its outer two objects in camel case.

    Deeper ones are left alone: a schema's own properties stand there.
    """
    if not isinstance(value, dict):
        return value
    return {
        camel(key): {camel(name): each for name, each in inner.items()}
        if isinstance(inner, dict)
        else inner
        for key, inner in value.items()
    }
