"""What reasoning models take in OpenAI's protocols, by their names: a rule of thumb.

The documentation of OpenAI and of xAI says which of their models refuse what. Models of others take
what they do not know, or are not known here. How each protocol writes it is its own codec's
business; nothing here is about sizes or prices, which the registry knows.
"""

import re
from collections.abc import Collection
from typing import Final

import msgspec

from gatewayctl.core.conversation import Prompt, Sampling, Thinking
from gatewayctl.protocols import thinking as efforts
from gatewayctl.protocols.losses import Loss, Losses

_NAME: Final = re.compile(
    r"(?:^|[/:])(?:gpt-(?P<version>[5-9](?:\.\d+)?)|o[1-9])(?P<more>(?:-[a-z0-9-]+)?)$"
)
_OPEN: Final = re.compile(r"(?:^|[/:])gpt-oss(?![a-z0-9])")
_GROK: Final = re.compile(
    r"(?:^|[/:])grok-(?:2|3(?!-mini)|4(?!\.)|4\.[12](?!0-multi-agent)|code)(?![a-z])"
)
_NEVER_REASON: Final = re.compile(r"-(?:chat|search|audio|realtime|image)(?:-|$)")

_THREE: Final = ("low", "medium", "high")
_FIRST_WITHOUT_MINIMAL: Final = 5.1
_FIRST_WITH_XHIGH: Final = 5.2
_FIRST_WITH_MAX: Final = 5.6
_FIRST_THAT_ALWAYS_REASONS: Final = 5.5


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said to a reasoning model.

    ``efforts`` are the words for its effort; ``quiet``: it does not reason unless it is told to;
    ``closed``: it is of OpenAI's own API, takes no sampling parameters while it reasons, encrypts
    its reasoning, and can be told how much to say. ``parallel``: whether it calls several tools at
    once may be said.
    """

    efforts: Collection[str]
    quiet: bool = False
    closed: bool = True
    parallel: bool = True

    def reasons(self, effort: str | None) -> bool:
        """Tell whether it reasons when it is told this, and so takes no sampling parameters."""
        unasked = effort is None and self.quiet
        return self.closed and not (effort == efforts.OFF or unasked)


def traits(model: str) -> Traits | None:
    """Return what may be said to a reasoning model, None for one that is not known here."""
    name = model.lower()
    if _OPEN.search(name):
        return Traits(efforts=_THREE, closed=False)
    if _GROK.search(name):
        return Traits(efforts=(), closed=False)
    found = _NAME.search(name)
    if found is None or _NEVER_REASON.search(found["more"]):
        return None
    if found["version"] is None:
        return Traits(efforts=_THREE, parallel=False)
    return _of_version(float(found["version"]), found["more"])


def _of_version(version: float, more: str) -> Traits:
    highest: tuple[str, ...] = ()
    if version >= _FIRST_WITH_XHIGH or "codex-max" in more:
        highest = ("xhigh", "max") if version >= _FIRST_WITH_MAX else ("xhigh",)
    if "-pro" in more:
        return Traits(efforts=("medium", "high", *highest) if highest else ("high",))
    if "codex" in more:
        return Traits(efforts=(*_THREE, *highest))
    if version < _FIRST_WITHOUT_MINIMAL:
        return Traits(efforts=("minimal", *_THREE))
    quiet = version < _FIRST_THAT_ALWAYS_REASONS
    return Traits(efforts=(efforts.OFF, *_THREE, *highest), quiet=quiet)


def effort(thinking: Thinking | None, known: Traits | None, losses: Losses) -> str | None:
    """Return the word for the effort that is asked for, None where none is said.

    A model that is not known here and is told not to think by any other word than OpenAI's own is
    told nothing: most models refuse that word, and for the others it is no matter of meaning.
    """
    wanted = efforts.effort_of(thinking)
    if thinking is None or wanted is None:
        return None
    if known is None:
        if thinking.off and thinking.effort is None:
            losses.add(Loss.REASONING)
            return None
        return wanted
    found = efforts.nearest(wanted, known.efforts)
    if wanted == efforts.OFF and found is None:
        losses.add(Loss.REASONING)
    elif found != wanted:
        losses.add(Loss.REASONING_EFFORT)
    return found


def taken(prompt: Prompt, known: Traits | None, said: str | None, losses: Losses) -> Prompt:
    """Return the prompt without what a model refuses while it reasons; ``said`` is its effort."""
    if known is None or not known.reasons(said):
        return prompt
    if prompt.parallel is False and not known.parallel:
        losses.add(Loss.PARALLEL)
    drawn = prompt.sampling
    for loss, value, usual in (
        (Loss.TEMPERATURE, drawn.temperature, 1),
        (Loss.TOP_P, drawn.top_p, 1),
        (Loss.PRESENCE_PENALTY, drawn.presence_penalty, 0),
        (Loss.FREQUENCY_PENALTY, drawn.frequency_penalty, 0),
    ):
        if value is not None and value != usual:
            losses.add(loss)
    if prompt.logprobs is not None:
        losses.add(Loss.LOGPROBS)
    left = Sampling(top_k=drawn.top_k, seed=drawn.seed)
    parallel = prompt.parallel if known.parallel else None
    return msgspec.structs.replace(prompt, sampling=left, logprobs=None, parallel=parallel)
