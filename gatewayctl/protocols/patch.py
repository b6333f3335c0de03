"""Byte-faithful edits of a JSON object's top level: all other bytes stay as they came.

White space, order of members and the way numbers are written survive, because an upstream's
prompt cache and a client's own idea of its body depend on them. Which members to edit belongs to
each protocol's ``request`` module.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import body as request_body

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_KEY = msgspec.json.Decoder(str)
_COMMA, _QUOTE, _BACKSLASH = b',"\\'
_QUOTE_COLON = b'":'
_ENCODE = msgspec.json.Encoder().encode
MOST = 4096
"""Members that an object may have: no request has a hundred, and each costs time and memory."""

_STEP = 512 * 1024  # bytes that are copied at once, so that other threads get their turn
_SMALL = 64 * 1024  # bytes up to which writing a body again is cheaper than a walk over it
_AROUND_KEY = 3  # two quotes and a colon
_SPACE = b" \t\n\r"
_ENDS = b",}"  # what may follow a member


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Where one member of an object stands: offsets of its key, its value, and its end."""

    key_start: int
    start: int
    end: int


Layout = Mapping[str, Member]
"""Where the members of a body stand, in order; whoever has one need not decode the body again."""


def members(body: bytes) -> Layout:
    """Return the places of an object's members, in order: the one time that a body is decoded.

    Raises ``RequestInvalid`` for bytes that are no JSON object, for more than ``MOST`` members and
    for a key that stands twice: two readers may see two different values of it.
    """
    values = request_body.read(_MEMBERS, body)
    if len(values) > MOST:
        raise request_body.invalid(
            "$", f"{len(values)} members in one object; {MOST} are the most."
        )
    keys = "".join(values)
    if len(body) <= _SMALL and keys.isidentifier() and keys.isascii() and _ENCODE(values) == body:
        return _compact(values)
    return _walked(body, values)


def _compact(values: dict[str, msgspec.Raw]) -> Layout:
    """Return the places in a body whose text follows from its members: nothing to look for."""
    found = {}
    at = 1
    for key, value in values.items():
        start = at + len(key) + _AROUND_KEY
        end = start + len(value)
        found[key] = Member(key_start=at, start=start, end=end)
        at = end + 1
    return found


def _walked(body: bytes, values: dict[str, msgspec.Raw]) -> Layout:
    found: dict[str, Member] = {}
    at = _skip_space(body, body.index(b"{") + 1)
    # Keys that stand once come in the order in which they stand.
    for expected, value in values.items():
        key, start = expected, at + len(expected) + _AROUND_KEY
        if not (
            body[start - 2 : start] == _QUOTE_COLON
            and body.startswith(expected.encode(), at + 1)
            and expected.isidentifier()
        ):
            key, start = _read_key(body, at)
            start = _skip_space(body, start) + 1
        if body[start] in _SPACE:
            start = _skip_space(body, start)
        # The decoder keeps the last value of a key that stands twice, in the first one's place:
        # then what stands here is another key than expected, or not the value that it kept.
        end = after = start + len(value)
        if key != expected or not body.startswith(value, start):
            raise _twice(key)
        if body[end] in _SPACE:
            after = _skip_space(body, end)
        if body[after] not in _ENDS:  # a number that begins like the last one
            raise _twice(key)
        found[key] = Member(key_start=at, start=start, end=end)
        at = after
        if body[after] == _COMMA:
            at = after + 1 if body[after + 1] == _QUOTE else _skip_space(body, after + 1)
    if body[at] == _QUOTE:
        raise _twice(_read_key(body, at)[0])
    return found


def elements(array: bytes) -> list[tuple[int, int]]:
    """Return the spans of the elements of a JSON array, in order."""
    spans: list[tuple[int, int]] = []
    at = array.index(b"[") + 1
    for value in request_body.read(_ELEMENTS, array):
        at = _skip_space(array, at)
        spans.append((at, at + len(value)))
        at = _skip_space(array, spans[-1][1]) + 1
    return spans


