"""``on_break = "buffer"``: a streamed answer is released only whole, so any break falls back."""

import re

import pytest
from support.books import logged
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import demo, gateway, upstream_config
from support.upstream import FakeUpstream, Fin, Hold, Pause, Rst, Step, chunked

from gatewayctl.storage.records import Outcome

ROUTE = """
[[cascades]]
id = "whole"
on_break = "buffer"
steps = [{ model = "up/m" }, { model = "demo/large" }]
[[models]]
id = "up/m"
timeouts = { first_token = "2s" }
"""
TERMINAL = {
    "chat_completions": rb"^data: \[DONE\]\n\n",
    "messages": rb"^event: message_stop\n",
    "responses": rb"^event: response\.completed\n",
}


async def _whole(protocol: str) -> bytes:
    """Return a whole stream that can be told from any other, as an upstream sends it."""
    async with demo() as (running, simulator):
        body = encoded(protocol, "large!words=40", "Hi", stream=True)
        async with running.client.post(simulator.base_url + PATHS[protocol], data=body) as answer:
            return await answer.read()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("end", [Fin(), Rst(), Hold()], ids=["fin", "rst", "stall"])
async def test_a_stream_that_breaks_after_its_first_words_falls_back(
    protocol: str, end: Step
) -> None:
    """Not a byte of the broken answer is seen, and its tokens are in the ledger."""
    whole = await _whole(protocol)
    pieces = chunked([whole[: len(whole) * 2 // 3]])
    broken: list[Step] = [*pieces[:-1], Pause(seconds=0.1), end]
    more = 'timeouts = { idle = "400ms" }'
    body = encoded(protocol, "whole", "Hi", stream=True)
    async with (
        FakeUpstream([broken]) as upstream,
        demo(upstream_config(upstream.base_url, more=more) + ROUTE) as (running, _),
    ):
        async with running.client.post(running.url + PATHS[protocol], data=body) as answer:
            told = await answer.read()
            assert answer.headers["x-gatewayctl-model"] == "demo/large"
        found = await logged(running.state, answer.headers["x-gatewayctl-request-id"])
    assert len(re.findall(TERMINAL[protocol], told, re.MULTILINE)) == 1
    assert len(told) < len(whole)
    assert found.outcome is Outcome.ANSWERED
    first, last = found.attempts[0], found.attempts[-1]
    assert first.outcome is Outcome.FAILED
    assert (first.metered.usage.output or 0) > 0
    assert last.model == "demo/large"


async def test_a_whole_answer_arrives_byte_for_byte_and_lives_meanwhile() -> None:
    """Held for long, the stream shows signs of life; then all of it comes."""
    whole = await _whole("messages")
    half = len(whole) // 2
    pieces = chunked([whole[:half], whole[half:]])
    slow = [*pieces[:2], Pause(seconds=0.4), *pieces[2:]]
    config = '[routing]\non_break = "buffer"\n'
    body = encoded("messages", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([slow]) as upstream,
        gateway(config + upstream_config(upstream.base_url), silence=0.1) as it,
        it.client.post(it.url + PATHS["messages"], data=body) as answer,
    ):
        told = await answer.read()
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    assert told.count(ping) >= 2
    assert told.replace(ping, b"") == whole.replace(ping, b"")


async def test_the_limit_to_the_first_token_ends_with_it_when_buffering() -> None:
    """Generation may take longer than ``first_token`` and the deadline: only idling ends it."""
    config = '[routing]\non_break = "buffer"\ndeadline = "500ms"\n'
    body = encoded("chat_completions", "demo/large!pace=0.1!words=10", "Hi", stream=True)
    async with (
        demo(config) as (running, _),
        running.client.post(running.url + PATHS["chat_completions"], data=body) as answer,
    ):
        assert answer.status == 200
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")
