"""Genuine agents and SDKs at a gateway that asks for keys, counts money and passes credentials on.

Whatever refuses them ends the run with words that say why, and the requests that it took to say so
are counted: none goes round in circles. What they may use at all is ``test_agents_with_keys``'
business.
"""

from pathlib import Path
from typing import Final

import pytest
from support.keyholders import PROGRAMS, WRITTEN, keyed, used

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
    "codex": "Quota exceeded",
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
