"""No file crashes the loader: whatever stands in it, the answer is settings or problems."""

import copy
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalog import SmallCatalog

from gatewayctl.config.lint import Surroundings
from gatewayctl.config.load import load_bytes, load_text
from gatewayctl.config.problems import Severity

EXAMPLE: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "config.toml.example").read_text()
)
NAMES = [
    "coding",
    "fast-smart",
    "gpt-4o",
    "claude-*",
    "openai/gpt-4o",
    "kimi-k2.6",
    "auto",
    "",
    "/",
]
ODD = st.one_of(
    st.sampled_from([*NAMES, "256K", "5s", "http://h/v1", "\u0000", "é", "²K"]),
    st.integers(-2, 2**70),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.lists(st.sampled_from(NAMES), max_size=2),
    st.dictionaries(st.sampled_from(["env", "model", "id", "x.y"]), st.sampled_from(NAMES)),
)


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a document with each of its keys."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, item in entries:
        yield value, key
        yield from places(item)


@settings(max_examples=300)
@given(st.data())
def test_any_value_anywhere_is_settings_or_problems(data: st.DataObject) -> None:
    """A file with some values replaced or removed is read to the end; each problem has a place."""
    document = copy.deepcopy(EXAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(list(places(document))))
        if data.draw(st.booleans()):
            container[key] = data.draw(ODD)
        else:
            del container[key]
        if not document:
            break
    text = tomli_w.dumps(document)
    loaded = load_text(text, name="x", environ={}, catalog=SmallCatalog())
    failed = any(problem.severity is Severity.ERROR for problem in loaded.problems)
    assert (loaded.settings is None) == failed
    # only a table that is nowhere in the file has no line
    assert all(problem.line for problem in loaded.problems)


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_problems(data: bytes) -> None:
    """Bytes that are no TOML, or no text, are a problem."""
    loaded = load_bytes(data, name="x", environ={}, catalog=SmallCatalog(), around=Surroundings())
    assert loaded.settings is not None or loaded.problems
