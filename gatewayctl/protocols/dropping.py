"""What each candidate of a decision would be sent less of: for explanations, before anything is.

What is dropped is each codec's business; here their requests are written and thrown away.
"""

from collections.abc import Callable, Iterable, Mapping

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.translation import outgoing

Flags = Callable[[str], Mapping[str, bool]]
"""A provider's flags by its name."""


def dropped(
    protocol: WireProtocol, body: bytes, candidates: Iterable[Candidate], flags: Flags
) -> dict[str, tuple[str, ...]]:
    """Return, by full id, what a translation leaves out; no entry where nothing is translated."""
    return {
        each.model: _dropped(protocol, body, each, flags(each.provider))
        for each in candidates
        if each.protocol is not protocol
    }


def target(candidate: Candidate, changes: Changes, flags: Mapping[str, bool]) -> Target:
    """Return whom a candidate's translated request is written for."""
    return Target(
        origin=candidate.model,
        changes=changes,
        flags=flags,
        most_output=candidate.place.most_output,
        reasons=Capability.REASONING not in candidate.place.denied,
    )


def _dropped(
    protocol: WireProtocol, body: bytes, candidate: Candidate, flags: Mapping[str, bool]
) -> tuple[str, ...]:
    changes = Changes(
        model=candidate.upstream_model,
        output_budget=candidate.send_budget,
        strip_billing=flags.get("strip_billing_attribution", True),
    )
    to = target(candidate, changes, flags)
    try:
        return outgoing(CODECS[protocol], CODECS[candidate.protocol], body, to).dropped
    except RequestInvalid as error:
        return (f"everything: {error}",)
