"""Inputs that may be one or many, as text or as tokens: which of them is the largest.

A model reads each of them by itself, so the largest is the one that has to fit. It is found
roughly: texts far shorter than the longest are not measured.
"""

from typing import Any

import msgspec

from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings
from gatewayctl.core.shape import RequestShape, Segment
from gatewayctl.protocols.measure import Tally
from gatewayctl.protocols.sink import Sink

_LOOKED_AT = 32
"""Texts that are measured to find the largest: those with the most bytes."""

_FAR_SHORTER = 4
"""What a text has to be shorter by than the longest, in bytes, to have fewer tokens for sure."""

_USUAL = EstimatorSettings()

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def count(value: msgspec.Raw) -> int:
    """Return how many inputs there are; a list of tokens is one."""
    text = memoryview(value)
    if bytes(text[:1]) != b"[" or bytes(text[1:_LOOKED_AT]).lstrip()[:1].isdigit():
        return 1
    return max(1, len(_LIST.decode(value)))


def tell(sink: Sink, value: Any, shape: RequestShape, beside: str = "") -> None:
    """Tell ``sink`` the largest input of a value, and the text that is read with each of them."""
    element = _largest(value, shape)
    if _is_tokens(element):
        sink.listed(len(element))
    else:
        sink.strings(Segment.MESSAGES, element)
    if beside:
        sink.text(Segment.MESSAGES, beside)


def _largest(value: Any, shape: RequestShape) -> Any:
    """Return the input with the most tokens: the value itself, or an element of a list."""
    if not isinstance(value, list) or not value or _is_tokens(value):
        return value
    sizes = [_bytes(each) for each in value]
    enough = max(sizes) // _FAR_SHORTER
    near = [at for at, size in enumerate(sizes) if size >= enough]
    near.sort(key=lambda at: sizes[at], reverse=True)
    return value[max(near[:_LOOKED_AT], key=lambda at: _tokens(value[at], shape))]


def _is_tokens(value: Any) -> bool:
    """Tell whether a value is a list of tokens; of a long list its ends say so."""
    if not isinstance(value, list) or not value:
        return False
    return type(value[0]) is int and type(value[-1]) is int


def _bytes(element: Any) -> int:
    """Return about how many bytes of text an element has, or stands for."""
    match element:
        case str():
            return len(element) if element.isascii() else len(element.encode())
        case list() as tokens:
            return _FAR_SHORTER * len(tokens)
        case dict() as members:
            return sum(map(_bytes, members.values()))
        case _:
            return 0


def _tokens(element: Any, shape: RequestShape) -> int:
    """Return how many tokens an element usually has."""
    if _is_tokens(element):
        return len(element)
    tally = Tally()
    tally.strings(Segment.MESSAGES, element)
    return by_ratio(shape, tally.done(), _USUAL).likely
