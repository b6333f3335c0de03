"""Byte-faithful edits of a JSON object's top level."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import patch

SPACE = st.text(" \t\n\r", max_size=3)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
KEYS = st.one_of(st.sampled_from(["model", "max_tokens", "a b", 'q"', "back\\", "é", ""]), TEXTS)
NUMBERS = st.sampled_from(["0", "-0.0", "1.50", "1e3", "12345678901234567890", "true", "null"])


@st.composite
def _escaped(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, str]:
    """Draw a text and one of the ways to write it in JSON."""
    text = draw(texts)
    written = msgspec.json.encode(text).decode()
    if draw(st.booleans()):
        units = memoryview(text.encode("utf-16-be")).tolist()
        pairs = zip(units[::2], units[1::2], strict=True)
        written = '"' + "".join(f"\\u{high:02x}{low:02X}" for high, low in pairs) + '"'
    return text, written


@st.composite
def _values(draw: st.DrawFn, depth: int = 2) -> str:
    """Draw a JSON value with odd white space."""
    kind = draw(st.integers(0, 3 if depth else 1))
    if kind == 0:
        return draw(NUMBERS)
    if kind == 1:
        return draw(_escaped(TEXTS))[1]
    inner = draw(st.lists(_values(depth=depth - 1), max_size=3))
    left, right = draw(SPACE), draw(SPACE)
    if kind == 2:
        return f"[{left}" + f"{left},{right}".join(inner) + f"{right}]"
    named = [f'"{index}"{left}:{right}{value}' for index, value in enumerate(inner)]
    return "{" + left + f"{right},{left}".join(named) + right + "}"


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    """Draw an object's bytes, and its members as they are written, in order."""
    keys = draw(st.lists(_escaped(KEYS), max_size=6, unique_by=lambda key: key[0]))
    found: dict[str, str] = {}
    pieces = []
    for key, written in keys:
        found[key] = draw(_values())
        before, colon, value, after = (draw(SPACE) for _ in range(4))
        pieces.append(f"{before}{written}{colon}:{value}{found[key]}{after}")
    body = draw(SPACE) + "{" + (",".join(pieces) or draw(SPACE)) + "}" + draw(SPACE)
    return body.encode(), found


EDITS = st.dictionaries(KEYS, st.one_of(st.none(), _values().map(str.encode)), max_size=4)


@given(objects())
def test_the_members_are_found_where_they_stand(made: tuple[bytes, dict[str, str]]) -> None:
    """Each span is exactly its value's bytes, in order, however the object is written."""
    body, written = made
    found = patch.members(body)
    spans = {key: body[member.start : member.end].decode() for key, member in found.items()}
    assert list(spans.items()) == list(written.items())


@given(st.lists(st.tuples(KEYS, _values()), min_size=1, max_size=4), SPACE, st.data())
def test_a_key_stands_twice_or_the_members_are_found(
    members: list[tuple[str, str]], space: str, data: st.DataObject
) -> None:
    """However alike the values of one key are, a second one is never overlooked."""
    key, value = data.draw(st.sampled_from(members))
    again = data.draw(st.sampled_from([value, f"{value}1", "1", "11"]))
    try:
        msgspec.json.decode(again)
    except msgspec.DecodeError:
        again = value
    at = data.draw(st.integers(0, len(members)))
    members = [*members[:at], (key, again), *members[at:]]
    written = [f"{msgspec.json.encode(key).decode()}:{space}{value}" for key, value in members]
    with pytest.raises(RequestInvalid, match="stands twice"):
        patch.members(("{" + ",".join(written) + "}").encode())


def test_members_of_a_long_body_are_found_by_a_walk() -> None:
    """Long bodies are not written again to be compared: the places are the same."""
    short = b'{"model":"m","messages":["x"],"n":1}'
    filler = b"y" * patch._SMALL
    body = short.replace(b"x", filler)
    found = patch.members(body)
    grown = len(filler) - 1
    for key, member in patch.members(short).items():
        after = grown if key == "n" else 0
        assert found[key].key_start == member.key_start + after
        assert found[key].start == member.start + after
        assert found[key].end == member.end + (grown if key != "model" else 0)


