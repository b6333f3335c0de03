"""Translation through the daemon, in every pair: replies, refusals, and what is left out."""

from collections.abc import Sequence
from itertools import permutations
from typing import Final

import aiohttp
import msgspec
import pytest
from support import meaning, strict, translating, verdicts
from support.dialects import DIALECTS, address, encoded
from support.gateway import Gateway, demo, gateway, upstream_config
from support.upstream import FakeUpstream, RawRequest, Step, chunked, sized

from gatewayctl.core.conversation import Call, Refusal, Text, Thought
from gatewayctl.core.events import Reply
from gatewayctl.core.model import WireProtocol

REPLIES = {case.title: case for case in translating.replies()}
every_pair = pytest.mark.parametrize(("protocol", "upstream"), list(permutations(DIALECTS, 2)))
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

ONE: Final = """
[providers.one]
kind = "openai-compatible"
base_url = "{url}"
auth = "none"
protocols = ["{upstream}"]
"""
TOO_LARGE: Final = {
    "chat_completions": (413, "context_length_exceeded"),
    "responses": (400, "context_length_exceeded"),
    "messages": (413, "invalid_request_error"),
    "gemini": (400, "INVALID_ARGUMENT"),
}
RATE_LIMITED: Final = {
    "chat_completions": "rate_limit_exceeded",
    "responses": "rate_limit_exceeded",
    "messages": "rate_limit_error",
    "gemini": "RESOURCE_EXHAUSTED",
}


async def answered(protocol: str, upstream: str, title: str, *, stream: bool) -> Reply:
    """Return what a client reads of a golden reply that came through the daemon."""
    case = REPLIES[title]

    def answer(_: RawRequest) -> Sequence[Step]:
        if stream:
            return chunked([case.streams[WireProtocol(upstream)]])
        return sized(case.wholes[WireProtocol(upstream)])

    async with (
        FakeUpstream(choose=answer) as source,
        gateway(upstream_config(source.base_url, protocols=[upstream])) as it,
    ):
        told = await asked(it, protocol, "up/m", stream=stream)
    if stream:
        strict.events(protocol, told)
        strict.complete_events(protocol, told)
        return translating.read_stream(WireProtocol(protocol), told)
    strict.reply(protocol, told)
    strict.complete(protocol, told)
    return translating.read(WireProtocol(protocol), told)


async def asked(it: Gateway, protocol: str, model: str, *, stream: bool) -> bytes:
    """Ask a short question; return the answer's body."""
    body = encoded(protocol, model, "Hi", stream=stream)
    url = it.url + address(protocol, model, stream=stream)
    async with it.client.post(url, data=body) as answer:
        told = await answer.read()
        assert answer.status == 200, told
        return told


@both
@every_pair
async def test_arguments_of_calls_are_never_dropped_litellm_25321(
    protocol: str, upstream: str, *, stream: bool
) -> None:
    """Parallel calls, told side by side or whole, reach the client with all their arguments."""
    reply = await answered(protocol, upstream, "parallel calls", stream=stream)
    calls = [part for part in reply.choices[0].parts if isinstance(part, Call)]
    assert [(call.name, meaning.arguments(call.arguments)) for call in calls] == [
        ("weather", {"city": "Oslo", "days": 3}),
        ("weather", {"city": 'Róma "}', "days": 1}),
    ]


@both
@every_pair
async def test_thinking_is_never_told_as_text_litellm_32357(
    protocol: str, upstream: str, *, stream: bool
) -> None:
    """What the model thought stands where thoughts stand, and the answer is the answer alone."""
    reply = await answered(protocol, upstream, "a thought and an answer", stream=stream)
    parts = reply.choices[0].parts
    texts = [part.text for part in parts if isinstance(part, Text | Refusal)]
    thoughts = [part.text for part in parts if isinstance(part, Thought) and part.text]
    assert (texts, thoughts) == (["Hello!"], ["The user greets me."])


