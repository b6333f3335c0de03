"""The schema of an answer, as Anthropic takes it: every object in it is closed.

What else Anthropic refuses in a schema (limits on numbers, objects of any members) changes what is
asked for and is its to judge.
"""

from typing import Any, Final

import msgspec

from gatewayctl.protocols.body import invalid

_ANY: Final = msgspec.json.Decoder(Any)
_OPEN: Final = "additionalProperties"
_ONE: Final = frozenset({"items", "not"})
_MANY: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions"})


def closed(schema: bytes) -> msgspec.Raw:
    """Return a schema whose objects that name members may have no others, where it does not say.

    Raises ``RequestInvalid`` for one that cannot be read or nests too deeply.
    """
    try:
        return msgspec.Raw(msgspec.json.encode(_closed(_ANY.decode(schema))))
    except RecursionError as error:
        raise invalid("$", "the schema of the answer is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise invalid("$", f"the schema of the answer cannot be read: {error}.") from error


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    found = {name: _field(name, value) for name, value in schema.items()}
    kind = schema.get("type")
    is_object = "object" in kind if isinstance(kind, list) else kind == "object"
    if is_object and schema.get("properties"):
        found.setdefault(_OPEN, False)
    return found


def _field(name: str, value: Any) -> Any:
    if name in _ONE:
        return _closed(value)
    if name in _MANY and isinstance(value, list):
        return [_closed(each) for each in value]
    if name in _NAMED and isinstance(value, dict):
        return {key: _closed(each) for key, each in value.items()}
    return value
