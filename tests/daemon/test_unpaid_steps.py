"""A client whose money does not do for every step of a route, through the whole daemon."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.dialects import request
from support.gateway import Gateway, gateway
from support.keyed import Keyed, keyed
from support.waiting import until

from gatewayctl.storage import history
from gatewayctl.storage.client_keys import Terms, create
from gatewayctl.storage.operator import operator_key
from gatewayctl.storage.records import Outcome

CONFIG = """
[providers.dear]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "for-dear"
[providers.cheap]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "for-cheap"

[[models]]
id = "dear/m"
context_window = "128K"
prices = {{ input = 1000, output = 100000 }}
[[models]]
id = "cheap/m"
context_window = "128K"
prices = {{ input = 0.001, output = 100 }}
[[models]]
id = "cheap/free"
context_window = "128K"
prices = {{ input = 0, output = 0 }}

[[cascades]]
id = "both"
[[cascades.steps]]
model = "dear/m"
[[cascades.steps]]
model = "cheap/m"

[[cascades]]
id = "strict"
fallback_on = ["auth"]
[[cascades.steps]]
model = "dear/m"
[[cascades.steps]]
model = "cheap/m"

[[cascades]]
id = "up"
[[cascades.steps]]
model = "cheap/m"
[[cascades.steps]]
model = "dear/m"

[[cascades]]
id = "down-to-nothing"
[[cascades.steps]]
model = "dear/m"
[[cascades.steps]]
model = "cheap/free"
"""


@contextlib.asynccontextmanager
async def house(*budgets: str, **limits: Any) -> AsyncIterator[tuple[Gateway, Keyed, str]]:
    """Run a gateway whose client has these budgets; yield it, its upstream and the secret."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, key = create(state, "ci", Terms(budgets=budgets, **limits), time.time())
        async with (
            keyed() as upstream,
            gateway(CONFIG.format(url=upstream.base_url), state=state) as it,
        ):
            yield it, upstream, key


async def ask(
    it: Gateway, key: str, route: str, written: int = 100, *, dry_run: str = ""
) -> tuple[int, Mapping[str, str], Any]:
    """Ask for an answer of so many tokens; return status, headers and body."""
    body = request("chat_completions", route, "hi", max_tokens=written)
    sent = {"Authorization": f"Bearer {key}", "x-gatewayctl-dry-run": dry_run}
    async with it.client.post(f"{it.url}/v1/chat/completions", json=body, headers=sent) as reply:
        return reply.status, reply.headers, await reply.json()


async def logged(it: Gateway, asked: int = 1) -> tuple[history.LoggedRequest, Any]:
    """Return the newest of so many requests, once all are over, and its decision."""

    def found() -> tuple[history.LoggedRequest, ...]:
        return history.requests(it.state, limit=10)

    def done() -> bool:
        return [bool(it.outcome and it.decision) for it in found()] == [True] * asked

    await until(done)
    one = found()[0]
    assert one.decision is not None
    return one, msgspec.json.decode(one.decision)


@pytest.mark.parametrize("route", ["both", "strict"])
async def test_a_step_that_nobody_can_pay_is_passed_over(route: str) -> None:
    """The cheaper one answers, whatever the route falls back on; the record says why."""
    async with house("0.001/day") as (it, upstream, key):
        status, headers, _ = await ask(it, key, route)
        assert (status, headers["x-gatewayctl-model"]) == (200, "cheap/m")
        assert headers["x-gatewayctl-attempts"] == "1"
        assert upstream.calls == ["for-cheap"]
        one, decision = await logged(it)
    assert [each.model for each in one.attempts] == ["cheap/m"]
    assert [each["model"] for each in decision["attempts"]] == ["cheap/m"]
    (skipped,) = decision["skipped"]
    assert (skipped["model"], skipped["reason"]) == ("dear/m", "over_budget")
    assert 'the client key "ci" has a budget of $0.001/day' in skipped["detail"]
    assert decision["error"] is None


async def test_what_costs_nothing_answers_when_all_money_is_gone() -> None:
    """A budget of 0 is one that free models alone are for."""
    async with house("0/day") as (it, upstream, key):
        status, headers, _ = await ask(it, key, "down-to-nothing")
        assert (status, headers["x-gatewayctl-model"]) == (200, "cheap/free")
        assert (await ask(it, key, "both"))[0] == 429
        assert upstream.calls == ["for-cheap"]


