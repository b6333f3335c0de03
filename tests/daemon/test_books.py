"""The ledger as the daemon keeps it: one row an attempt, whatever becomes of the request."""

import asyncio
import itertools
import json
import logging
import tempfile
from pathlib import Path

import pytest
from support.books import logged
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import Gateway, demo, gateway, upstream_config
from support.keyed import keyed
from support.upstream import FakeUpstream, Fin, Hold, chunked, sized
from support.waiting import until

from gatewayctl.storage import client_keys, history
from gatewayctl.storage.client_keys import Terms
from gatewayctl.storage.history import LoggedRequest
from gatewayctl.storage.records import Metered, Outcome

CASCADE = """
[[cascades]]
id = "both"
steps = [{ model = "demo/small!500" }, { model = "demo/large" }]
"""


PRICED = """
[model_defaults]
prices = { input = 2.5, input_cache_read = 0.25, output = 15 }
"""


def owed(metered: Metered) -> int:
    """Return the pico-dollars of what was metered, at the prices of ``PRICED``."""
    usage = metered.usage
    read = 2_500_000 * (usage.input or 0) + 250_000 * (usage.input_cache_read or 0)
    return read + 15_000_000 * (usage.output or 0)


async def ask(running: Gateway, protocol: str, body: bytes) -> LoggedRequest:
    """Return what the ledger says of a request, once it was answered and written down."""
    async with running.client.post(running.url + PATHS[protocol], data=body) as answer:
        await answer.read()
        request_id = answer.headers["x-gatewayctl-request-id"]
    return await logged(running.state, request_id)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_answer_is_recorded_with_what_was_metered(protocol: str, *, stream: bool) -> None:
    """Tokens, estimate, times and protocol stand in the row; the decision beside it."""
    body = encoded(protocol, "demo/large", "Hi", stream=stream)
    async with demo() as (running, _):
        found = await ask(running, protocol, body)
    assert (found.outcome, found.status, found.model) == (Outcome.ANSWERED, 200, "demo/large")
    assert (found.asked, found.protocol, found.stream) == ("demo/large", protocol, stream)
    (attempt,) = found.attempts
    assert attempt.outcome is Outcome.ANSWERED
    assert (attempt.metered.usage.input or 0) > 0
    assert (attempt.metered.usage.output or 0) > 0
    assert attempt.estimate_low <= attempt.estimate_likely <= attempt.estimate_high
    assert not attempt.metered.estimated or (protocol == "chat_completions" and stream)
    assert (attempt.first_token is not None) is stream
    assert found.duration is not None
    assert found.duration >= (attempt.duration or 0)
    assert found.decision is not None
    assert json.loads(bytes(found.decision))["chosen"] == "demo/large"


async def test_a_rescued_request_has_a_row_for_every_attempt() -> None:
    """The 500, its retry and the answer of the second step, in order."""
    body = encoded("chat_completions", "both", "Hi")
    async with demo(CASCADE) as (running, simulator):
        found = await ask(running, "chat_completions", body)
        assert len(simulator.journal.calls()) == 3
    told = [(each.model, each.retry, each.outcome, each.failure) for each in found.attempts]
    assert told == [
        ("demo/small!500", False, Outcome.FAILED, "server_error"),
        ("demo/small!500", True, Outcome.FAILED, "server_error"),
        ("demo/large", False, Outcome.ANSWERED, None),
    ]
    assert (found.outcome, found.model, found.route) == (Outcome.ANSWERED, "demo/large", "both")


async def test_a_refusal_is_recorded_without_an_attempt() -> None:
    """What no model can hold never left, and its decision says why."""
    body = encoded("chat_completions", "demo/small", "word " * 40_000)
    async with demo() as (running, _):
        found = await ask(running, "chat_completions", body)
    assert (found.outcome, found.status, found.error) == (Outcome.REFUSED, 413, "too_large")
    assert found.attempts == ()
    assert found.decision is not None
    assert json.loads(bytes(found.decision))["skipped"]


