"""How much a model may think: effort in words and budgets in tokens, made of one another.

The budgets are those that Google documents for effort words in its OpenAI-compatible API. How each
protocol writes either of them, and which models want which, is its own codec's business.
"""

from collections.abc import Collection
from typing import Final

from gatewayctl.core.conversation import Thinking

OFF: Final = "none"
"""The word for no thinking at all."""

EFFORTS: Final = (OFF, "minimal", "low", "medium", "high", "xhigh", "max")
"""All words for effort, least first."""

LEAST_BUDGET: Final = 1024
"""Tokens below which no provider takes a budget."""

_BUDGETS: Final = {
    OFF: 0,
    "minimal": LEAST_BUDGET,
    "low": LEAST_BUDGET,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}
_BACK: Final = ("low", "medium")


def effort_of(thinking: Thinking | None) -> str | None:
    """Return the effort that is asked for: a word of any protocol's, ``none`` for off.

    A budget counts as the least effort that has so much. None where nothing is said, or where the
    model may think as much as it likes.
    """
    if thinking is None:
        return None
    if thinking.off or thinking.effort == OFF:
        return OFF
    if thinking.effort is not None:
        return thinking.effort
    if thinking.budget is None:
        return None
    if thinking.budget == 0:
        return OFF
    return next((word for word in _BACK if thinking.budget <= _BUDGETS[word]), "high")


def budget_of(thinking: Thinking | None) -> int | None:
    """Return the tokens that are asked for, 0 for off.

    None where nothing is said, where the model may think as much as it likes, or where the effort
    is a word that is not known.
    """
    if thinking is None:
        return None
    if thinking.off or thinking.effort == OFF:
        return 0
    if thinking.budget is not None:
        return thinking.budget
    return None if thinking.effort is None else _BUDGETS.get(thinking.effort)


def nearest(effort: str, words: Collection[str]) -> str | None:
    """Return which of ``words`` says an effort best: itself, the next lower, else the next higher.

    ``none`` is only itself, and stands for nothing else. None for what none of them can say.
    """
    if effort in words:
        return effort
    if effort == OFF or effort not in EFFORTS:
        return None
    known = [word for word in EFFORTS[1:] if word in words]
    lower = [word for word in known if EFFORTS.index(word) < EFFORTS.index(effort)]
    return lower[-1] if lower else next(iter(known), None)


def fitting(budget: int, output_budget: int | None) -> int | None:
    """Return a budget for thinking that leaves room for an answer, None where there is none.

    It is at least ``LEAST_BUDGET`` and less than ``output_budget``, of which it is a part: four
    fifths of that where more is wanted, so that there is an answer.
    """
    wanted = max(budget, LEAST_BUDGET)
    if output_budget is None or wanted < output_budget:
        return wanted
    return max(LEAST_BUDGET, output_budget * 4 // 5) if output_budget > LEAST_BUDGET else None
