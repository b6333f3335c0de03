"""Genuine agents and SDKs at a gateway that asks for keys and counts money.

Whatever refuses them ends the run with words that say why, and the requests that it took to say so
are counted: none goes round in circles. What they may use at all is ``test_agents_with_keys``'
business.
"""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support.keyholders import CACHED, PROGRAMS, READ, WRITTEN, keyed, used
from support.processes import Finished, started
from support.translated import LONGEST_RUN, MODEL, ROUTE
from support.waiting import until

from gatewayctl.simulator.journal import Ending, Received

pytestmark = pytest.mark.agents

NOBODYS: Final = f"gwk-{'x' * 43}"
"""A key of the right form that nobody was given."""

BUDGETS: Final = {"claude": "0.09", "codex": "0.04", "gemini": "0.06"}
"""USD that hold a first request of each agent, and its second not."""

HELLO: Final = "0.0004"
"""USD that an SDK's first answer goes over."""


def installed(request: pytest.FixtureRequest, name: str) -> Path | None:
    """Return an agent's program, None for an SDK."""
    if PROGRAMS[name].script:
        return None
    program: Path = request.getfixturevalue(name)
    return program


REFUSED: Final = {
    "claude": ("is no client key of this gateway", 1),
    "codex": ("is no client key of this gateway", 6),
    "gemini": ("is no client key of this gateway", 1),
    "openai": ("AuthenticationError: Error code: 401", 1),
    "anthropic": ("AuthenticationError: Error code: 401", 1),
    "genai": ("401 UNAUTHENTICATED", 1),
}
"""What each says of a key that nobody has, and how often it asks: Codex repeats any stream."""


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_wrong_key_ends_the_run_with_words_that_say_so(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """Nothing of it reaches the upstream, and nothing of it is in the ledger under a name."""
    words, requests = REFUSED[name]
    async with keyed("chat_completions", tmp_path, somebody="") as (it, _):
        done = await it.run(name, installed(request, name), NOBODYS)
        said = done.stdout + done.stderr
        assert done.status != 0
        assert words in said, said[-4000:]
        assert NOBODYS not in said
        assert await it.asked(name) == requests
        assert not it.running.arrived
    assert "somebody" not in await used(tmp_path, "key")


OVER: Final = {
    "claude": 'Request rejected (429) · the client key \\"holder\\" has a budget of',
    "codex": 'hit your usage limit. the client key \\"holder\\" has a budget of',
    "gemini": "has a budget of",
    "openai": "RateLimitError: Error code: 429",
    "anthropic": "RateLimitError: Error code: 429",
    "genai": "429 RESOURCE_EXHAUSTED",
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_over_budget_is_refused_once_and_stops(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    """Its first request is answered; the second would go over, and comes once, since it is vain.

    No more than the output of that one answer is spent over the budget.
    """
    budget = BUDGETS.get(name, HELLO)
    speaks = PROGRAMS[name].speaks
    async with keyed(speaks, tmp_path, holder=f"{budget}/month") as (it, (key,)):
        done = await it.run(name, installed(request, name), key)
        said = done.stdout + done.stderr
        assert done.status != 0, said[-4000:]
        assert OVER[name] in said, said[-4000:]
        assert key not in said
        assert await it.asked(name) == 2
        assert len(it.running.arrived) == 1
    row = (await used(tmp_path, "key"))["holder"]
    assert (row["requests"], row["failed"]) == (2, 1)
    assert 0 < row["cost"] <= float(budget) + row["tokens"]["output"] * WRITTEN / 1e6


Tokens = tuple[int, int, int]
"""Input that was read anew, input from a cache, and output."""

FROM_CACHE: Final = 5_000
"""Tokens of every second call."""


async def test_costs_add_up_to_what_the_upstream_metered(
    claude: Path, codex: Path, gemini: Path, tmp_path: Path
) -> None:
    """By key, session, model and route, for agents that use a tool, to the last token and cent."""
    agents = {"claude": claude, "codex": codex, "gemini": gemini}
    ends: dict[str, Finished] = {}
    spent: dict[str, Tokens] = {}
    async with keyed("chat_completions", tmp_path, claude="", codex="", gemini="") as (it, keys):
        it.running.setting.simulator.script(["", f"cached={FROM_CACHE}"] * len(agents))
        for (name, program), key in zip(agents.items(), keys, strict=True):
            before = len(it.running.arrived)
            ends[name] = await it.run(name, program, key)
            spent[name] = _metered(it.running.arrived[before:])
    told = msgspec.json.decode(ends["claude"].stdout.strip().splitlines()[-1])
    thread = msgspec.json.decode(ends["codex"].stdout.splitlines()[0])["thread_id"]
    sessions = {told["session_id"]: "claude", thread: "codex", None: "gemini"}
    total = _sum(list(spent.values()))
    groups: dict[str, dict[Any, Tokens]] = {
        "key": spent,
        "session": {session: spent[name] for session, name in sessions.items()},
        "model": {f"up/{MODEL.id}": total},
        "route": {ROUTE: total},
    }
    for by, expected in groups.items():
        rows = await used(tmp_path, by)
        assert {key: _told(row["tokens"]) for key, row in rows.items()} == expected, by
        for key, (new, cached, written) in expected.items():
            cost = (new * READ + cached * CACHED + written * WRITTEN) / 1e6
            assert rows[key]["cost"] == pytest.approx(cost, abs=1e-12)
            assert (rows[key]["failed"], rows[key]["estimated"]) == (0, False)
    names = ("input_tokens", "cache_read_input_tokens", "output_tokens")
    assert tuple(told["usage"][each] for each in names) == spent["claude"]


def _metered(calls: Sequence[Received]) -> Tokens:
    """Return what the simulator metered for the two calls of an agent."""
    assert len(calls) == 2
    read, written = (sum(column) for column in zip(*_counts(calls), strict=True))
    return read - FROM_CACHE, FROM_CACHE, written


def _counts(calls: Sequence[Received]) -> Iterator[tuple[int, int]]:
    for call in calls:
        assert call.tokens is not None
        assert call.written is not None
        yield call.tokens, call.written


def _told(tokens: dict[str, int]) -> Tokens:
    """Return what usage says; nothing but these has to have been counted."""
    counted = {name for name, count in tokens.items() if count}
    assert counted - {"reasoning_output"} == {"input", "input_cache_read", "output"}
    return tokens["input"], tokens["input_cache_read"], tokens["output"]


def _sum(spent: Sequence[Tokens]) -> Tokens:
    new, cached, written = (sum(column) for column in zip(*spent, strict=True))
    return new, cached, written


async def test_an_answer_that_is_interrupted_costs_what_came_of_it(
    claude: Path, tmp_path: Path
) -> None:
    """The input as metered, and of the output what was written until then: no more, not nothing."""
    async with keyed("messages", tmp_path, holder="1/month") as (it, (key,)):
        setting, calls = it.running.setting, it.running.setting.simulator.journal.calls
        setting.simulator.script(["words=20000,pace=0.01"])
        env = setting.env(
            ANTHROPIC_BASE_URL=setting.tap.url,
            ANTHROPIC_AUTH_TOKEN=key,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )
        command: list[str | Path] = [claude, "-p", "hello", "--model", ROUTE]
        async with started(command, env=env, cwd=setting.home) as process:
            await until(lambda: any(call.frames > 50 for call in calls()), seconds=LONGEST_RUN)
            process.send_signal(signal.SIGINT)
            await until(lambda: calls()[0].ending is not Ending.RUNNING)
        (call,) = calls()
        assert await it.asked("claude") == 1
    row = (await used(tmp_path, "key"))["holder"]
    tokens = row["tokens"]
    assert tokens["input"] == call.tokens
    assert 10 < tokens["output"] < 2 * call.frames
    assert row["estimated"]
    spent = (tokens["input"] * READ + tokens["output"] * WRITTEN) / 1e6
    assert row["cost"] == pytest.approx(spent, abs=1e-12)
