"""A count is the provider's own where it has a counter and the key allows, else an estimate."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from support.gateway import Gateway, gateway
from support.upstream import (
    FakeUpstream,
    Fin,
    Hold,
    Pause,
    RawRequest,
    Rst,
    Step,
    cut,
    sized,
)
from support.waiting import until

COUNTED = sized(b'{"input_tokens":1234}')
TEXT = "word " * 2_000
BODY = {
    "model": "claude/claude-sonnet-4-6",
    "system": "x-anthropic-billing-header: cc_version=1\nBe brief.",
    "messages": [{"role": "user", "content": TEXT}],
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
}
BILLING = "x-anthropic-billing-header"


def config(base_url: str, more: str = 'api_key = "sk-secret-of-the-gateway"') -> str:
    """Return a config with Anthropic's API at another address."""
    return f"""
[providers.claude]
kind = "anthropic"
base_url = "{base_url}"
{more}
[[models]]
id = "claude/claude-sonnet-4-6"
context_window = 200000
set = {{ temperature = 0.5, thinking = {{ type = "disabled" }} }}
drop = ["x_own"]
[[models]]
id = "claude/tiny"
context_window = 100
[aliases]
sonnet = "claude/claude-sonnet-4-6"
"""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a client got: the count, who counted, and what fell short."""

    tokens: int
    by: str
    short: str | None
    model: str


async def count(it: Gateway, body: Any = None, query: str = "", **headers: str) -> Answer:
    """Ask for a count, which is always answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{it.url}/v1/messages/count_tokens{query}"
    data = json.dumps(BODY if body is None else body).encode()
    async with it.client.post(url, data=data, headers=named) as answer:
        told = await answer.json()
        assert answer.status == 200, told
        assert told.keys() == {"input_tokens"}
        return Answer(
            tokens=told["input_tokens"],
            by=answer.headers["x-gatewayctl-counted-by"],
            short=answer.headers.get("x-gatewayctl-degraded"),
            model=answer.headers["x-gatewayctl-model"],
        )


@contextlib.asynccontextmanager
async def counting(
    *replies: Sequence[Step], more: str | None = None
) -> AsyncIterator[tuple[Gateway, FakeUpstream]]:
    """Run a gateway in front of a counter that plays these replies."""
    async with FakeUpstream(replies) as upstream:
        text = config(upstream.base_url) if more is None else config(upstream.base_url, more)
        async with gateway(text) as it:
            yield it, upstream


async def test_the_providers_own_count_is_answered() -> None:
    """It is asked with the gateway's key, the client's betas, and the request as it would be."""
    body = {**BODY, "model": "sonnet", "max_tokens": 9, "stream": True, "x_own": 1}
    async with counting(COUNTED) as (it, upstream):
        found = await count(it, body, "?beta=true", anthropic_beta="token-counting-2024-11-01")
        (sent,) = upstream.requests
    assert found == Answer(tokens=1234, by="provider", short=None, model="claude/claude-sonnet-4-6")
    assert sent.target == "/v1/messages/count_tokens?beta=true"
    assert sent.header("x-api-key") == b"sk-secret-of-the-gateway"
    assert sent.header("anthropic-version") == b"2023-06-01"
    assert sent.header("anthropic-beta") == b"token-counting-2024-11-01"
    told = json.loads(sent.body)
    assert told == {
        "model": "claude-sonnet-4-6",
        "system": BODY["system"],
        "messages": BODY["messages"],
        "tools": BODY["tools"],
        "thinking": {"type": "disabled"},
    }


async def test_a_forwarded_request_goes_up_as_it_came_but_for_the_model() -> None:
    """With the client's own credential, and nothing of the config's."""
    body = {**BODY, "model": "sonnet", "x_own": 1}
    async with counting(COUNTED, more='auth = "forward"') as (it, upstream):
        found = await count(it, body, authorization="Bearer sk-own")
        (sent,) = upstream.requests
    assert (found.tokens, found.by) == (1234, "provider")
    assert sent.header("authorization") == b"Bearer sk-own"
    assert json.loads(sent.body) == {**body, "model": "claude-sonnet-4-6"}


async def test_the_billing_line_goes_where_messages_of_this_provider_send_it() -> None:
    """What is counted is what would be sent."""
    more = 'api_key = "sk-x"\nflags = { strip_billing_attribution = true }'
    async with counting(COUNTED, more=more) as (it, upstream):
        await count(it)
        (sent,) = upstream.requests
    assert json.loads(sent.body)["system"] == "Be brief."


