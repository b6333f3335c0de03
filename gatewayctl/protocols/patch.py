"""Byte-faithful edits of a JSON object's top level: all other bytes stay as they came.

White space, order of members and the way numbers are written survive, because an upstream's
prompt cache and a client's own idea of its body depend on them. Which members to edit belongs to
each protocol's ``request`` module.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.protocols import body as request_body

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_KEY = msgspec.json.Decoder(str)
_COMMA, _QUOTE, _BACKSLASH = b',"\\'


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Where one member of an object stands: offsets of its key, its value, and its end."""

    key_start: int
    start: int
    end: int


def members(body: bytes) -> dict[str, Member]:
    """Return the places of an object's members, in order.

    Raises ``RequestInvalid`` for bytes that are no JSON object and for a key that stands twice:
    two readers may see two different values of it.
    """
    values = request_body.read(_MEMBERS, body)
    found: dict[str, Member] = {}
    at = _skip_space(body, body.index(b"{") + 1)
    while body[at] == _QUOTE:
        key_start = at
        key, at = _read_key(body, at)
        at = _skip_space(body, _skip_space(body, at) + 1)
        # The decoder keeps the last value of a key that stands twice: then either the key was
        # seen before, or what stands here is not the value it kept.
        value = bytes(values[key])
        end = at + len(value)
        after = _skip_space(body, end)
        if key in found or body[at:end] != value or body[after] not in b",}":
            raise request_body.invalid(_path(key), "this field stands twice in the body.")
        found[key] = Member(key_start=key_start, start=at, end=end)
        at = _skip_space(body, after + 1) if body[after] == _COMMA else after
    return found


def elements(array: bytes) -> list[tuple[int, int]]:
    """Return the spans of the elements of a JSON array, in order."""
    spans: list[tuple[int, int]] = []
    at = array.index(b"[") + 1
    for value in request_body.read(_ELEMENTS, array):
        at = _skip_space(array, at)
        spans.append((at, at + len(bytes(value))))
        at = _skip_space(array, spans[-1][1]) + 1
    return spans


def splice(body: bytes, edits: Mapping[str, bytes | None]) -> bytes:
    """Return the object with members replaced, removed (None) or added at its end.

    The very same ``body`` is returned when no edit differs from what is there. Raises as
    ``members`` does.
    """
    return splice_members(body, members(body), edits)


def splice_members(
    body: bytes, found: Mapping[str, Member], edits: Mapping[str, bytes | None]
) -> bytes:
    """Do what ``splice`` does, where the members' places are already known."""
    cuts = _removals(found, edits)
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
    pieces = []
    at = 0
    for start, end, value in sorted(cuts):
        pieces += [body[at:start], value]
        at = end
    return b"".join([*pieces, body[at:]])


def without_element(array: bytes, index: int) -> bytes:
    """Return a JSON array without one element and one of the commas beside it."""
    spans = elements(array)
    start, end = spans[index]
    if index > 0:
        start = spans[index - 1][1]
    elif len(spans) > 1:
        end = spans[1][0]
    return array[:start] + array[end:]


def _removals(
    found: Mapping[str, Member], edits: Mapping[str, bytes | None]
) -> list[tuple[int, int, bytes]]:
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


def _skip_space(body: bytes, at: int) -> int:
    while body[at : at + 1] in {b" ", b"\t", b"\n", b"\r"}:
        at += 1
    return at


def _path(key: str) -> str:
    return f"$.{key}" if key.isidentifier() else f"$[{msgspec.json.encode(key).decode()}]"