def value(body: bytes, layout: Layout, field: str) -> bytes:
    """Return the JSON of a member as it is written, ``null`` where there is none."""
    place = layout.get(field)
    return b"null" if place is None else body[place.start : place.end]


def splice(body: bytes, edits: Mapping[str, bytes | None]) -> bytes:
    """Return the object with members replaced, removed (None) or added at its end.

    The very same ``body`` is returned when no edit differs from what is there. Raises as
    ``members`` does.
    """
    return splice_members(body, members(body), edits)


def splice_members(body: bytes, found: Layout, edits: Mapping[str, bytes | None]) -> bytes:
    """Do what ``splice`` does, where the members' places are already known."""
    cuts = _removals(found, edits) if None in edits.values() else []
    new = []
    for key, value in edits.items():
        if value is None:
            continue
        if key not in found:
            new.append(msgspec.json.encode(key) + b":" + value)
        elif body[found[key].start : found[key].end] != value:
            cuts.append((found[key].start, found[key].end, value))
    if new:
        kept = [member for key, member in found.items() if edits.get(key, b"") is not None]
        at = kept[-1].end if kept else body.index(b"{") + 1
        cuts.append((at, at, (b"," if kept else b"") + b",".join(new)))
    return cut(body, cuts)


def cut(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Return the bytes with each span (start, end) replaced; spans do not overlap."""
    if not cuts:
        return body
    pieces: list[bytes] = []
    at = 0
    for start, end, value in sorted(cuts):
        pieces += _steps(body, at, start)
        pieces.append(value)
        at = end
    pieces += _steps(body, at, len(body))
    return b"".join(pieces)


def _steps(body: bytes, start: int, end: int) -> list[bytes]:
    """Return a part of a body in pieces; joining them gives up Python's lock, a copy does not."""
    return [body[at : min(at + _STEP, end)] for at in range(start, end, _STEP)]


def without_element(array: bytes, index: int) -> bytes:
    """Return a JSON array without one element and one of the commas beside it."""
    spans = elements(array)
    start, end = spans[index]
    if index > 0:
        start = spans[index - 1][1]
    elif len(spans) > 1:
        end = spans[1][0]
    return array[:start] + array[end:]


def _removals(found: Layout, edits: Mapping[str, bytes | None]) -> list[tuple[int, int, bytes]]:
    """Return the cuts that remove members, each with the comma before it or, at first, after."""
    cuts = []
    places = list(found.items())
    kept_before = False
    for index, (key, member) in enumerate(places):
        if edits.get(key, b"") is not None:
            kept_before = True
        elif kept_before:
            cuts.append((places[index - 1][1].end, member.end, b""))
        else:
            last = index + 1 == len(places)
            end = member.end if last else places[index + 1][1].key_start
            cuts.append((member.key_start, end, b""))
    return cuts


def _read_key(body: bytes, start: int) -> tuple[str, int]:
    """Return the key whose opening quote is at ``start``, and the offset after its closing one."""
    end = body.index(b'"', start + 1)
    if body.find(b"\\", start, end) < 0:
        return body[start + 1 : end].decode(), end + 1
    at = start + 1
    while body[at] != _QUOTE:
        at += 2 if body[at] == _BACKSLASH else 1
    return _KEY.decode(body[start : at + 1]), at + 1


def _twice(key: str) -> RequestInvalid:
    return request_body.invalid(_path(key), "this field stands twice in the body.")


def _skip_space(body: bytes, at: int) -> int:
    """Return the offset of the first byte from ``at`` on that is no white space."""
    while at < len(body) and body[at] in _SPACE:
        at += 1
    return at


def _path(key: str) -> str:
    return f"$.{key}" if key.isidentifier() else f"$[{msgspec.json.encode(key).decode()}]"
