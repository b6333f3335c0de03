"""Typos are found when a file is loaded, not by the first request: in every table of the format."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.jsonschema import json_schema
from gatewayctl.config.load import load_text
from gatewayctl.config.problems import Severity

SCHEMA: Any = json_schema()


def problems(text: str) -> list[tuple[str, int | None, str]]:
    """Return code, line and hint of each problem; the file must be refused."""
    loaded = load_text(text, name="x", environ={}, catalog=SmallCatalog())
    assert loaded.settings is None
    assert all(each.severity is Severity.ERROR for each in loaded.problems)
    return [(each.code, each.line, each.hint) for each in loaded.problems]


def sections() -> Iterator[tuple[str, str]]:
    """Yield the header of each table of the file, and one of its keys."""
    for name, value in SCHEMA["properties"].items():
        struct = value.get("$ref") or value.get("items", {}).get("$ref")
        if struct is not None:
            keys = SCHEMA["$defs"][struct.rpartition("/")[2]]["properties"]
            key = max(keys, key=len)
            yield (f"[[{name}]]" if "items" in value else f"[{name}]"), key


@pytest.mark.parametrize(("header", "key"), list(sections()))
def test_a_typo_in_any_section_is_an_error_litellm_34877(header: str, key: str) -> None:
    """A key with two letters swapped is refused at its line, and the right one is named."""
    wrong = key[:-2] + key[-1] + key[-2]
    found = problems(f"{header}\n{wrong} = 1\n")
    assert ("unknown-key", 2, f'did you mean "{key}"?') in found


@pytest.mark.parametrize(
    ("text", "code", "line", "meant"),
    [
        ('[aliases]\na = "opneai/gpt-4o"', "unknown-provider", 2, "openai"),
        ('[[models]]\nid = "opneai/gpt-4o"', "unknown-provider", 2, "openai"),
        ('[providers.a]\nkind = "openai-compatibel"', "unknown-kind", 2, "openai-compatible"),
        (
            '[[dispatchers]]\nid = "coding"\ntargets = ["a"]\n[aliases]\na = "codnig"',
            "unknown-name",
            5,
            "coding",
        ),
        ('[routing]\nfallback_on = ["time_out"]', "unknown-value", 2, "timeout"),
        (
            "[[dispatchers]]\n[[dispatchers.rules]]\nwhen = { imgaes = true }",
            "unknown-key",
            3,
            "images",
        ),
    ],
)
def test_a_mistyped_name_is_an_error_at_load_litellm_34880(
    text: str, code: str, line: int, meant: str
) -> None:
    """A reference that nothing answers to never waits for the first request to fail."""
    found = problems(text)
    assert (code, line, f'did you mean "{meant}"?') in found


def test_a_typo_leaves_nothing_running_litellm_34877() -> None:
    """One wrong key refuses the file as a whole, however much of it is right."""
    text = '[server]\nport = 8790\n[aliases]\na = "openai/gpt-4o"\n[routing]\nfit_mode = "off"\n'
    assert problems(text) == [("unknown-key", 6, "known: " + ", ".join(_keys("Routing")))]


def _keys(name: str) -> list[str]:
    return list(SCHEMA["$defs"][name]["properties"])