async def test_what_is_too_large_is_counted_all_the_same() -> None:
    """Clients count to learn that they have to compact."""
    async with counting(COUNTED) as (it, _):
        found = await count(it, {**BODY, "model": "claude/tiny"})
    assert (found.tokens, found.by, found.model) == (1234, "provider", "claude/tiny")


FAILURES: dict[str, tuple[Sequence[Step], str]] = {
    "refused": (sized(b'{"error":{"message":"word word"}}', 400), "status 400"),
    "no such endpoint": (sized(b"nothing here", 404), "status 404"),
    "wrong key": (sized(b'{"error":"sk-secret-of-the-gateway"}', 401), "status 401"),
    "rate limit": (sized(b"{}", 429), "status 429"),
    "overloaded": (sized(b"{}", 529), "status 529"),
    "redirect": (sized(b"", 302, (("location", "http://127.0.0.1:9/"),)), "status 302"),
    "no JSON": (sized(b"<html>"), "without a count"),
    "no count": (sized(b'{"tokens":7}'), "without a count"),
    "a text": (sized(b'{"input_tokens":"7"}'), "without a count"),
    "a fraction": (sized(b'{"input_tokens":7.5}'), "without a count"),
    "nothing": (sized(b'{"input_tokens":0}'), "without a count"),
    "less than nothing": (sized(b'{"input_tokens":-4}'), "without a count"),
    "a truth": (sized(b'{"input_tokens":true}'), "without a count"),
    "nonsense": (sized(b'{"input_tokens":9999999999}'), "more tokens than"),
    "nested": (sized(b"[" * 60_000), "without a count"),
    "no end": (sized(b" " * 200_000), "larger than"),
    "cut": (cut(COUNTED, at=70, end=Fin()), ""),
    "reset": ([Rst()], ""),
}


@pytest.mark.parametrize(("reply", "why"), FAILURES.values(), ids=FAILURES)
async def test_any_failure_is_an_estimate_that_says_so(reply: Sequence[Step], why: str) -> None:
    """The client has its count; the header says who failed, without a word of the upstream's."""
    async with counting(reply) as (it, _):
        found = await count(it)
    assert found.by == "estimate"
    assert 1_500 < found.tokens < 4_000
    assert found.short is not None
    assert found.short.startswith("claude did not count: ")
    assert why in found.short
    assert "word" not in found.short
    assert "sk-secret" not in found.short


async def test_a_silent_counter_is_waited_for_no_longer_than_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An estimate is at hand all the time."""
    monkeypatch.setattr("gatewayctl.upstream.counting.PATIENCE", 0.2)
    async with counting([Hold()]) as (it, upstream):
        found = await count(it)
        assert found.by == "estimate"
        assert found.short == "claude did not count: no count within 0.2 s"
        await until(lambda: upstream.requests[0].abandoned)


async def test_a_connection_that_died_in_the_pool_is_replaced() -> None:
    """That says nothing of the upstream, nor of the request."""
    kept = [*COUNTED, Fin()]
    async with counting(kept) as (it, upstream):
        assert (await count(it)).by == "provider"
        other = {**BODY, "system": "Be brief."}
        assert (await count(it, other)).by == "provider"
        assert len(upstream.requests) == 2


async def test_no_key_is_an_estimate() -> None:
    """Nothing can be sent to the model, and it is counted for all the same."""
    more = 'api_key = { env = "NO_SUCH_KEY_HERE" }'
    async with counting(COUNTED, more=more) as (it, upstream):
        found = await count(it)
        assert not upstream.requests
    assert (found.by, found.short) == ("estimate", None)
    assert 1_500 < found.tokens < 4_000


async def test_a_credential_that_does_not_serve_a_client_does_not_count_for_it() -> None:
    """Which clients it serves is the user's to say."""
    more = 'api_key = "sk-x"\nclients = ["claude-cli/*"]'
    async with counting(COUNTED, more=more) as (it, upstream):
        assert (await count(it, user_agent="other/1")).by == "estimate"
        assert not upstream.requests
        assert (await count(it, user_agent="claude-cli/2.1")).by == "provider"


async def test_without_a_credential_to_forward_nobody_is_asked() -> None:
    """The answer would be a refusal."""
    async with counting(COUNTED, more='auth = "forward"') as (it, upstream):
        assert (await count(it)).by == "estimate"
        assert not upstream.requests