@given(objects(), EDITS)
def test_only_what_is_edited_changes(
    made: tuple[bytes, dict[str, str]], edits: dict[str, bytes | None]
) -> None:
    """The result reads as the edited object, and every member that stays keeps its bytes."""
    body, written = made
    edited = patch.splice(body, edits)
    expected: dict[str, Any] = msgspec.json.decode(body)
    for key, value in edits.items():
        if value is None:
            expected.pop(key, None)
        else:
            expected[key] = msgspec.json.decode(value)
    assert list(msgspec.json.decode(edited).items()) == list(expected.items())
    for key, member in patch.members(edited).items():
        value = edits.get(key) or written[key].encode()
        assert edited[member.start : member.end] == value


@given(objects())
def test_an_edit_that_changes_nothing_gives_the_same_object(
    made: tuple[bytes, dict[str, str]],
) -> None:
    """Replacing values by themselves and dropping what is not there costs no copy."""
    body, written = made
    edits: dict[str, bytes | None] = {key: value.encode() for key, value in written.items()}
    assert patch.splice(body, {**edits, "not there": None}) is body


@pytest.mark.parametrize(
    ("body", "edits", "edited"),
    [
        (b'{ "a" : 1 , "b":2 }', {"a": b"3"}, b'{ "a" : 3 , "b":2 }'),
        (b'{ "a" : 1 , "b":2 }', {"a": None}, b'{ "b":2 }'),
        (b'{ "a" : 1 , "b":2 }', {"b": None}, b'{ "a" : 1 }'),
        (b'{ "a" : 1 , "b":2 }', {"a": None, "b": None}, b"{  }"),
        (b'{"a":1,"b":2,"c":3}', {"a": None, "b": None, "d": b"4"}, b'{"c":3,"d":4}'),
        (b'{"a":1,"b":2,"c":3}', {"b": None, "c": None, "d": b"4"}, b'{"a":1,"d":4}'),
        (b"{}", {"a": b"1", "b": b"2"}, b'{"a":1,"b":2}'),
        (b'{\n  "a": 1.0\n}\n', {"b": b"2"}, b'{\n  "a": 1.0,"b":2\n}\n'),
    ],
)
def test_edits_leave_the_white_space_around_them(
    body: bytes, edits: dict[str, bytes | None], edited: bytes
) -> None:
    """Where the bytes go is fixed, since caches upstream depend on them."""
    assert patch.splice(body, edits) == edited


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"a":1,"a":1}', "$.a"),
        (b'{"a":12,"b":0,"a":1}', "$.a"),
        (b'{"a":{"x":1},"a":2}', "$.a"),
        (b'{"a":1,"\\u0061":2}', "$.a"),
        (b'{"a b":1,"a b":[1]}', '$["a b"]'),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_name(body: bytes, path: str) -> None:
    """Two readers could read two requests out of such a body."""
    with pytest.raises(RequestInvalid, match="stands twice") as caught:
        patch.members(body)
    assert caught.value.path == path


@given(st.lists(_values(), max_size=5), SPACE, SPACE, st.data())
def test_an_element_is_removed_with_one_comma(
    values: list[str], left: str, right: str, data: st.DataObject
) -> None:
    """The others keep their bytes and their order."""
    array = f"{left}[{left}{f'{left},{right}'.join(values)}{right}]".encode()
    spans = patch.elements(array)
    assert [array[start:end].decode() for start, end in spans] == values
    if values:
        index = data.draw(st.integers(0, len(values) - 1))
        left_over = patch.without_element(array, index)
        kept = [left_over[start:end].decode() for start, end in patch.elements(left_over)]
        assert kept == values[:index] + values[index + 1 :]


def test_too_many_members_are_refused() -> None:
    """Hundreds of thousands of unknown members would hold up others and fill the memory."""
    many = {f"k{number}": number for number in range(patch.MOST)}
    body = msgspec.json.encode(many)
    assert len(patch.members(body)) == patch.MOST
    with pytest.raises(RequestInvalid, match=f"{patch.MOST + 1} members"):
        patch.members(msgspec.json.encode(many | {"one": "more"}))


def test_a_body_of_megabytes_keeps_every_byte_around_an_edit() -> None:
    """It is copied in steps, whose joints nobody can see."""
    text = msgspec.json.encode("".join(map(str, range(400_000))))
    body = b'{"a":%s,"model":"m","b":%s}' % (text, text)
    edited = patch.splice(body, {"model": b'"other"'})
    assert edited == b'{"a":%s,"model":"other","b":%s}' % (text, text)
