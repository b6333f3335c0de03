"""Positions: every key, table and element of what tomllib accepts is found where it stands."""

import tomllib
from collections.abc import Iterator, Mapping

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.config.positions import Path, Position, index

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything inside a value."""
    entries: list[tuple[str | int, object]] = []
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for name, item in entries:
        yield (*path, name)
        yield from paths(item, (*path, name))


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_everything_in_any_document_has_a_position(
    document: dict[str, object], multiline: bool
) -> None:
    """Whatever tomllib reads from a text, the index knows where it stands, and knows no more."""
    text = tomli_w.dumps(document, multiline_strings=multiline)
    read = tomllib.loads(text)
    found = index(text)
    assert set(found.keys) == set(paths(read))
    assert set(found.values) == set(paths(read))
    lines = text.split("\n")
    for place in (*found.keys.values(), *found.values.values()):
        assert 1 <= place.column <= len(lines[place.line - 1])


@given(st.dictionaries(KEYS, SCALARS, min_size=1, max_size=4))
def test_a_value_stands_where_its_position_says(document: dict[str, object]) -> None:
    """Reading from a value's position on gives that value."""
    text = tomli_w.dumps(document)
    lines = text.split("\n")
    found = index(text)
    for name, value in document.items():
        place = found.values[(name,)]
        rest = lines[place.line - 1][place.column - 1 :]
        assert tomllib.loads(f"it = {rest}")["it"] == value


@pytest.mark.parametrize(
    ("text", "path", "key", "value"),
    [
        ("a = 1", ("a",), (1, 1), (1, 5)),
        ("\n  a   =   1", ("a",), (2, 3), (2, 11)),
        ("a.b.c = 1", ("a", "b", "c"), (1, 5), (1, 9)),
        ("a . 'b' = 1", ("a", "b"), (1, 5), (1, 11)),
        ("a.b = 1\na.c = 2", ("a",), (1, 1), (1, 1)),
        ("[a.b]\nc = 1", ("a", "b"), (1, 4), (1, 4)),
        ("[a.b]\nc = 1", ("a", "b", "c"), (2, 1), (2, 5)),
        ("[[a]]\n[[a]]\nb = 1", ("a", 1), (2, 3), (2, 3)),
        ("[[a]]\n[[a]]\nb = 1", ("a", 1, "b"), (3, 1), (3, 5)),
        ("[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\nc = 1", ("a", 1, "b", 0, "c"), (5, 1), (5, 5)),
        ("[[a]]\n[a.b]\nc = 1", ("a", 0, "b", "c"), (3, 1), (3, 5)),
        ("a = [1, 2]", ("a", 1), (1, 9), (1, 9)),
        ("a = [ # one\n  1,\n  # two\n  2,\n]", ("a", 1), (4, 3), (4, 3)),
        ("a = [[1], [2, 3]]", ("a", 1, 1), (1, 15), (1, 15)),
        ("a = { b = 1, c = { d = 2 } }", ("a", "c", "d"), (1, 20), (1, 24)),
        ("a = [{ b = 1 }, { b = 2 }]", ("a", 1, "b"), (1, 19), (1, 23)),
        ('"a.b" = 1', ("a.b",), (1, 1), (1, 9)),
        ('"\\u0061" = 1', ("a",), (1, 1), (1, 12)),
        ('a = """x\n"""\nb = 1', ("b",), (3, 1), (3, 5)),
        ('a = """x"""""\nb = 1', ("b",), (2, 1), (2, 5)),
        ('a = """\\""""\nb = 1', ("b",), (2, 1), (2, 5)),
        ("a = '''x\\'''\nb = 1", ("b",), (2, 1), (2, 5)),
        ('a = "#\\"[" # ]\nb = 1', ("b",), (2, 1), (2, 5)),
        ("a = 1979-05-27 07:32:00 # x\nb = 1", ("b",), (2, 1), (2, 5)),
        ("a = '日本' \nb = ['日本', 1]", ("b", 1), (2, 12), (2, 12)),
    ],
)
def test_the_position_of_a_key_and_its_value(
    text: str, path: Path, key: tuple[int, int], value: tuple[int, int]
) -> None:
    """Each form that TOML has, with comments, quotes and line breaks where they confuse most."""
    tomllib.loads(text)
    found = index(text)
    assert found.keys[path] == Position(*key)
    assert found.values[path] == Position(*value)
