"""Effort and budgets for thinking."""

import pytest

from gatewayctl.core.conversation import Thinking
from gatewayctl.protocols import thinking


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        (None, None),
        (Thinking(), None),
        (Thinking(adaptive=True), None),
        (Thinking(off=True), "none"),
        (Thinking(effort="none"), "none"),
        (Thinking(budget=0), "none"),
        (Thinking(budget=1024), "low"),
        (Thinking(budget=8192), "medium"),
        (Thinking(budget=8193), "high"),
        (Thinking(effort="max", budget=1024), "max"),
        (Thinking(effort="unheard-of"), "unheard-of"),
    ],
)
def test_a_budget_is_told_as_effort(asked: Thinking | None, effort: str | None) -> None:
    """What is said in words stands; a budget becomes the word that has so much."""
    assert thinking.effort_of(asked) == effort


@pytest.mark.parametrize(
    ("asked", "budget"),
    [
        (None, None),
        (Thinking(adaptive=True), None),
        (Thinking(off=True), 0),
        (Thinking(effort="none"), 0),
        (Thinking(effort="minimal"), 1024),
        (Thinking(effort="low"), 1024),
        (Thinking(effort="medium"), 8192),
        (Thinking(effort="high"), 24_576),
        (Thinking(effort="max"), 32_768),
        (Thinking(effort="high", budget=2000), 2000),
        (Thinking(effort="unheard-of"), None),
    ],
)
def test_effort_is_told_as_a_budget(asked: Thinking | None, budget: int | None) -> None:
    """What is said in tokens stands; a word becomes the tokens that Google gives it."""
    assert thinking.budget_of(asked) == budget


@pytest.mark.parametrize("word", thinking.EFFORTS[2:5])
def test_effort_survives_a_budget(word: str) -> None:
    """The words that every protocol has are the same after a detour through tokens."""
    budget = thinking.budget_of(Thinking(effort=word))
    assert thinking.effort_of(Thinking(budget=budget)) == word


def test_an_effort_that_cannot_be_said_becomes_the_nearest() -> None:
    """Too much becomes the most there is, too little the least; off is never made of effort."""
    words = ("low", "medium", "high")
    assert thinking.nearest("xhigh", words) == "high"
    assert thinking.nearest("minimal", words) == "low"
    assert thinking.nearest("medium", words) == "medium"
    assert thinking.nearest("medium", ("low", "high")) == "low"
    assert thinking.nearest("none", words) is None
    assert thinking.nearest("none", ("none", *words)) == "none"
    assert thinking.nearest("minimal", ("none", *words)) == "low"
    assert thinking.nearest("unheard-of", words) is None
    assert thinking.nearest("high", ()) is None


def test_a_budget_leaves_room_for_the_answer() -> None:
    """A budget is below the whole one, at least the least there is, or none at all."""
    assert thinking.fitting(8192, None) == 8192
    assert thinking.fitting(8192, 8193) == 8192
    assert thinking.fitting(8192, 8192) == 6553
    assert thinking.fitting(100, 4096) == 1024
    assert thinking.fitting(8192, 1025) == 1024
    assert thinking.fitting(8192, 1024) is None