async def refusal(
    protocol: str, upstream: str, fault: str, *, stream: bool
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return what a client is told of an upstream's refusal."""
    async with demo() as (_, simulator):
        config = ONE.format(url=f"{simulator.base_url}/v1", upstream=upstream)
        model = f"one/small!{fault}"
        body = encoded(protocol, model, "Hi", stream=stream)
        async with gateway(config) as it:
            url = it.url + address(protocol, model, stream=stream)
            async with it.client.post(url, data=body) as answer:
                return answer, await answer.read()


def word(protocol: str, body: bytes) -> str:
    """Return the machine-readable word of an error."""
    error = msgspec.json.decode(body)["error"]
    match protocol:
        case "messages":
            return str(error["type"])
        case "gemini":
            return str(error["status"])
        case _:
            return str(error["code"])


@both
@every_pair
async def test_an_upstreams_413_is_told_in_the_clients_dialect_litellm_37767(
    protocol: str, upstream: str, *, stream: bool
) -> None:
    """Status and word are those by which this client's agents compact, or stop."""
    answer, body = await refusal(protocol, upstream, "overflow", stream=stream)
    assert (answer.status, word(protocol, body)) == TOO_LARGE[protocol]
    assert verdicts.refused(protocol, answer.status, body)["gatewayctl"]["kind"] == "too_large"


@both
@every_pair
async def test_an_upstreams_429_is_told_in_the_clients_dialect_floway_166(
    protocol: str, upstream: str, *, stream: bool
) -> None:
    """With the wait that the upstream asks for, where this client looks for it."""
    answer, body = await refusal(protocol, upstream, "429=20", stream=stream)
    assert (answer.status, word(protocol, body)) == (429, RATE_LIMITED[protocol])
    assert verdicts.refused(protocol, 429, body)["gatewayctl"]["kind"] == "rate_limited"
    assert answer.headers["retry-after"] == "20"
    assert protocol != "gemini" or b'"retryDelay":"20.000s"' in body


@every_pair
async def test_what_is_left_out_is_told_in_a_header(protocol: str, upstream: str) -> None:
    """A field that no other protocol knows is on record, and not in what the upstream gets."""
    case = REPLIES["text"]
    reply = sized(case.wholes[WireProtocol(upstream)])
    async with (
        FakeUpstream([reply]) as source,
        gateway(upstream_config(source.base_url, protocols=[upstream])) as it,
    ):
        body = encoded(protocol, "up/m", "Hi", frobnicate=True)
        async with it.client.post(it.url + address(protocol, "up/m"), data=body) as answer:
            assert answer.status == 200
            assert answer.headers["x-gatewayctl-dropped"] == "frobnicate"
        assert b"frobnicate" not in source.requests[0].body


async def test_a_model_known_not_to_reason_is_not_asked_to() -> None:
    """Claude Code asks every model to think as it likes: such a model still answers it."""
    more = '[[models]]\nid = "up/m"\n[models.capabilities]\nreasoning = false'
    reply = sized(REPLIES["text"].wholes[WireProtocol.CHAT_COMPLETIONS])
    async with (
        FakeUpstream([reply]) as source,
        gateway(upstream_config(source.base_url, more=more, protocols=["chat_completions"])) as it,
    ):
        asks = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
        body = encoded("messages", "up/m", "Hi", **asks)
        async with it.client.post(f"{it.url}/v1/messages", data=body) as answer:
            assert answer.status == 200
            assert answer.headers["x-gatewayctl-dropped"] == "reasoning"
        assert b"reasoning" not in source.requests[0].body


@pytest.mark.parametrize("protocol", ["messages", "responses", "gemini"])
async def test_calls_that_never_end_and_more_beside_them_end_in_an_error(protocol: str) -> None:
    """What waits for an unfinished call is bounded, and a call is never told in part as whole."""

    def delta(call: int, arguments: str) -> bytes:
        told = {"index": call, "function": {"name": "look", "arguments": arguments}}
        if len(arguments) <= 1:
            told |= {"id": f"call_{call}", "type": "function"}
        choice = {"index": 0, "delta": {"tool_calls": [told]}, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: %b\n\n" % msgspec.json.encode({**chunk, "choices": [choice]})

    endless = [delta(0, "{"), delta(1, "{"), *[delta(1, " " * (1 << 20))] * 17]
    async with (
        FakeUpstream([chunked(endless)]) as source,
        gateway(upstream_config(source.base_url, protocols=["chat_completions"])) as it,
    ):
        body = encoded(protocol, "up/m", "Hi", stream=True)
        async with it.client.post(it.url + address(protocol, "up/m", stream=True), data=body) as a:
            told = b""
            try:
                async for piece in a.content.iter_any():
                    told += piece
            except aiohttp.ClientPayloadError:
                assert protocol == "gemini"
    assert len(told) < 1 << 20
    assert b"beside an unfinished tool call" in told
    assert not verdicts.looks_complete(protocol, told)
