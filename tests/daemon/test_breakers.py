"""Breakers across requests, counted where it matters: at the upstream."""

import asyncio
import contextlib
import json
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from support.asking import Setting, asking, cascade
from support.dialects import PATHS, PROTOCOLS, encoded

from gatewayctl.core.happened import Happened
from gatewayctl.simulator.journal import waits

WELL = "up/large!words=2"
TRIES = 10
PROVIDERS = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["chat_completions", "responses", "messages"]

[providers.theirs]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "forward"
protocols = ["chat_completions", "responses", "messages"]
"""


def first_then_well(model: str) -> contextlib.AbstractAsyncContextManager[Setting]:
    """Run a gateway whose route ``both`` asks ``up/MODEL`` first, then one that is well."""
    route = cascade("both", f"up/{model}", WELL)
    return asking(lambda url: PROVIDERS.format(url=url) + route)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # Overloaded moves on at once: the third in a row opens.
        ("small!503", 3),
        # Each of these is retried once, so that the second request makes the third and fourth.
        ("small!500", 4),
        ("small!reset", 4),
        ("small!empty", 3),
        # A limit opens at once.
        ("small!429=100", 1),
        ("small!quota", 1),
        ("small!503=100", 1),
        # These say nothing of how the upstream fares.
        ("small!404", TRIES),
        ("small!overflow", TRIES),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_step_that_keeps_failing_goes_last(
    model: str, expected: int, *, stream: bool
) -> None:
    """After its threshold it is asked no more while the next one answers; no request suffers."""
    async with first_then_well(model) as it:
        for _ in range(TRIES):
            told = await it.ask("both", stream=stream)
            assert (told.status, told.model) == (200, WELL)
        assert it.calls(model) == expected
        assert it.calls("large!words=2") == TRIES


async def test_a_recovered_upstream_is_probed_by_exactly_one_of_many() -> None:
    """Half open, one of fifty requests goes there; it closes on the answer, and all go again."""
    model = "small!words=2!slow=2!503=0.6*1"
    async with first_then_well(model) as it:
        assert (await it.ask("both")).model == WELL
        await asyncio.sleep(0.65)
        told = await asyncio.gather(*(it.ask("both") for _ in range(50)))
        assert [each.status for each in told] == [200] * 50
        assert it.calls(model) == 2
        assert sorted(each.model for each in told) == [WELL] * 49 + [f"up/{model}"]
        again = await asyncio.gather(*(it.ask("both") for _ in range(5)))
        assert {each.model for each in again} == {f"up/{model}"}


async def test_a_probe_that_fails_closes_the_door_again() -> None:
    """Its request is rescued, the others never notice, and nobody asks before the next time."""
    model = "small!slow=0.5!503=0.6*2"
    async with first_then_well(model) as it:
        for round_ in (1, 2):
            told = await asyncio.gather(*(it.ask("both") for _ in range(20 if round_ > 1 else 1)))
            assert {each.model for each in told} == {WELL}
            assert it.calls(model) == round_
            assert (await it.ask("both")).attempts == 1
            await asyncio.sleep(0.65)
        assert (await it.ask("both")).model == f"up/{model}"


async def test_a_client_that_leaves_its_probe_leaves_the_door_ajar() -> None:
    """A probe without a verdict is given back: the next request probes."""
    model = "small!words=2!slow=1!503=0.6*1"
    async with first_then_well(model) as it:
        assert (await it.ask("both")).model == WELL
        await asyncio.sleep(0.65)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(it.ask("both"), 0.3)
        assert it.calls(model) == 2
        assert (await it.ask("both")).model == f"up/{model}"


@pytest.mark.parametrize("fault", ["503=0.7*1", "429=5.5*1"])
async def test_retry_after_holds_for_all_requests(fault: str) -> None:
    """Nobody asks again before the time that the upstream named; somebody does after it."""
    model = f"small!words=2!{fault}"
    seconds = float(fault.partition("=")[2].partition("*")[0])
    async with first_then_well(model) as it, asyncio.timeout(30):
        while it.calls(model) < 2:
            assert (await it.ask("both")).status == 200
            await asyncio.sleep(0.05)
        (waited,) = waits(it.simulator.journal.calls(model=model))
        assert waited >= seconds - 0.05


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_cools_for_too_long_is_refused_without_a_call(protocol: str) -> None:
    """All candidates cool for longer than the deadline: the client is told when to come back."""
    models = [f"up/small!429=60!tag={number}" for number in (1, 2)]

    def config(url: str) -> str:
        return PROVIDERS.format(url=url) + cascade("both", *models, deadline='"20s"')

    async with asking(config) as it:
        first = await it.ask("both", protocol)
        assert (first.status, first.attempts) == (429, 2)
        for stream in (False, True):
            told = await it.ask("both", protocol, stream=stream)
            assert told.status == (529 if protocol == "messages" else 503)
            assert 50 <= int(told.headers["retry-after"]) <= 60
            assert told.headers.get("x-should-retry") is None
            own = json.loads(told.body)["error"]["gatewayctl"]
            assert own["kind"] == "unavailable"
        assert len(it.simulator.journal.calls()) == 2


async def test_what_cools_for_less_is_tried_all_the_same() -> None:
    """The last candidate is always tried: a cooldown within the deadline only reorders."""
    async with asking(lambda url: PROVIDERS.format(url=url)) as it:
        for _ in range(5):
            told = await it.ask("up/small!503")
            assert told.status == 503
        # Alone, an overloaded upstream is asked twice each time.
        assert it.calls("small!503") == 10


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_clients_with_their_own_credentials_do_not_cool_each_other(header: str) -> None:
    """One client's rate limit is its own; another with another key is served at once."""
    async with asking(lambda url: PROVIDERS.format(url=url)) as it:
        model = "theirs/small!words=2"
        one, other = ({header: f"Bearer sk-{name}"} for name in ("one", "other"))
        it.simulator.script(["429=400"])
        assert (await it.ask(model, headers=one)).status == 429
        told = await it.ask(model, headers=one)
        assert told.status == 503
        assert 390 <= int(told.headers["retry-after"]) <= 400
        assert (await it.ask(model, headers=other)).status == 200
        assert it.calls("small!words=2") == 2


