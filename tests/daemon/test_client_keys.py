"""Client keys through the whole daemon: who is let in, what each may use, and what it may spend."""

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.dialects import DIALECTS, address, request
from support.gateway import Gateway, gateway
from support.keyed import READ, Keyed, keyed
from support.waiting import until

from gatewayctl.storage import history
from gatewayctl.storage.client_keys import FILE, Terms, create, digest, revoke
from gatewayctl.storage.operator import operator_key

WRITTEN = 1000
CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "stand-in-upstream"

[[models]]
id = "up/m"
context_window = "128K"
prices = {{ input = 1.0, output = 100.0 }}
[[models]]
id = "up/other"
context_window = "64K"
prices = {{ input = 1.0, output = 1000.0 }}
[[models]]
id = "up/free"
context_window = "64K"

[[cascades]]
id = "both"
[[cascades.steps]]
model = "up/m"
[[cascades.steps]]
model = "up/other"

[[cascades]]
id = "hidden-route"
[[cascades.steps]]
model = "up/m"

[[dispatchers]]
id = "nested"
targets = ["hidden-route", "both"]

[[dispatchers]]
id = "by-client"
targets = ["up/m"]
[[dispatchers.rules]]
when = {{ client = "ci" }}
target = "up/other"
"""


@contextlib.asynccontextmanager
async def house(
    seconds: float = 0.0, **keys: Terms
) -> AsyncIterator[tuple[Gateway, Keyed, Mapping[str, str]]]:
    """Run a gateway with these client keys; yield it, its upstream and the keys' secrets."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        made = {name: create(state, name, terms, time.time())[1] for name, terms in keys.items()}
        async with (
            keyed(seconds=seconds) as upstream,
            gateway(CONFIG.format(url=upstream.base_url), state=state) as it,
        ):
            yield it, upstream, made


async def ask(
    it: Gateway, key: str | None, model: str = "up/m", protocol: str = "chat_completions"
) -> tuple[int, Mapping[str, str], Any]:
    """Ask for an answer of 1,000 tokens; return status, headers and body."""
    budgets: dict[str, dict[str, Any]] = {
        "chat_completions": {"max_tokens": WRITTEN},
        "responses": {"max_output_tokens": WRITTEN},
        "messages": {"max_tokens": WRITTEN},
        "gemini": {"generationConfig": {"maxOutputTokens": WRITTEN}},
    }
    body = request(protocol, model, "hi", **budgets[protocol])
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = it.url + address(protocol, model)
    async with it.client.post(url, json=body, headers=headers) as reply:
        return reply.status, reply.headers, await reply.json()


def spent(it: Gateway) -> int:
    """Return the pico-dollars of all attempts in the ledger."""
    found = history.requests(it.state, limit=1000)
    return sum(each.metered.cost or 0 for one in found for each in one.attempts)


def over(one: history.LoggedRequest) -> bool:
    """Tell whether the ledger has the end of a request, and with it what it cost."""
    return one.outcome is not None


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_of_fifty_parallel_calls_with_money_for_ten_ten_pass(protocol: str) -> None:
    """Never more than one call's output over budget; the rest hear until when, in their dialect."""
    terms = Terms(budgets=("1.00/day",))
    async with house(seconds=0.3, ci=terms) as (it, upstream, keys):
        calls = [ask(it, keys["ci"], protocol=protocol) for _ in range(50)]
        told = await asyncio.gather(*calls)
        statuses = Counter(status for status, _, _ in told)
        assert 9 <= statuses[200] <= 11
        assert statuses == {200: statuses[200], 429: 50 - statuses[200]}
        assert len(upstream.calls) == statuses[200]
        _, headers, body = next(each for each in told if each[0] == 429)
        await until(lambda: [*map(over, history.requests(it.state, limit=100))] == [True] * 50)
        money = spent(it)
    assert money == statuses[200] * (READ * 1 + WRITTEN * 100) * 10**6
    assert money <= 10**12 + WRITTEN * 100 * 10**6
    assert 0 < float(headers["retry-after"]) <= 24 * 3600
    error = body["error"]
    match protocol:
        case "messages":
            assert error["type"] == "rate_limit_error"
        case "gemini":
            assert error["status"] == "RESOURCE_EXHAUSTED"
            kinds = [each["@type"].rpartition(".")[2] for each in error["details"]]
            assert "RetryInfo" in kinds
        case _:
            assert error["code"] in {"rate_limit_exceeded", "insufficient_quota"}
    assert 'client key "ci"' in error["message"]
    assert "00:00:00Z" in error["message"]


