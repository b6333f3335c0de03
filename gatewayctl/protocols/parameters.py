"""What a function's parameters are written as, for upstreams that want more than a JSON schema.

OpenAI refuses an object that does not name its properties, and with Anthropic one that does not say
that it is an object: both are what tools without parameters often have. Nothing else is changed.
"""

from typing import Final

import msgspec

from gatewayctl.protocols import body as request_body

NONE: Final = b'{"type":"object","properties":{}}'
"""The parameters of a function that takes none."""

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TYPE: Final = msgspec.Raw(b'"object"')
_PROPERTIES: Final = msgspec.Raw(b"{}")


def written(schema: bytes | None) -> msgspec.Raw:
    """Return a schema as an object with properties; None stands for no parameters.

    One that is no JSON object, or says another type, is the upstream's to judge.
    """
    if schema is None:
        return msgspec.Raw(NONE)
    if not schema.startswith(b"{"):
        return msgspec.Raw(schema)
    fields = request_body.read(_OBJECT, schema, checked=True)
    kind = bytes(fields.get("type", _TYPE))
    if kind != bytes(_TYPE) or ("type" in fields and "properties" in fields):
        return msgspec.Raw(schema)
    fields = {"type": _TYPE, **fields}
    fields.setdefault("properties", _PROPERTIES)
    return msgspec.Raw(msgspec.json.encode(fields))