async def test_a_server_that_fails_cools_for_all_credentials() -> None:
    """A server error is nobody's own: whoever comes next finds the model cooling."""
    model = "theirs/small!503"
    async with asking(lambda url: PROVIDERS.format(url=url) + cascade("both", model, WELL)) as it:
        for number in range(6):
            told = await it.ask("both", headers={"authorization": f"Bearer sk-{number}"})
            assert told.model == WELL
        assert it.calls("small!503") == 3


async def test_an_address_that_nobody_answers_at_cools_for_all_its_models() -> None:
    """Refused connections count for the origin; a model that was never asked goes last too."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        dead = '[providers.dead]\nkind = "openai-compatible"\nauth = "none"\n'
        dead += f'base_url = "http://127.0.0.1:{port}/v1"\n'

        def config(url: str) -> str:
            routes = cascade("both", "dead/a", WELL) + cascade("other", "dead/b", WELL)
            return dead + PROVIDERS.format(url=url) + routes

        async with asking(config) as it:
            made = [(await it.ask("both")).attempts for _ in range(3)]
            # The first fails twice in each request; the third failure in a row opens.
            assert made == [3, 3, 1]
            assert (await it.ask("other")).attempts == 1


async def test_a_model_whose_streams_all_break_off_cools_too() -> None:
    """They began well, but the third in a row that breaks opens: the others are whole again."""
    async with first_then_well("small!cut=900") as it:
        told = [await it.ask("both", stream=True) for _ in range(TRIES)]
        assert [each.model for each in told] == ["up/small!cut=900"] * 3 + [WELL] * 7
        assert all(b"[DONE]" not in each.body for each in told[:3])
        assert all(each.body.endswith(b"data: [DONE]\n\n") for each in told[3:])


async def test_the_turns_of_a_constituent_that_cools_go_to_the_others_in_equal_parts() -> None:
    """Not all to the one that comes next in the round."""
    names = ["small!503=100", "small!words=2", "large!words=2"]
    alloy = '[[alloys]]\nid = "robin"\nname = "In turn"\nstrategy = "round_robin"\n'
    for name in names:
        alloy += f'[[alloys.constituents]]\nmodel = "up/{name}"\ncontext_window = 32768\n'
    async with asking(lambda url: PROVIDERS.format(url=url) + alloy) as it:
        assert (await it.ask("robin")).model == "up/small!words=2"
        answers = [(await it.ask("robin")).model for _ in range(10)]
        together = await asyncio.gather(*(it.ask("robin") for _ in range(10)))
        assert it.calls(names[0]) == 1
        for models in (answers, [each.model for each in together]):
            assert Counter(models) == {f"up/{name}": 5 for name in names[1:]}


async def test_the_time_that_a_client_takes_to_send_its_body_is_not_the_upstreams() -> None:
    """It neither uses up the deadline nor counts as a failure of whoever would have answered."""
    body = encoded("chat_completions", "slowly", "Hello", stream=True)

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:10]
        await asyncio.sleep(0.7)
        yield body[10:]

    route = cascade("slowly", WELL, deadline='"500ms"')
    async with asking(lambda url: PROVIDERS.format(url=url) + route) as it:
        url = it.gateway.url + PATHS["chat_completions"]
        async with it.gateway.client.post(url, data=slowly()) as answer:
            assert answer.status == 200
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert it.calls("large!words=2") == 1


async def test_one_model_that_fails_does_not_cool_another_at_the_same_address() -> None:
    """Server errors count for the model at its provider, and limits for it and its credential."""
    failing, limited = "up/small!503", "up/small!429=100"

    def config(url: str) -> str:
        return PROVIDERS.format(url=url) + cascade("failing", failing, limited, WELL)

    async with asking(config) as it:
        for _ in range(4):
            assert (await it.ask("failing")).model == WELL
        assert (it.calls("small!503"), it.calls("small!429=100")) == (3, 1)
        assert (await it.ask("up/small!words=2")).status == 200


async def test_a_breaker_that_opens_is_told_with_its_fields(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Which model at which address with which credential, and for how long: once, not per call."""
    caplog.set_level(logging.INFO)
    async with first_then_well("small!429=100") as it:
        await it.ask("both")
        await it.ask("both")
    told = [each.msg for each in caplog.records if isinstance(each.msg, Happened)]
    changes = [each.fields for each in told if each.name == "breaker_changed"]
    assert [(each["model"], each["credential"]) for each in changes] == [("up/small!429=100", "up")]
    assert [(each["from"], each["to"]) for each in changes] == [("closed", "open")]
    assert changes[0]["seconds"] == pytest.approx(100, abs=5)
    assert str(changes[0]["origin"]).startswith("http://127.0.0.1:")