async def test_calls_without_a_limit_wait_for_each_other_until_the_money_is_gone() -> None:
    """Each reserves the longest answer; what it did not take lets the next one in, in order."""
    async with house(seconds=0.01, ci=Terms(budgets=("0.001/day",))) as (it, upstream, keys):
        headers = {"Authorization": f"Bearer {keys['ci']}"}
        body = request("chat_completions", "up/m", "hi")
        url = f"{it.url}/v1/chat/completions"

        async def one() -> int:
            async with it.client.post(url, json=body, headers=headers) as reply:
                return reply.status

        statuses = Counter(await asyncio.gather(*(one() for _ in range(50))))
        await until(lambda: sum(map(over, history.requests(it.state, limit=100))) == 50)
        money = spent(it)
    # each takes 8 + 100 millionths of a dollar
    assert statuses == {200: 10, 429: 40}
    assert len(upstream.calls) == 10
    assert 10**9 <= money + 108 * 10**6 <= 10**9 + 2 * 108 * 10**6


async def test_money_that_is_not_spent_is_there_for_the_next_call() -> None:
    """A reservation is given back in one piece, whatever the call took."""
    async with house(ci=Terms(budgets=("0.25/day",))) as (it, _, keys):
        statuses = [(await ask(it, keys["ci"]))[0] for _ in range(4)]
    assert statuses == [200, 200, 200, 429]  # the third begins with 0.05 left, and may end


async def test_a_restart_forgets_no_spending() -> None:
    """What the ledger knows of the running period counts."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        _, key = create(state, "ci", Terms(budgets=("0.15/day",)), time.time())
        async with keyed() as upstream:
            statuses = []
            for _ in range(3):
                async with gateway(CONFIG.format(url=upstream.base_url), state=state) as it:
                    statuses.append((await ask(it, key))[0])
    assert statuses == [200, 200, 429]


async def test_failed_calls_cost_nothing() -> None:
    """What was reserved for them is there again."""
    async with house(ci=Terms(budgets=("0.15/day",))) as (it, upstream, keys):
        upstream.replies["stand-in-upstream"] = (401, {})
        for _ in range(3):
            assert (await ask(it, keys["ci"]))[0] == 502
        upstream.replies.clear()
        assert (await ask(it, keys["ci"]))[0] == 200


async def test_rates_hold_for_each_key_by_itself() -> None:
    """One client that asks too often takes nothing from another."""
    async with house(busy=Terms(rpm=2), calm=Terms()) as (it, _, keys):
        told = [await ask(it, keys["busy"]) for _ in range(3)]
        assert [status for status, _, _ in told] == [200, 200, 429]
        assert 0 < float(told[-1][1]["retry-after"]) <= 60
        assert (await ask(it, keys["calm"]))[0] == 200


async def test_who_has_no_key_spends_nothing() -> None:
    """401 on every surface that does anything; health is everybody's to see."""
    async with house(ci=Terms()) as (it, upstream, keys):
        for key in (None, "gwk-nobody"):
            for protocol in DIALECTS:
                assert (await ask(it, key, protocol=protocol))[0] == 401
        paths = {"/v1/models": 401, "/v1beta/models": 401, "/api/status": 401, "/nowhere": 401}
        paths |= {"/healthz": 200, "/readyz": 200}
        for path, expected in paths.items():
            async with it.client.get(it.url + path) as reply:
                assert (path, reply.status) == (path, expected)
        assert upstream.calls == []
        assert (await ask(it, keys["ci"]))[0] == 200


async def test_readiness_tells_of_a_broken_file_of_keys_though_nobody_calls() -> None:
    """Whoever watches sees it break and hears when it is repaired."""
    async with house(ci=Terms()) as (it, _, _):
        file = it.state / FILE
        good = file.read_bytes()

        async def told() -> str:
            await asyncio.sleep(0.3)
            async with it.client.get(f"{it.url}/readyz") as reply:
                assert reply.status == 200
                return str((await reply.json()).get("degraded"))

        file.write_bytes(b"garbage")
        assert FILE in await told()
        file.write_bytes(good)
        assert await told() == "None"


