"""The command line counts with a model's own tokenizer file, and says so where it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Ran, gatewayctl
from support.tokenizer_files import characters, written

CONFIG = """
[providers.demo]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
[[models]]
id = "demo/counted"
context_window = 32768
tokenizer = "huggingface"
tokenizer_file = "tokenizer.json"
"""
BODY = json.dumps({"model": "demo/counted", "messages": [{"role": "user", "content": "x" * 99}]})
FRAMED = 99 + 4 + 3


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config, and beside it the file of a tokenizer whose tokens are characters."""
    written(tmp_path, characters())
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def ran(config: Path, *argv: str) -> Ran:
    """Run a command with the config and a request of 99 characters."""
    return gatewayctl(*argv, "--config", str(config), stdin=BODY.encode())


def only(told: Ran) -> dict[str, Any]:
    """Return the one estimate that was printed as JSON."""
    (estimate,) = json.loads(told.out)["estimates"]
    found: dict[str, Any] = estimate
    return found


def test_an_exact_estimate_is_the_files_own_count(config: Path) -> None:
    """Text by the file, framing as for every other tokenizer; named by the file, not its folder."""
    told = ran(config, "estimate", "--exact", "--json")
    assert (told.status, told.err) == (0, "")
    estimate = only(told)
    assert (estimate["low"], estimate["likely"], estimate["high"]) == (FRAMED, FRAMED, FRAMED)
    assert (estimate["method"], estimate["tokenizer"]) == ("exact", "huggingface:tokenizer.json")


def test_a_plan_is_made_by_the_files_own_count(config: Path) -> None:
    """The reason names what counted."""
    doc = json.loads(ran(config, "route-explain", "demo/counted", "--json").out)
    (attempt,) = doc["attempts"]
    assert attempt["estimate"]["likely"] == FRAMED
    assert attempt["estimate"]["method"] == "exact"
    assert f"{FRAMED} in (huggingface:tokenizer.json)" in attempt["reason"]


def test_a_file_that_is_no_tokenizer_costs_the_exactness_alone(config: Path) -> None:
    """What was wrong is said; the estimate is by ratio."""
    (config.parent / "tokenizer.json").write_text("{}")
    told = ran(config, "estimate", "--exact", "--json")
    assert told.status == 0
    assert only(told)["method"] == "ratio"
    assert "tokenizer.json is no tokenizer that can be read" in told.err
    assert "by ratio, since could not be counted: demo/counted" in told.err


@pytest.mark.parametrize(
    ("content", "why"), [("{}", "no tokenizer that can be read"), (None, "No such file")]
)
def test_validate_finds_a_file_that_cannot_be_used(
    config: Path, content: str | None, why: str
) -> None:
    """It reads the file too, and points at the key that names it."""
    assert gatewayctl("config", "validate", str(config)).status == 0
    file = config.parent / "tokenizer.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    told = gatewayctl("config", "validate", str(config), "--json")
    assert told.status == 1
    (problem,) = json.loads(told.out)["problems"]
    assert (problem["code"], problem["severity"]) == ("tokenizer-file-unusable", "error")
    assert (problem["key"], problem["line"]) == ("models[0].tokenizer_file", 10)
    assert why in problem["message"]
