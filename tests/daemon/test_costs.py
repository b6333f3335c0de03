"""What attempts cost, as the books have it: at which prices, and where it is unknown."""

import json
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import cast

import pytest
from msgspec.structs import replace
from support.asking import cascade
from support.attempting import A
from support.books import logged
from support.dialects import PATHS, PROTOCOLS, encoded
from support.gateway import demo, gateway, upstream_config
from support.upstream import FakeUpstream, Hold, chunked, sized
from support.waiting import until

from gatewayctl.core.attempts import Try
from gatewayctl.core.events import Usage
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Sourced
from gatewayctl.core.routing.graph import OnBreak
from gatewayctl.daemon.books import Entry
from gatewayctl.protocols.codec import ReplyFacts, StreamWatcher
from gatewayctl.storage import history
from gatewayctl.storage.records import Ended, Outcome, Record

PRICES = {"input": "2.5", "output": "15", "output@flex": "7.5"}
PRICED = """
[model_defaults]
prices = { input = 2.5, output = 15 }
"""


class _Noted:
    """A ledger that remembers what it was told."""

    degraded = None

    def __init__(self) -> None:
        self.records: list[Record] = []

    def note(self, *records: Record) -> None:
        self.records += records

    def decided(self, request: str, render: Callable[[], bytes]) -> None:
        """Keep nothing: no test is about it."""


def _entry(
    prices: Mapping[str, str] = PRICES,
    facts: ReplyFacts | None = None,
    *,
    off_peak: Hours | None = None,
    at: float = 0.0,
) -> Entry:
    """Return an attempt at a model of these prices, with an input of about 100 tokens."""
    known = {key: Sourced(value=Decimal(price), source="config") for key, price in prices.items()}
    assert A.place.facts is not None
    hours = None if off_peak is None else Sourced(value=off_peak, source="config")
    place = replace(A.place, facts=replace(A.place.facts, prices=known, off_peak=hours))
    step = Try(candidate=replace(A, place=place), number=1, deadline=9.0, on_break=OnBreak.ERROR)
    entry = Entry(_Noted(), "req_a", step, 100, at)
    entry.facts = facts
    return entry


def _ended(entry: Entry, outcome: Outcome = Outcome.ANSWERED) -> Ended:
    ended = entry.ended(outcome, None, 200)
    assert ended is not None
    return ended


async def test_a_cost_is_exact_and_says_its_rates() -> None:
    """In whole pico-dollars, the same before and after the end; the tier is the reply's."""
    facts = ReplyFacts(usage=Usage(input=1, output=3), written=400, tier="flex")
    entry = _entry(facts=facts)
    assert entry.cost == Decimal("0.000025")
    metered = _ended(entry).metered
    assert (metered.cost, metered.tier, metered.estimated) == (25_000_000, "flex", False)
    assert metered.rates == {"input": "2.5", "output": "7.5"}
    assert entry.cost == Decimal("0.000025")


async def test_an_unknown_price_makes_the_cost_unknown_and_never_nothing() -> None:
    """Tokens are counted all the same."""
    facts = ReplyFacts(usage=Usage(input=1, output=3))
    entry = _entry({"input": "2.5"}, facts)
    metered = _ended(entry).metered
    assert (metered.cost, metered.rates) == (None, {"input": "2.5"})
    assert metered.usage == Usage(input=1, output=3)
    assert entry.cost is None


async def test_what_is_free_costs_nothing_which_is_known() -> None:
    """A price of 0 is a price."""
    entry = _entry({"input": "0", "output": "0"}, ReplyFacts(usage=Usage(input=1, output=3)))
    assert (entry.cost, _ended(entry).metered.cost) == (Decimal(0), 0)


async def test_what_was_not_metered_costs_what_is_estimated() -> None:
    """A whole answer of 35 characters without usage: about 10 tokens."""
    entry = _entry(facts=ReplyFacts(usage=Usage(), written=35))
    metered = _ended(entry).metered
    assert (metered.estimated, metered.cost) == (True, 100 * 2_500_000 + 10 * 15_000_000)


