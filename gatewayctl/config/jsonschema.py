"""The file format as JSON Schema, made from the same annotations that ``walk`` reads by.

It says what an editor can check while typing; references, cycles and sizes are ``config
validate``'s business.
"""

from enum import StrEnum
from typing import Any, get_args

import msgspec

from gatewayctl.config.forms import Required
from gatewayctl.config.schema import Document
from gatewayctl.config.walk import bare, form_of, hints, metadata, options

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {bool: "boolean", str: "string", int: "integer"}


def json_schema() -> dict[str, object]:
    """Return the schema of a whole config file."""
    definitions: dict[str, object] = {}
    root = _struct(Document, definitions)
    return {"$schema": DIALECT, "title": "gatewayctl config", **root, "$defs": definitions}


def _struct(struct: type[msgspec.Struct], definitions: dict[str, object]) -> dict[str, object]:
    keys = hints(struct)
    required = [
        name
        for name, annotation in keys.items()
        if any(isinstance(item, Required) for item in metadata(annotation))
    ]
    schema: dict[str, object] = {
        "description": (struct.__doc__ or "").strip(),
        "type": "object",
        "properties": {name: _schema(each, definitions) for name, each in keys.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return schema


def _schema(annotation: Any, definitions: dict[str, object]) -> dict[str, object]:
    ways = [_arm(arm, definitions) for arm in options(annotation)]
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def _arm(arm: Any, definitions: dict[str, object]) -> dict[str, object]:
    plain = bare(arm)
    if (form := form_of(arm)) is not None:
        return form.json_schema()
    if plain is tuple:
        return {"type": "array", "items": _schema(get_args(arm)[0], definitions)}
    if plain is dict:
        key, item = get_args(arm)
        schema: dict[str, object] = {"type": "object"}
        if (form := form_of(key)) is not None:
            schema["propertyNames"] = form.json_schema()
        return {**schema, "additionalProperties": _schema(item, definitions)}
    if issubclass(plain, msgspec.Struct):
        name = plain.__name__.removesuffix("Doc")
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _struct(plain, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if issubclass(plain, StrEnum):
        return {"enum": [member.value for member in plain]}
    return {"type": _PLAIN[plain]}
