"""Which protocol a request goes out in.

The client's own where the provider speaks it, else the first of the provider's in which all of the
request can be said.

What one protocol says and another cannot is a ``Demand`` of the request's shape where dropping it
would change the meaning; everything else that is lost in translation is dropped by the codecs and
recorded. How bodies are translated is ``gatewayctl.protocols``' business.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gatewayctl.core.model import Auth, Provider, WireProtocol
from gatewayctl.core.shape import Demand, RequestShape

_CHAT: Final = WireProtocol.CHAT_COMPLETIONS
_RESPONSES: Final = WireProtocol.RESPONSES
_MESSAGES: Final = WireProtocol.MESSAGES
_GEMINI: Final = WireProtocol.GEMINI

SAYABLE: Mapping[Demand, frozenset[WireProtocol]] = MappingProxyType(
    {
        Demand.ANSWERS: frozenset({_CHAT, _GEMINI}),
        Demand.STOP: frozenset({_CHAT, _MESSAGES, _GEMINI}),
        Demand.JSON_OBJECT: frozenset({_CHAT, _RESPONSES, _GEMINI}),
        Demand.ALLOWED_TOOLS: frozenset({_CHAT, _RESPONSES, _GEMINI}),
        Demand.AUDIO: frozenset({_CHAT, _GEMINI}),
        Demand.DOCUMENT_URL: frozenset({_RESPONSES, _MESSAGES, _GEMINI}),
        Demand.STATE: frozenset(),
        Demand.UPLOADED: frozenset(),
        Demand.HOSTED_TOOL: frozenset(),
        Demand.MODALITY: frozenset(),
        Demand.FORM: frozenset(),
        Demand.ENDPOINT: frozenset(),
    }
)
"""In which protocols each demand can be made, besides the one that it came in."""


def outgoing(provider: Provider, shape: RequestShape) -> WireProtocol | None:
    """Return the protocol in which a provider is sent a request, None when there is none.

    Nothing is translated where requests go as they came: a client's own credential, and one that
    serves certain clients alone, goes with that client's own request.
    """
    if shape.protocol in provider.protocols:
        return shape.protocol
    if provider.as_it_came:
        return None
    return next(
        (each for each in provider.protocols if not lacking(each, shape)),
        None,
    )


def lacking(protocol: WireProtocol, shape: RequestShape) -> frozenset[Demand]:
    """Return what a request demands that cannot be said in another protocol than its own."""
    if not shape.demands:
        return frozenset()
    return frozenset(each for each in shape.demands if protocol not in SAYABLE[each])


def why_not(provider: Provider, shape: RequestShape) -> str:
    """Say why a provider cannot be sent a request, for a person."""
    spoken = ", ".join(provider.protocols)
    if provider.as_it_came:
        whose = "the client's own credential" if provider.auth is Auth.FORWARD else "a subscription"
        return (
            f"{provider.name} takes {whose}, and so requests as they came alone: it speaks "
            f"{spoken}, the request is {shape.protocol}; another client needs a provider with an "
            "api_key"
        )
    missing = {demand for each in provider.protocols for demand in lacking(each, shape)}
    return f"{', '.join(sorted(missing))} cannot be said in {spoken}, which {provider.name} speaks"