async def test_a_failure_is_recorded_with_its_kind_and_no_word_of_the_prompt() -> None:
    """Providers quote requests in their refusals; the ledger keeps the kind alone."""
    body = encoded("chat_completions", "demo/small!400", "secret words")
    async with demo() as (running, _):
        found = await ask(running, "chat_completions", body)
    assert (found.outcome, found.status) == (Outcome.FAILED, 400)
    assert found.attempts[0].said == "HTTP 400: bad_request (invalid_request_error)"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_stream_that_breaks_is_recorded_with_the_usage_so_far_litellm_36426(
    protocol: str,
) -> None:
    """The spend of a broken stream is not lost: neither its tokens nor its money."""
    body = encoded(protocol, "demo/large!cut-events=6", "Hi", stream=True)
    async with demo(PRICED) as (running, _):
        found = await ask(running, protocol, body)
    assert found.outcome is Outcome.BROKEN
    (attempt,) = found.attempts
    assert (attempt.outcome, attempt.failure) == (Outcome.BROKEN, "network")
    assert (attempt.metered.usage.input or 0) > 0
    assert (attempt.metered.usage.output or 0) > 0
    assert attempt.metered.cost == owed(attempt.metered) > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_client_that_leaves_is_recorded_with_the_usage_so_far_litellm_13245(
    protocol: str,
) -> None:
    """Spend is not lost when the client disconnects in the middle of its answer."""
    async with demo() as (running, simulator):
        plain = encoded(protocol, "large", "Hi", stream=True)
        url = simulator.base_url + PATHS[protocol]
        async with running.client.post(url, data=plain) as answer:
            whole = await answer.read()
    begun = chunked([whole[: len(whole) * 2 // 3]])
    body = encoded(protocol, "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[*begun[:-1], Hold()]]) as upstream,
        gateway(PRICED + upstream_config(upstream.base_url)) as it,
    ):
        answer = await it.client.post(it.url + PATHS[protocol], data=body)
        await answer.content.readany()
        answer.close()
        found = await logged(it.state, answer.headers["x-gatewayctl-request-id"])
        await until(lambda: upstream.requests[0].abandoned)
    assert found.outcome is Outcome.ABANDONED
    (attempt,) = found.attempts
    assert attempt.outcome is Outcome.ABANDONED
    assert (attempt.metered.usage.input or 0) > 0
    assert (attempt.metered.usage.output or 0) > 0
    assert attempt.metered.cost == owed(attempt.metered) > 0


async def _hung_up(url: str, path: str, *bodies: bytes) -> None:
    """Ask for streams on one connection, and be gone as soon as all of the last is there."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for body in bodies:
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.transport.abort()


async def _whole_stream(protocol: str, body: bytes) -> bytes:
    """Return what an upstream of this protocol sends."""
    async with demo() as (running, simulator):
        url = simulator.base_url + PATHS[protocol]
        async with running.client.post(url, data=body) as answer:
            return await answer.read()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_client_that_leaves_with_its_whole_answer_was_answered(protocol: str) -> None:
    """SDKs hang up at the terminal frame; that the upstream's body goes on is not their fault."""
    whole = await _whole_stream(protocol, encoded(protocol, "large", "Hi", stream=True))
    body = encoded(protocol, "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[*chunked([whole])[:-1], Hold()]]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        await _hung_up(it.url, PATHS[protocol], body)
        await until(lambda: bool(history.requests(it.state, limit=1)))
        found = await logged(it.state, history.requests(it.state, limit=1)[0].request)
    assert (found.outcome, found.attempts[0].outcome) == (Outcome.ANSWERED, Outcome.ANSWERED)


async def test_a_connections_next_request_does_not_wait_for_an_upstreams_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agent's next turn has nothing to do with the body of its last one."""
    monkeypatch.setattr("gatewayctl.daemon.relay.TRAILER", 60.0)
    whole = await _whole_stream("messages", encoded("messages", "large", "Hi", stream=True))
    body = encoded("messages", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[*chunked([whole])[:-1], Hold()]]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        await _hung_up(it.url, PATHS["messages"], body, body)
    assert len(upstream.requests) == 2


async def test_an_attempt_began_when_the_budget_counts_it() -> None:
    """Not when its request came: a period may have begun since, and a restart reads the ledger.

    Here each look at the clock is an hour later.
    """
    hours = itertools.count(0.0, 3600.0)
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, secret = client_keys.create(state, "ci", Terms(budgets=("9/hour",)), 0.0)
        async with (
            keyed() as up,
            gateway(
                PRICED + upstream_config(up.base_url), state=state, wall=lambda: next(hours)
            ) as it,
        ):
            body = encoded("chat_completions", "up/m", "Hi")
            headers = {"x-gatewayctl-key": secret}
            url = it.url + PATHS["chat_completions"]
            async with it.client.post(url, data=body, headers=headers) as answer:
                assert answer.status == 200
                found = await logged(state, answer.headers["x-gatewayctl-request-id"])
    (attempt,) = found.attempts
    assert attempt.at % 3600 == 0
    assert attempt.at > found.at + 3000


async def test_what_runs_is_in_the_ledger_while_it_runs() -> None:
    """The row of an attempt is there before its reply, with what it takes at least.

    So a daemon that is killed leaves what its upstreams may bill for, marked as a guess.
    """
    body = encoded("chat_completions", "demo/large!slow=1.5", "Hi")
    async with demo(PRICED) as (running, _):
        asking = asyncio.ensure_future(
            running.client.post(running.url + PATHS["chat_completions"], data=body)
        )

        def under_way() -> bool:
            found = history.requests(running.state, limit=1)
            return bool(found and found[0].outcome is None and found[0].attempts)

        await until(under_way)
        assert not asking.done()
        ((attempt,),) = (each.attempts for each in history.requests(running.state, limit=1))
        assert attempt.metered.estimated
        assert attempt.metered.cost == owed(attempt.metered) > 0
        (await asking).close()


async def test_input_that_nobody_metered_is_guessed_from_the_length_of_the_body() -> None:
    """A bound that was enough to plan by is no estimate: it may be many times the truth."""
    async with demo() as (running, simulator):
        plain = encoded("chat_completions", "large", "Hi", stream=True)
        url = simulator.base_url + PATHS["chat_completions"]
        async with running.client.post(url, data=plain) as answer:
            whole = await answer.read()
    body = encoded("chat_completions", "up/m", "word " * 400, stream=True)
    async with (
        FakeUpstream([[*chunked([whole[: len(whole) // 2]])[:-1], Fin()]]) as upstream,
        gateway(upstream_config(upstream.base_url)) as it,
    ):
        found = await ask(it, "chat_completions", body)
    (attempt,) = found.attempts
    assert (attempt.outcome, attempt.status, attempt.metered.estimated) == (
        Outcome.BROKEN, 200, True,
    )  # fmt: skip
    assert 400 < (attempt.metered.usage.input or 0) < 600


@pytest.mark.parametrize(("told", "read"), [("100", 0), (None, 3)])
async def test_an_input_that_cannot_be_read_is_guessed_whatever_the_cache_told(
    told: str | None, read: int
) -> None:
    """What was read from a cache says nothing of the rest, but is a part of it."""
    reply = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        ],
        "usage": {
            "prompt_tokens": told,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": read},
        },
    }
    body = encoded("chat_completions", "up/m", "word " * 400)
    async with (
        FakeUpstream([sized(json.dumps(reply).encode())]) as upstream,
        gateway(PRICED + upstream_config(upstream.base_url)) as it,
    ):
        (attempt,) = (await ask(it, "chat_completions", body)).attempts
    assert attempt.metered.estimated
    assert 400 < (attempt.metered.usage.input or 0) + read < 600
    assert attempt.metered.usage.input_cache_read == read
    assert attempt.metered.cost == owed(attempt.metered)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_no_words_of_an_upstream_are_kept_anywhere(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Any provider may quote the request in any refusal: codes are kept, and our own words."""
    caplog.set_level(logging.DEBUG)
    error = {"message": "no: my secret plan", "type": "some_error", "code": "some_code"}
    reply = sized(json.dumps({"error": error}).encode(), status)
    body = encoded("chat_completions", "up/m", "my secret plan")
    async with FakeUpstream([reply]) as upstream, gateway(upstream_config(upstream.base_url)) as it:
        found = await ask(it, "chat_completions", body)
        async with it.client.get(f"{it.url}/api/status") as answer:
            told = await answer.text()
        kept = b"".join(path.read_bytes() for path in it.state.iterdir())
    assert "some_code" in (found.attempts[0].said or "")
    assert "some_code" in told
    for text in (told, caplog.text, kept.decode(errors="replace")):
        assert "secret plan" not in text


@pytest.mark.parametrize(
    "header", ["x-gatewayctl-session", "x-claude-code-session-id", "session-id"]
)
async def test_a_session_that_the_client_names_is_recorded_whatever_the_route(header: str) -> None:
    """Also where routing needs none, so that usage can be grouped by it."""
    body = encoded("chat_completions", "demo/large", "Hi")
    async with demo() as (running, _):
        url = running.url + PATHS["chat_completions"]
        async with running.client.post(url, data=body, headers={header: "mine"}) as answer:
            await answer.read()
        found = await logged(running.state, answer.headers["x-gatewayctl-request-id"])
    assert found.session == "mine"


async def test_what_the_deadline_cut_short_is_not_held_against_the_model() -> None:
    """An attempt that was given next to no time says nothing of how its model fares."""
    config = '[routing]\ndeadline = "150ms"\n'
    body = encoded("chat_completions", "demo/large!slow=5", "Hi", stream=True)
    async with demo(config) as (running, _):
        for _ in range(4):
            found = await ask(running, "chat_completions", body)
            assert found.attempts[0].failure == "timeout"
        async with running.client.get(f"{running.url}/api/status") as answer:
            providers = json.loads(await answer.text())["providers"]
    assert not [breaker for each in providers for breaker in each["breakers"]]
