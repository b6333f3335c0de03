"""docs/registry.md names every field that the ``models`` commands print, and every state."""

import re
from pathlib import Path
from typing import Any

from support.models_command import Cli

from gatewayctl.registry.aging import Stage
from gatewayctl.registry.conflicts import Why
from gatewayctl.registry.freshness import Freshness

MANUAL = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")
FIELDS = MANUAL[MANUAL.index("## As JSON") : MANUAL.index("## Exit codes")]
BY_NAME = {"prices", "capabilities", "skipped"}
"""What is keyed by names of the data's own."""


def keys(document: Any) -> set[str]:
    """Return every key in a document, but those that the data names."""
    if isinstance(document, list):
        return {key for each in document for key in keys(each)}
    if not isinstance(document, dict):
        return set()
    found = set(document)
    for key, value in document.items():
        found |= keys(list(value.values()) if key in BY_NAME else value)
    return found


def test_every_field_is_in_the_manual(cli: Cli, tmp_path: Path) -> None:
    """Of the listing and its variants, of one model, of a refresh, and of forgetting."""
    table = tmp_path / "table.json"
    table.write_text(
        '{"m": {"litellm_provider": "openai", "max_input_tokens": 5}, "sample_spec": {}}'
    )
    printed = [
        cli.json("list", "--provider", "openai"),
        cli.json("list", "--conflicts", "--provider", "openai"),
        cli.json("list", "--stale", "--provider", "anthropic"),
        cli.json("list", "--retiring", "--as-of", "2026-08-01"),
        cli.json("show", "openai/gpt-5.4"),
        cli.json("refresh", "--from", str(table), "--dry-run", code=5),
        cli.json("forget", "openai/gpt-5.4", code=1),
    ]
    missing = {key for key in keys(printed) if not re.search(rf"\b{key}\b", FIELDS)}
    assert missing == set()


def test_every_state_is_in_the_manual() -> None:
    """How fresh a source is, why a value does not hold, and how far a model is on its way out."""
    words = [*Freshness, *Why, *Stage]
    assert [word for word in words if f"`{word}`" not in MANUAL] == []
