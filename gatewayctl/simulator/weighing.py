"""What a model can hold: whether a request is answered, refused, or cut without a word.

Tokens come from ``meter``. Who refuses in which words is ``wire``'s and ``overflows``' business.
"""

from typing import Final

import msgspec

from gatewayctl.simulator import overflows
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Refused, Vendor
from gatewayctl.simulator.request import Ask
from gatewayctl.simulator.servers import KINDS, Kind, Local
from gatewayctl.simulator.servers.local import Overlong
from gatewayctl.simulator.wire import Wire

_USUAL_OUTPUT: Final = 16
"""What is taken for a request's output where a refusal has to name a figure."""


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is answered: the input ``tokens`` that count, the most it may write."""

    tokens: int
    limit: int


def weigh(wire: Wire, ask: Ask, model: SimModel, tokens: int) -> Weighed:
    """Refuse, by raising ``Refused``, what a model cannot hold or cannot write."""
    if (ask.max_output or 0) > model.max_output:
        raise Refused(wire.excessive_output(ask, model))
    output = 0 if wire.VENDOR is Vendor.GOOGLE else ask.max_output or 1  # its windows are input's
    if tokens + output > model.window:
        raise Refused(wire.overflow(ask, model, tokens))
    room = model.window - tokens if output else model.max_output
    limit = ask.max_output or min(model.max_output, room)
    return Weighed(tokens=tokens, limit=limit)


def weigh_local(wire: Wire, ask: Ask, local: Local, tokens: int) -> Weighed:
    """Refuse or cut, as the server that is played does, what its context cannot hold."""
    kind = KINDS[local.kind]
    asked = ask.max_output or 1
    reserved = asked if kind.RESERVES_OUTPUT else 1
    local.loaded.add(ask.model)
    if tokens + reserved <= local.context:
        room = local.context - tokens
        return Weighed(tokens=tokens, limit=min(ask.max_output or room, room))
    if (local.overlong or kind.OVERLONG) is Overlong.REFUSE:
        raise Refused(_refusal(wire, kind, local, tokens, ask.max_output))
    # What is left of the prompt fills the context; the answer then pushes more of it out.
    return Weighed(tokens=local.context, limit=ask.max_output or local.context)


def _refusal(wire: Wire, kind: Kind, local: Local, tokens: int, asked: int | None) -> Problem:
    output = asked or _USUAL_OUTPUT if kind.RESERVES_OUTPUT else 0
    body = overflows.overflow(
        kind.WORDS, wire.VENDOR, tokens=tokens, output=output, window=local.context
    )
    return Problem(status=400, message="too long", body=body)