async def test_who_can_pay_for_nothing_hears_when_the_money_is_back() -> None:
    """429 with the soonest reset of what was passed over; the decision refuses likewise."""
    async with house("0.000001/hour") as house_:
        it, upstream, key = house_
        assert (await ask(it, key, "up", written=1))[0] == 200
        status, headers, body = await ask(it, key, "both")
        assert status == 429
        assert 0 < float(headers["retry-after"]) <= 3600
        assert body["error"]["code"] == "insufficient_quota"
        assert body["error"]["gatewayctl"]["budget"] == "0.000001/hour"
        assert upstream.calls == ["for-cheap"]
        one, decision = await logged(it, asked=2)
    assert (one.outcome, one.status, one.attempts) == (Outcome.REFUSED, 429, ())
    assert decision["attempts"] == []
    assert [each["reason"] for each in decision["skipped"]] == ["over_budget"] * 2
    assert decision["error"]["kind"] == "rate_limited"


async def test_a_failure_is_the_first_cause_and_what_was_passed_over_is_named() -> None:
    """The client hears of the upstream that failed, not of a budget that would not have helped."""
    async with house("0.001/day") as (it, upstream, key):
        upstream.replies["for-cheap"] = (403, {})
        status, _, body = await ask(it, key, "both")
        assert status == 502
        assert "passed over, since the client's budget is spent: dear/m" in body["error"]["message"]
        assert [each["reason"] for each in body["error"]["gatewayctl"]["skipped"]] == [
            "over_budget"
        ]
        one, _ = await logged(it)
    assert one.outcome is Outcome.FAILED


async def test_a_cheaper_step_is_not_kept_waiting_for_others_money() -> None:
    """What other calls have reserved of a dear step's price keeps nobody from a cheap one."""
    async with house("0.515/day") as (it, upstream, key):
        held = upstream.held["for-dear"] = asyncio.Event()
        first = asyncio.ensure_future(ask(it, key, "dear/m", written=5))
        await until(lambda: len(upstream.calls) == 1)
        status, headers, _ = await ask(it, key, "both", written=5)
        assert (status, headers["x-gatewayctl-model"]) == (200, "cheap/m")
        assert upstream.calls == ["for-dear", "for-cheap"]
        held.set()
        assert (await first)[0] == 200


async def test_the_pace_of_a_key_ends_a_request_whatever_it_could_pay() -> None:
    """Another step would come as soon: nothing is passed over for it."""
    async with house("0.0105/day", rpm=1) as (it, upstream, key):
        assert (await ask(it, key, "both"))[0] == 200
        status, _, body = await ask(it, key, "cheap/m")
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert upstream.calls == ["for-cheap"]
        _, decision = await logged(it, asked=2)
    assert "may use 1 request a minute" in decision["error"]["message"]


async def test_a_dry_run_and_route_explain_say_what_the_money_does_not_do_for() -> None:
    """As things are now, and nothing is taken by asking."""
    async with house("0.001/day") as (it, upstream, key):
        for _ in range(2):
            _, _, told = await ask(it, key, "both", dry_run="1")
            assert told["chosen"] == "cheap/m"
            assert [each["reason"] for each in told["skipped"]] == ["over_budget"]
        _, _, told = await ask(it, key, "dear/m", dry_run="1")
        assert (told["chosen"], told["error"]["kind"]) == (None, "rate_limited")
        headers = {"x-gatewayctl-key": operator_key(it.state)}
        body = request("chat_completions", "both", "hi", max_tokens=100)
        for client, chosen in (("", "dear/m"), ("?client=ci", "cheap/m")):
            url = f"{it.url}/api/route-explain{client}"
            async with it.client.post(url, json=body, headers=headers) as reply:
                assert (await reply.json())["chosen"] == chosen
        assert upstream.calls == []


async def test_a_stream_that_money_is_refused_to_is_told_by_a_status() -> None:
    """It waits for others no longer than its headers do."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, key = create(state, "ci", Terms(budgets=("0.1/day",)), time.time())
        async with (
            keyed() as upstream,
            gateway(CONFIG.format(url=upstream.base_url), silence=1.5, state=state) as it,
        ):
            held = upstream.held["for-dear"] = asyncio.Event()
            first = asyncio.ensure_future(ask(it, key, "dear/m", written=5))
            await until(lambda: len(upstream.calls) == 1)
            body = request("chat_completions", "dear/m", "hi", max_tokens=5, stream=True)
            url, headers = f"{it.url}/v1/chat/completions", {"x-gatewayctl-key": key}
            async with it.client.post(url, json=body, headers=headers) as reply:
                assert reply.status == 429
            held.set()
            await first