async def test_an_attempt_that_came_to_nothing_costs_nothing() -> None:
    """Before a reply, and when it failed; an answer that nobody counted is unknown."""
    entry = _entry()
    assert entry.cost == Decimal(0)
    assert _ended(entry, Outcome.FAILED).metered.cost is None
    assert entry.cost == Decimal(0)
    assert _entry(facts=ReplyFacts(usage=Usage())).cost is None


async def test_whoever_leaves_before_a_reply_may_be_billed_for_the_input() -> None:
    """As soon as the request went out; one that never did, or that failed, costs nothing."""
    for sent, outcome, cost in (
        (True, Outcome.ABANDONED, 100 * 2_500_000),
        (False, Outcome.ABANDONED, None),
        (True, Outcome.FAILED, None),
    ):
        entry = _entry()
        entry.sent = sent
        metered = _ended(entry, outcome).metered
        assert (metered.cost, metered.estimated) == (cost, cost is not None)


async def test_what_a_stream_metered_counts_once_it_is_at_its_end() -> None:
    """Though its client left then; before, it may have metered less than it wrote."""
    for over, output in ((True, 1), (False, 10)):
        entry = _entry()
        facts = ReplyFacts(usage=Usage(input=5, output=1), written=35)
        entry.watcher = cast("StreamWatcher", facts)
        entry.over = partial(bool, over)
        metered = _ended(entry, Outcome.ABANDONED).metered
        assert metered.usage == Usage(input=5, output=output)
        assert metered.estimated is not over