async def test_revoking_the_last_key_opens_no_door() -> None:
    """It is closed to everybody from then on."""
    async with house(ci=Terms()) as (it, _, keys):
        assert (await ask(it, keys["ci"]))[0] == 200
        revoke(it.state, "ci", time.time())
        await asyncio.sleep(0.3)
        assert (await ask(it, keys["ci"]))[0] == 401
        assert (await ask(it, None))[0] == 401


async def test_a_key_of_the_gateways_own_goes_to_no_upstream() -> None:
    """Wherever it stood: the upstream sees its own credential and no other."""
    async with house(ci=Terms()) as (it, upstream, keys):
        body = {"model": "up/m", "messages": [{"role": "user", "content": "hi"}]}
        for name in ("Authorization", "x-api-key", "x-goog-api-key", "x-gatewayctl-key"):
            value = f"Bearer {keys['ci']}" if name == "Authorization" else keys["ci"]
            url = f"{it.url}/v1/chat/completions"
            async with it.client.post(url, json=body, headers={name: value}) as reply:
                assert reply.status == 200
        url = f"{it.url}/v1/chat/completions?key={keys['ci']}"
        async with it.client.post(url, json=body) as reply:
            assert reply.status == 200
        assert set(upstream.calls) == {"stand-in-upstream"}
        assert len(upstream.calls) == 5
        assert keys["ci"] not in str(upstream.headers)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key", "X-Custom", "Cookie"])
async def test_a_key_is_forwarded_under_no_name_and_in_no_form(name: str) -> None:
    """Where a client's own headers go up as they came, a key of ours does not go with them."""
    forwards = """
[providers.theirs]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "forward"
[[models]]
id = "theirs/m"
context_window = "128K"
"""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        _, key = create(state, "ci", Terms(), time.time())
        async with (
            keyed() as upstream,
            gateway(forwards.format(url=upstream.base_url), state=state) as it,
        ):
            body = request("chat_completions", "theirs/m", "hi", max_tokens=1)
            for value in (key, f"Bearer  {key}", f"Token {key}", f"sk-theirs, {key}"):
                headers = {"x-gatewayctl-key": key, "x-goog-api-key": "sk-theirs", name: value}
                url = f"{it.url}/v1/chat/completions?a=1;x={key}&{key}"
                async with it.client.post(url, json=body, headers=headers) as reply:
                    assert reply.status == 200
    assert len(upstream.headers) == 4
    assert key not in str(upstream.headers)


async def test_a_key_sees_its_models_alone_and_routes_as_far_as_they_are_its() -> None:
    """Lists, names and routes are pruned to what it may use; what is not there is not told."""
    async with house(narrow=Terms(models=("up/other",))) as (it, upstream, keys):
        headers = {"Authorization": f"Bearer {keys['narrow']}"}
        async with it.client.get(f"{it.url}/v1/models", headers=headers) as reply:
            listed = {each["id"]: each for each in (await reply.json())["data"]}
        assert set(listed) == {"both", "by-client", "nested", "up/other"}
        assert listed["both"]["members"] == ["up/other"]
        assert listed["nested"]["members"] == ["both"]
        async with it.client.get(f"{it.url}/v1/models/up/m", headers=headers) as reply:
            assert reply.status == 404
        status, told, _ = await ask(it, keys["narrow"], "both")
        assert (status, told["x-gatewayctl-model"]) == (200, "up/other")
        status, _, body = await ask(it, keys["narrow"], "up/m")
        assert status == 403
        assert "up/other" in body["error"]["message"]
        assert len(upstream.calls) == 1


async def test_a_dry_run_tells_a_key_of_its_own_models_alone() -> None:
    """Neither what is skipped nor the tree names another."""
    async with house(narrow=Terms(models=("up/other",))) as (it, _, keys):
        headers = {"Authorization": f"Bearer {keys['narrow']}", "x-gatewayctl-dry-run": "1"}
        url = f"{it.url}/v1/chat/completions"
        for name, chosen in (("both", "up/other"), ("nested", "up/other"), ("up/m", None)):
            body = request("chat_completions", name, "hi")
            async with it.client.post(url, json=body, headers=headers) as reply:
                told = await reply.json()
            assert told["chosen"] == chosen
            assert set(told["models"]) <= {"up/other"}
            if chosen is not None:
                assert "up/m" not in str(told)
                assert "hidden-route" not in str(told)