async def test_another_kind_of_provider_is_not_asked() -> None:
    """Whoever speaks the protocol need not have its counter."""
    async with FakeUpstream([COUNTED]) as upstream:
        text = config(upstream.base_url).replace('"anthropic"', '"anthropic-compatible"')
        async with gateway(text) as it:
            assert (await count(it)).by == "estimate"
        assert not upstream.requests


async def test_the_same_bytes_are_counted_once() -> None:
    """Fourteen at once are one call, and later ones none; other bytes and betas are their own."""
    async with counting([Pause(seconds=0.2), *COUNTED]) as (it, upstream):
        found = await asyncio.gather(*(count(it) for _ in range(14)))
        assert {each.tokens for each in found} == {1234}
        assert len(upstream.requests) == 1
        await count(it)
        assert len(upstream.requests) == 1
        await count(it, {**BODY, "system": "Other."})
        await count(it, anthropic_beta="context-1m-2025-08-07")
        assert len(upstream.requests) == 3


async def test_a_credential_that_was_refused_does_not_count_while_there_is_another() -> None:
    """Of several the next one is asked, and takes no message's turn."""
    keys = 'api_key = ["sk-first-of-two", "sk-second-of-two"]'
    async with counting(sized(b"{}", 401), COUNTED, more=keys) as (it, upstream):
        found = [await count(it, {**BODY, "system": f"{number}"}) for number in range(2)]
        used = [each.header("x-api-key") for each in upstream.requests]
    assert [each.by for each in found] == ["estimate", "provider"]
    assert used == [b"sk-first-of-two", b"sk-second-of-two"]


async def test_nothing_is_counted_with_a_credential_that_is_spent() -> None:
    """Nothing is sent to it, not even a question that may be free."""
    prefix, reset = "anthropic-ratelimit-unified-", str(int(time.time()) + 600)
    limit = ((f"{prefix}status", "rejected"), (f"{prefix}reset", reset))
    async with counting(sized(b"{}", 429, limit), COUNTED) as (it, upstream):
        message = {**BODY, "max_tokens": 9}
        async with it.client.post(f"{it.url}/v1/messages", json=message) as answer:
            assert answer.status == 429
        assert (await count(it)).by == "estimate"
        assert len(upstream.requests) == 1


async def test_what_one_credential_may_know_is_not_told_to_another() -> None:
    """Each forwarded credential is asked for by itself."""
    async with counting(COUNTED, more='auth = "forward"') as (it, upstream):
        await count(it, x_api_key="sk-one")
        await count(it, x_api_key="sk-two")
        await count(it, x_api_key="sk-one")
        assert len(upstream.requests) == 2


async def test_a_failure_is_not_kept() -> None:
    """The next request asks anew."""
    async with counting(sized(b"{}", 529), COUNTED) as (it, _):
        assert (await count(it)).by == "estimate"
        assert (await count(it)).by == "provider"


async def test_a_client_that_leaves_takes_the_call_with_it_unless_others_wait() -> None:
    """The call ends with the last that waits for it."""
    held = asyncio.Event()

    def choose(_: RawRequest) -> Sequence[Step]:
        held.set()
        return [Hold()]

    async with FakeUpstream(choose=choose) as upstream, gateway(config(upstream.base_url)) as it:
        first, second = (asyncio.ensure_future(count(it)) for _ in range(2))
        await held.wait()
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.wait([first])
        await asyncio.sleep(0.1)
        assert not upstream.requests[0].abandoned
        second.cancel()
        await asyncio.wait([second])
        await until(lambda: upstream.requests[0].abandoned)
        assert len(upstream.requests) == 1


async def test_an_unknown_model_is_not_found() -> None:
    """As in a request for an answer."""
    async with counting(COUNTED) as (it, upstream):
        body = json.dumps({**BODY, "model": "no-such-model"})
        url = f"{it.url}/v1/messages/count_tokens"
        async with it.client.post(url, data=body) as answer:
            assert answer.status == 404
            assert (await answer.json())["error"]["type"] == "not_found_error"
        assert not upstream.requests


async def test_counting_goes_on_when_the_daemon_ends() -> None:
    """A call under way at shutdown ends with it, and leaves nothing behind."""
    async with FakeUpstream([[Hold()]]) as upstream:
        async with gateway(config(upstream.base_url)) as it:
            asking = asyncio.ensure_future(count(it))
            await until(lambda: bool(upstream.requests))
        with pytest.raises(aiohttp.ClientError):
            await asking
        await until(lambda: upstream.requests[0].abandoned)
