"""How much a model may think, as the Messages protocol says it to this model or that.

Newer models are told an effort and think as they like, older ones a budget. What words and budgets
have to do with one another is the business of ``protocols.thinking``.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Thinking
from gatewayctl.protocols import thinking
from gatewayctl.protocols.losses import Loss, Losses
from gatewayctl.protocols.messages.models import Traits

_USUAL: Final = "medium"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The fields ``thinking`` and ``output_config.effort``, None where there is none."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def on(self) -> bool:
        """Whether the model is told that it may think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What else of a request bears on it.

    ``forced``: a tool must be called; ``bare``: what the model goes on from, a tool's result or
    words of its own, has no thought of this model before it.
    """

    output_budget: int
    forced: bool
    bare: bool


def asked(wanted: Thinking | None, traits: Traits, at: Situation, losses: Losses) -> Asked:
    """Return what is said, and record what cannot be."""
    if wanted is None:
        return Asked()
    effort = thinking.effort_of(wanted)
    if effort == thinking.OFF:
        return _off(traits, losses)
    if wanted.detail not in (None, "auto"):
        losses.add(Loss.REASONING_SUMMARY)
    if effort is None and not wanted.adaptive:
        return Asked()
    if traits.efforts:
        return _by_effort(wanted, effort, traits, at, losses)
    return _by_budget(wanted, effort, traits, at, losses)


def _off(traits: Traits, losses: Losses) -> Asked:
    if traits.always:
        losses.add(Loss.REASONING_EFFORT)
        return Asked()
    return Asked() if traits.quiet else Asked(thinking={"type": "disabled"})


def _by_effort(
    wanted: Thinking, effort: str | None, traits: Traits, at: Situation, losses: Losses
) -> Asked:
    word = None if effort is None else thinking.nearest(effort, traits.efforts)
    if effort is not None and word is None:
        losses.add(Loss.REASONING_EFFORT)
    if at.forced:
        losses.add(Loss.REASONING)
        return Asked(effort=word)
    display = {} if wanted.visible is None else {"display": _display(visible=wanted.visible)}
    return Asked(thinking={"type": "adaptive", **display}, effort=word)


def _by_budget(
    wanted: Thinking, effort: str | None, traits: Traits, at: Situation, losses: Losses
) -> Asked:
    if at.forced or (at.bare and traits.thinks_first):
        losses.add(Loss.REASONING)
        return Asked()
    budget = thinking.budget_of(wanted)
    if budget is None and effort is not None:
        losses.add(Loss.REASONING_EFFORT)
    usual = thinking.budget_of(Thinking(effort=_USUAL))
    fitting = thinking.fitting(budget or usual or 0, at.output_budget)
    if fitting is None or (wanted.budget is not None and fitting < wanted.budget):
        losses.add(Loss.REASONING_BUDGET)
    if fitting is None:
        return Asked()
    hidden = {"display": _display(visible=False)} if wanted.visible is False else {}
    return Asked(thinking={"type": "enabled", "budget_tokens": fitting, **hidden})


def _display(*, visible: bool) -> str:
    return "summarized" if visible else "omitted"