async def test_a_key_may_use_a_route_whose_models_it_may_not_ask_for() -> None:
    """A route of one's making is a thing to give away by itself."""
    async with house(narrow=Terms(models=("both",))) as (it, _, keys):
        assert (await ask(it, keys["narrow"], "both"))[0] == 200
        assert (await ask(it, keys["narrow"], "up/m"))[0] == 403


async def test_money_may_not_go_where_the_price_is_unknown() -> None:
    """A budget that counts nothing is none; without one the same model answers."""
    async with house(poor=Terms(budgets=("5",)), rich=Terms()) as (it, _, keys):
        status, _, body = await ask(it, keys["poor"], "up/free")
        assert status == 403
        assert "price" in body["error"]["message"]
        assert (await ask(it, keys["rich"], "up/free"))[0] == 200


async def test_rules_know_clients_by_their_keys() -> None:
    """And the ledger does, too; what a reply cost stands in its header."""
    async with house(ci=Terms(), me=Terms()) as (it, _, keys):
        for name, model, cost in (("ci", "up/other", "1.000008"), ("me", "up/m", "0.100008")):
            _, headers, _ = await ask(it, keys[name], "by-client")
            assert headers["x-gatewayctl-model"] == model
            assert headers["x-gatewayctl-cost"] == cost
        await until(lambda: len(history.requests(it.state, limit=10)) == 2)
        found = history.requests(it.state, limit=10)
        assert [each.client for each in found] == ["me", "ci"]


async def test_the_daemons_own_api_is_the_operators() -> None:
    """The command line of this machine's user has a key of its own; a client's does not do."""
    async with house(ci=Terms()) as (it, _, keys):
        own = operator_key(it.state)
        for key, expected in ((own, 200), (keys["ci"], 403)):
            headers = {"x-gatewayctl-key": key}
            async with it.client.get(f"{it.url}/api/status", headers=headers) as reply:
                assert reply.status == expected
            async with it.client.get(f"{it.url}/api/quota", headers=headers) as reply:
                assert reply.status == expected
        headers = {"x-gatewayctl-key": own}
        body = msgspec.json.encode(request("chat_completions", "up/m", "hi"))
        url = f"{it.url}/api/route-explain"
        async with it.client.post(url, data=body, headers=headers) as reply:
            assert (await reply.json())["chosen"] == "up/m"


async def test_beyond_loopback_strangers_hear_only_that_something_is_wrong(tmp_path: Path) -> None:
    """What falls short names folders and providers, which is for those who have a key."""
    (tmp_path / "quota.json").write_text("no JSON")
    secret = "gwk-canary-of-the-config"
    server = f'[server]\nhost = "0.0.0.0"\nkeys = ["sha256:{digest(secret)}"]\n'
    async with gateway(server + CONFIG.format(url="http://127.0.0.1:9"), state=tmp_path) as it:
        told = {}
        for key in ("", secret):
            headers = {"x-gatewayctl-key": key} if key else {}
            async with it.client.get(f"{it.url}/readyz", headers=headers) as reply:
                told[key] = (await reply.json())["degraded"]
    assert told[""] == "gatewayctl status says how"
    assert "quota" in told[secret]


async def test_what_fails_in_the_gateway_itself_gives_back_what_it_reserved(
    tmp_path: Path,
) -> None:
    """A file of keys in a place that is none bars one credential, and no money stays reserved."""
    (tmp_path / "blocker").write_text("")
    several = f'[{{ file = "{tmp_path}/blocker/key" }}, "stand-in-upstream"]'
    _, key = create(tmp_path, "ci", Terms(budgets=("1/day",)), time.time())
    async with keyed() as upstream:
        config = CONFIG.format(url=upstream.base_url).replace('"stand-in-upstream"', several)
        async with gateway(config, state=tmp_path) as it:
            statuses = [(await ask(it, key))[0] for _ in range(3)]
    assert statuses == [200] * 3
    assert set(upstream.calls) == {"stand-in-upstream"}
