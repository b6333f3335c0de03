"""Fields of Gemini's requests, each of which has two names: ``maxOutputTokens``, ``max_output_…``.

Google's servers take either, and one object where a list is expected.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_CAPITAL = re.compile(r"(?=[A-Z])")


@cache
def snake(name: str) -> str:
    """Return the name of the proto's field: ``max_output_tokens``."""
    return _CAPITAL.sub("_", name).lower()


def field(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field by either of its names, ``name`` being in camel case; None when absent."""
    value = fields.get(name)
    return fields.get(snake(name)) if value is None else value


def listed(value: object) -> list[Any]:
    """Return a list, of one where it is none, empty for null."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
