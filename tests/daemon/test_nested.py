"""A route inside another keeps its own policy: what it falls back on, its time, how it breaks."""

import json
from typing import Any

from support.dialects import PATHS, encoded
from support.gateway import Gateway, demo

NESTED = """
[[cascades]]
id = "inner"
%s
steps = [{ model = "demo/small!%s" }, { model = "demo/small" }]
[[dispatchers]]
id = "outer"
targets = ["inner", "demo/large"]
"""


async def ask(it: Gateway, **fields: Any) -> tuple[str | None, str, bytes]:
    """Return which model answered, after how many attempts, and the body."""
    body = encoded("chat_completions", "outer", "Hi", **fields)
    async with it.client.post(it.url + PATHS["chat_completions"], data=body) as answer:
        told = answer.headers
        model = told["x-gatewayctl-model"] if answer.status == 200 else None
        return model, told["x-gatewayctl-attempts"], await answer.read()


async def test_a_nested_route_that_does_not_fall_back_fails_as_a_whole() -> None:
    """The route around it goes on to what stands outside, by its own list."""
    async with demo(NESTED % ("fallback_on = []", "503")) as (it, _):
        assert (await ask(it))[:2] == ("demo/large", "2")


async def test_a_nested_route_that_falls_back_does_so_first() -> None:
    """Without an override its own next step comes before what stands outside."""
    async with demo(NESTED % ("", "503")) as (it, _):
        assert (await ask(it))[:2] == ("demo/small", "2")


async def test_a_nested_route_is_given_its_own_deadline() -> None:
    """Its slow step is given up in time, its second is not begun, and the outer one goes on."""
    async with demo(NESTED % ('deadline = "300ms"', "slow=20")) as (it, _):
        assert (await ask(it, stream=True))[:2] == ("demo/large", "2")


async def test_a_nested_route_buffers_although_the_outer_one_does_not() -> None:
    """A break after the first words falls back within it, unseen."""
    async with demo(NESTED % ('on_break = "buffer"', "cut-events=4")) as (it, _):
        model, _, told = await ask(it, stream=True)
    assert model == "demo/small"
    assert told.endswith(b"data: [DONE]\n\n")
    assert not [line for line in told.splitlines() if b'"error":{' in line]
    pieces = [json.loads(line[6:]) for line in told.splitlines() if line.startswith(b"data: {")]
    assert len({piece["id"] for piece in pieces}) == 1
