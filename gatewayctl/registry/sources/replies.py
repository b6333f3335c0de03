"""Reading a source's JSON: exact decimals, and every failure as SourceFailed.

What the entries mean is each source's own parser's business.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from gatewayctl.core.errors import SourceFailed


def _exact(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that no Decimal holds
        return None


_decoder = msgspec.json.Decoder(float_hook=_exact)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``, fractions as Decimal; SourceFailed when it is none."""
    decoded = read_json(body)
    if not isinstance(decoded, dict):
        raise SourceFailed(f"not a JSON object but {_name(decoded)}")
    return decoded


def read_json(body: bytes) -> object:
    """Return any JSON in ``body``, fractions as Decimal; SourceFailed when it is damaged."""
    if body.startswith(b"\x1f\x8b"):
        raise SourceFailed("it is compressed with gzip; unpack it first")
    try:
        decoded: object = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceFailed(f"not valid JSON: {error}") from error
    return decoded


def _name(value: object) -> str:
    match value:
        case list():
            return "an array"
        case str():
            return "a string"
        case None:
            return "null"
        case _:
            return "a number or a boolean"