@pytest.mark.parametrize("price", ["NaN", "1e40"])
async def test_a_cost_that_cannot_be_made_out_harms_nothing(
    caplog: pytest.LogCaptureFixture, price: str
) -> None:
    """No number, or one that no column holds: it is unknown, and the tokens are on record."""
    caplog.set_level(logging.CRITICAL, logger="gatewayctl.ledger")
    entry = _entry({"input": price}, ReplyFacts(usage=Usage(input=7)))
    metered = _ended(entry).metered
    assert (metered.usage.input, metered.cost, entry.cost) == (7, None, None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_answer_is_recorded_with_its_cost(protocol: str, *, stream: bool) -> None:
    """In every protocol, by the prices of the config."""
    body = encoded(protocol, "demo/large", "Hi", stream=stream)
    async with demo() as (running, _):
        async with running.client.post(running.url + PATHS[protocol], data=body) as answer:
            await answer.read()
        found = await logged(running.state, answer.headers["x-gatewayctl-request-id"])
    metered = found.attempts[0].metered
    read, written = metered.usage.input or 0, metered.usage.output or 0
    assert metered.cost == read * 2_500_000 + written * 15_000_000 > 0
    assert metered.rates == {"input": "2.5", "output": "15"}


async def test_what_a_stream_has_cost_is_on_record_while_it_runs() -> None:
    """By its checkpoint: a daemon that is killed then has lost no money."""
    async with demo() as (running, simulator):
        plain = encoded("messages", "large", "Hi", stream=True)
        url = simulator.base_url + PATHS["messages"]
        async with running.client.post(url, data=plain) as answer:
            whole = await answer.read()
    begun = chunked([whole[: len(whole) * 2 // 3]])
    body = encoded("messages", "up/m", "Hi", stream=True)
    async with (
        FakeUpstream([[*begun[:-1], Hold()]]) as upstream,
        gateway(PRICED + upstream_config(upstream.base_url)) as it,
    ):
        answer = await it.client.post(it.url + PATHS["messages"], data=body)
        await answer.content.readany()

        def checkpointed() -> bool:
            found = history.requests(it.state, limit=9)
            open_ones = [each for each in found if each.outcome is None]
            return any(tried.metered.cost for one in open_ones for tried in one.attempts)

        await until(checkpointed)
        answer.close()


async def test_an_answer_says_what_it_cost_with_the_attempts_before_it() -> None:
    """An attempt that failed after it was metered is paid for, too."""
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    reply = {"id": "resp_1", "object": "response", "output": [], "usage": usage}
    error = {"code": "server_error", "message": "no"}
    broken = json.dumps({**reply, "status": "failed", "error": error}).encode()
    good = json.dumps({**reply, "status": "completed"}).encode()
    config = PRICED + cascade("both", "up/a", "up/b")
    body = encoded("responses", "both", "Hi", stream=False)
    replies = [*[sized(broken)] * 2, sized(good)]
    async with (
        FakeUpstream(replies) as upstream,
        gateway(config + upstream_config(upstream.base_url)) as it,
        it.client.post(it.url + PATHS["responses"], data=body) as answer,
    ):
        assert (answer.status, len(upstream.requests)) == (200, 3)
        assert answer.headers["x-gatewayctl-attempts"] == "3"
        each = 100 * Decimal("2.5") + 10 * Decimal(15)
        assert Decimal(answer.headers["x-gatewayctl-cost"]) * 10**6 == 3 * each
        found = await logged(it.state, answer.headers["x-gatewayctl-request-id"])
        assert [tried.metered.cost for tried in found.attempts] == [int(each * 10**6)] * 3


FIRST_HOUR = Hours(((0, 60),))
NIGHTLY = {"input": "2", "output": "4", "input@off_peak": "1", "output@off_peak": "2"}
MONDAY = 1_763_942_400.0


@pytest.mark.parametrize(
    ("at", "told", "cost", "tier"),
    [
        (MONDAY - 60, None, 2_000_000, "base"),
        (MONDAY, None, 1_000_000, "off_peak"),
        (MONDAY + 3500, "default", 1_000_000, "off_peak"),
        (MONDAY + 3500, "flex", 1_000_000, "flex+off_peak"),
        (MONDAY + 3600, "flex", 2_000_000, "flex"),
    ],
)
async def test_an_attempt_costs_what_its_hour_does(
    at: float, told: str | None, cost: int, tier: str
) -> None:
    """At the rates of that hour; the tier on record says so, and what the reply told stays."""
    facts = ReplyFacts(usage=Usage(input=1, output=0), tier=told)
    metered = _ended(_entry(NIGHTLY, facts, off_peak=FIRST_HOUR, at=at)).metered
    assert (metered.cost, metered.tier) == (cost, tier)
    assert metered.rates == {"input": "1" if "off_peak" in tier else "2"}


async def test_the_hour_of_its_end_counts_and_not_that_of_its_beginning() -> None:
    """One that begins before the cheap hour is over, and ends after it, is billed in full."""
    facts = ReplyFacts(usage=Usage(input=1, output=0))
    entry = _entry(NIGHTLY, facts, off_peak=FIRST_HOUR, at=MONDAY + 1800)
    assert entry.guess().tier == "off_peak"
    entry._began -= 1800
    metered = _ended(entry).metered
    assert (metered.cost, metered.tier) == (2_000_000, "base")


async def test_a_model_without_hours_has_no_tier_but_the_replys() -> None:
    """Whatever prices it has at the tier of this name."""
    metered = _ended(_entry(NIGHTLY, ReplyFacts(usage=Usage(input=1, output=0)))).metered
    assert (metered.cost, metered.tier) == (2_000_000, None)


async def test_a_call_off_peak_is_billed_and_kept_as_one() -> None:
    """By the prices and the hours of the config, which here are all there are."""
    config = """
[model_defaults]
off_peak_hours = ["Mon-Sun"]
prices = { input = 2, output = 4, "input@off_peak" = 1, "output@off_peak" = 3 }
"""
    body = encoded("chat_completions", "demo/large", "Hi", stream=False)
    async with demo(config) as (running, _):
        url = running.url + PATHS["chat_completions"]
        async with running.client.post(url, data=body) as answer:
            await answer.read()
        found = await logged(running.state, answer.headers["x-gatewayctl-request-id"])
    metered = found.attempts[0].metered
    assert (metered.tier, metered.rates) == ("off_peak", {"input": "1", "output": "3"})
    cost = Decimal(answer.headers["x-gatewayctl-cost"])
    assert cost * 10**12 == metered.cost
