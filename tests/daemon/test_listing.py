"""What is listed to a client: what it may use, and routes as far as that goes."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, gateway

from gatewayctl.storage.client_keys import Terms, create

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[[models]]
id = "up/small"
context_window = 32_768
prices = { input = 1, output = 2 }
[[models]]
id = "up/large"
context_window = 262_144
prices = { input = 1, output = 2 }
[[models]]
id = "up/other"
context_window = 65_536
[aliases]
"best" = "both"
"worst" = "up/other"
[[alloys]]
id = "both"
name = "Both"
strategy = "weighted"
[[alloys.constituents]]
model = "up/small"
context_window = "auto"
[[alloys.constituents]]
model = "up/large"
context_window = "auto"
[[cascades]]
id = "outer"
steps = [{ model = "both" }, { model = "up/other" }]
"""
KEYS = {
    "all": Terms(),
    "large": Terms(models=("up/large",)),
    "both": Terms(models=("both",)),
    "best": Terms(models=("best",)),
    "none": Terms(models=("nothing",)),
    "paid": Terms(budgets=("5/day",)),
}


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Mapping[str, str]]]:
    """Run a gateway with keys of all kinds."""
    made = {name: create(tmp_path, name, terms, 0.0)[1] for name, terms in KEYS.items()}
    async with gateway(CONFIG, state=tmp_path) as running:
        yield running, made


async def asked(it: Gateway, path: str, key: str, **headers: str) -> tuple[int, Any]:
    """GET a path with a key; return status and body."""
    told = {"x-gatewayctl-key": key, **headers}
    async with it.client.get(it.url + path, headers=told) as reply:
        return reply.status, json.loads(await reply.read())


async def listed(it: Gateway, key: str) -> dict[str, dict[str, Any]]:
    """Return the list in OpenAI's shape, by id."""
    status, found = await asked(it, "/v1/models", key)
    assert status == 200
    return {each["id"]: each for each in found["data"]}


async def test_a_list_has_what_a_key_may_use(it: tuple[Gateway, Mapping[str, str]]) -> None:
    """Listed models, and every name that leads to one of them."""
    running, made = it
    models = {"up/small", "up/large", "up/other"}
    names = {"both", "best", "outer", "worst"}
    expected = {
        "all": models | names,
        "large": {"up/large", "both", "best", "outer"},
        "both": {"both", "best", "outer"},
        "best": {"best"},
        "none": set[str](),
        "paid": {"up/small", "up/large", "both", "best", "outer"},  # what has a price
    }
    for name, ids in expected.items():
        assert set(await listed(running, made[name])) == ids, name


async def test_a_route_shows_the_members_and_the_window_that_are_left(
    it: tuple[Gateway, Mapping[str, str]],
) -> None:
    """A blend of one is as large as that one; a listed route is whole."""
    running, made = it
    large = await listed(running, made["large"])
    assert large["both"]["members"] == ["up/large"]
    assert large["both"]["context_window"] == 262_144
    assert large["best"]["context_window"] == 262_144
    assert (large["outer"]["members"], large["outer"]["context_window"]) == (["both"], 262_144)
    both = await listed(running, made["both"])
    assert both["both"]["members"] == ["up/small", "up/large"]
    assert both["both"]["context_window"] == 32_768
    assert (both["outer"]["members"], both["outer"]["context_window"]) == (["both"], 32_768)
    paid = await listed(running, made["paid"])
    assert (paid["outer"]["members"], paid["outer"]["context_window"]) == (["both"], 32_768)
    whole = await listed(running, made["all"])
    assert (whole["outer"]["members"], whole["outer"]["context_window"]) == (
        ["both", "up/other"],
        65_536,
    )


async def test_every_shape_of_the_list_is_pruned(it: tuple[Gateway, Mapping[str, str]]) -> None:
    """Anthropic's with its names for Claude Code, and Google's."""
    running, made = it
    version = {"anthropic-version": "2023-06-01"}
    _, found = await asked(running, "/v1/models", made["best"], **version)
    assert {each["id"] for each in found["data"]} == {"best", "claude-via-best"}
    _, found = await asked(running, "/v1beta/models", made["best"])
    assert [each["name"] for each in found["models"]] == ["models/best"]
    _, found = await asked(running, "/v1/models", made["none"], **version)
    assert (found["data"], found["first_id"]) == ([], None)


@pytest.mark.parametrize("path", ["/v1/models/", "/v1beta/models/"])
async def test_a_model_that_a_key_may_not_use_is_unknown_to_it(
    it: tuple[Gateway, Mapping[str, str]], path: str
) -> None:
    """404 as for a name that nobody knows, and the nearest names are those it may use."""
    running, made = it
    assert (await asked(running, f"{path}up/large", made["large"]))[0] == 200
    status, found = await asked(running, f"{path}up/small", made["large"])
    unknown, told = await asked(running, f"{path}up/smalls", made["large"])
    assert (status, unknown) == (404, 404)
    for name, error in (("up/small", found["error"]), ("up/smalls", told["error"])):
        assert f'"{name}"' in error["message"]
        nearest = error["message"].partition("did you mean")[2]
        assert "small" not in nearest
        assert "other" not in nearest
