"""The ledger says what the upstream metered: every token and every cent, whatever happened.

The upstream keeps a meter of its own, and money is worked out here by other arithmetic than the
gateway's. ``GATEWAYCTL_SOAK=1`` asks 100,000 requests instead of a few hundred.
"""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import pytest
from support.bills import DIMENSIONS, PARTS, owed
from support.dialects import address, encoded
from support.gateway import Gateway, gateway
from support.metered import State
from support.metering import Meter, Metered, Plan, config, plan

from gatewayctl.storage.grouping import By
from gatewayctl.storage.usage import usage as summed

SEED: Final = 20_260
FEW: Final = 400
SOAK: Final = 100_000
AT_ONCE: Final = 64
CHARS_A_TOKEN: Final = 3.5
"""What the gateway takes for a token where nobody counted."""

_COLUMNS: Final = (*DIMENSIONS, "reasoning_output", *PARTS)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as the ledger has it; ``cost`` in pico-dollars."""

    number: int
    model: str
    outcome: str | None
    failure: str | None
    counts: Mapping[str, int | None]
    estimated: bool
    tier: str | None
    cost: int | None


def rows(state: Path) -> dict[int, list[Row]]:
    """Return all attempts of a ledger by the number of their request, which is its session."""
    found: dict[int, list[Row]] = {}
    with sqlite3.connect(state / "ledger.db") as database:
        sql = (
            "SELECT requests.session, attempts.model, attempts.outcome, failure,"  # noqa: S608
            f" estimated, tier, cost, {', '.join(_COLUMNS)}"
            " FROM attempts JOIN requests USING (request) ORDER BY request, number"
        )
        for session, model, outcome, failure, estimated, tier, cost, *counts in database.execute(
            sql
        ):
            row = Row(
                number=int(session),
                model=model,
                outcome=outcome,
                failure=failure,
                counts=dict(zip(_COLUMNS, counts, strict=True)),
                estimated=bool(estimated),
                tier=tier,
                cost=cost,
            )
            found.setdefault(row.number, []).append(row)
    database.close()
    return found


async def ask(running: Gateway, upstream: Meter, asked: Plan) -> str | None:
    """Make a request as planned, and leave when the plan says so; return what it is said to cost.

    That is told of whole answers alone, in USD.
    """
    url = running.url + address(asked.protocol, asked.asked, stream=asked.stream)
    prompt = f"#{asked.number}# How do you do?"
    body = encoded(asked.protocol, asked.asked, prompt, stream=asked.stream)
    headers = {"x-gatewayctl-session": str(asked.number)}
    asking = asyncio.ensure_future(running.client.post(url, data=body, headers=headers))
    if asked.leaves == "head":
        came = asyncio.ensure_future(upstream.came.setdefault(asked.number, asyncio.Event()).wait())
        await asyncio.wait({asking, came}, return_when=asyncio.FIRST_COMPLETED)
        for task in (asking, came):
            task.cancel()
        await asyncio.gather(asking, came, return_exceptions=True)
        return None
    answer = await asking
    until = f"~{asked.after}~".encode() if asked.leaves == "piece" else None
    most = asked.after * 150 if asked.leaves == "whenever" else None
    received = b""
    try:
        while piece := await answer.content.readany():
            received += piece
            if (until is not None and until in received) or (most and len(received) > most):
                break
    except aiohttp.ClientPayloadError:
        received += b"(torn)"
    answer.close()
    return answer.headers.get("x-gatewayctl-cost")


async def drive(count: int, state: Path, seed: int) -> tuple[Meter, Mapping[int, str]]:
    """Ask so many requests; return the upstream with its meter once all is written down.

    With it comes what each answer was said to cost, where that was said.
    """
    told: dict[int, str] = {}
    async with Meter(seed) as upstream, gateway(config(upstream.url), state=state) as running:
        numbers = iter(range(count))

        async def client() -> None:
            for number in numbers:
                async with asyncio.timeout(60):
                    if (cost := await ask(running, upstream, plan(seed, number))) is not None:
                        told[number] = cost

        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return upstream, told


def expected(state: State, outcome: str | None) -> tuple[dict[str, int | None], bool]:
    """Return the counts of a row for what had been told, and whether any is an estimate.

    An input that was not told is None here: it is guessed, and nobody says how well.
    """
    counts: dict[str, int | None] = dict(state.counts)
    if not counts and not state.written:
        return ({"input": None}, True) if outcome == "abandoned" else ({}, False)
    estimated = False
    least = -int(-state.written // CHARS_A_TOKEN)
    told = counts.get("output")
    if "input" not in counts:
        counts["input"], estimated = None, True
    if told is None or (outcome != "answered" and not state.whole and told < least):
        counts["output"], estimated = least, True
    return counts, estimated


def fits(row: Row, state: State) -> bool:
    """Tell whether a row says what had been told."""
    counts, estimated = expected(state, row.outcome)
    return row.estimated is estimated and all(
        counts.get(name, 0) is None or (row.counts[name] or 0) == counts.get(name, 0)
        for name in _COLUMNS
    )


def wrongs(row: Row, call: Metered) -> list[str]:
    """Return what is wrong with a row about a call."""
    found = []
    states = call.seen[-1:] if call.over else call.seen
    if row.model != call.model:
        found.append(f"model {row.model} for {call.model}")
    if not any(fits(row, state) for state in states):
        found.append(f"{row} for {states[-1]}")
    if any(row.counts[name] is not None for name in DIMENSIONS):
        name = row.model.partition("/")[2]
        owes = owed(name, row.counts, row.tier or "")
        if owes != row.cost:
            found.append(f"{row} costs {owes}")
        if states[-1].whole and call.over and (row.tier or "") != call.tier:
            found.append(f"tier {row.tier} for {call.tier}")
    return found


def sent(attempts: list[Row], calls: list[Metered]) -> list[Row]:
    """Return the attempts that reached the upstream: a pooled connection may turn out dead."""
    found = list(attempts)
    for row in attempts:
        nothing = not any(row.counts.values())
        if len(found) > len(calls) and row.failure == "network" and nothing:
            found.remove(row)
    return found


def compared(
    books: Mapping[int, list[Row]], upstream: Meter
) -> tuple[list[str], Counter[tuple[str, str]]]:
    """Return all differences between ledger and meter, and the totals of what is no estimate."""
    wrong = []
    totals: Counter[tuple[str, str]] = Counter()
    for number, calls in upstream.calls.items():
        attempts = sent(books.get(number, []), calls)
        if len(attempts) != len(calls):
            told = [(each.model, each.outcome, each.failure) for each in attempts]
            wrong.append(f"{number}: {told} for {[each.model for each in calls]}")
            continue
        for row, call in zip(attempts, calls, strict=True):
            wrong += (f"{number}: {each}" for each in wrongs(row, call))
            if call.over and not row.estimated:
                for name in _COLUMNS:
                    totals["meter", name] += call.seen[-1].counts.get(name, 0)
                    totals["ledger", name] += row.counts[name] or 0
                model = call.model.partition("/")[2]
                totals["meter", "cost"] += owed(model, call.seen[-1].counts, call.tier) or 0
                totals["ledger", "cost"] += row.cost or 0
            totals["rows", row.outcome or "open"] += 1
            totals["rows", "estimated"] += row.estimated
    return wrong, totals


@pytest.mark.soak
async def test_the_ledger_equals_the_upstreams_meter() -> None:
    """Tokens by dimension and money, over streams, aborts, faults, retries and fallbacks."""
    count = SOAK if os.environ.get("GATEWAYCTL_SOAK") else FEW
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        began = time.monotonic()
        upstream, told = await drive(count, state, SEED)
        took = time.monotonic() - began
        books, added = rows(state), summed(state, By.MODEL).total
    wrong, totals = compared(books, upstream)
    print(f"{count} requests in {took:.1f} s, {count / took:.0f} a second: {dict(totals)}")  # noqa: T201
    assert not wrong, f"{len(wrong)} differences, among them:\n" + "\n".join(wrong[:10])
    for name in (*_COLUMNS, "cost"):
        assert totals["ledger", name] == totals["meter", name] > 0, name
    for number, cost in told.items():
        assert Fraction(cost) * 10**12 == sum(row.cost or 0 for row in books[number]), number
    assert len(told) > count // 5
    attempts = [row for each in books.values() for row in each]
    assert added.requests == count
    for name in _COLUMNS:
        assert added.tokens[name] == sum(row.counts[name] or 0 for row in attempts), name
    assert added.known == sum(row.cost or 0 for row in attempts)
    for outcome in ("answered", "failed", "broken", "abandoned", "estimated"):
        assert totals["rows", outcome] > 0, outcome
