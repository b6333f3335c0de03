"""Which protocol a request's address is of, and what it says beyond that."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gatewayctl.simulator import (
    chat_completions,
    completions,
    embeddings,
    gemini,
    messages,
    responses,
)
from gatewayctl.simulator.request import Ask
from gatewayctl.simulator.wire import Counting, Wire

_COUNT_TOKENS: Final = "/v1/messages/count_tokens"
_WIRES: Final[dict[str, Wire]] = {
    "/v1/chat/completions": chat_completions,
    "/v1/responses": responses,
    "/v1/messages": messages,
    "/v1/completions": completions,
    "/v1/embeddings": embeddings,
}
_GEMINI: Final = re.compile(
    "/v1(?:beta|alpha)?/models/(?P<model>.+):(?P<verb>generateContent|streamGenerateContent|countTokens)"
)
_GOOGLES: Final = re.compile("/v1(beta|alpha)(/|$)|/v1/models/.+:")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for: an answer in a protocol, or a count of a request's tokens.

    ``counting`` is the protocol again where it is a count. ``model`` is None where the body names
    it; ``stream`` and ``listed`` count only where it does not.
    """

    wire: Wire
    counting: Counting | None = None
    model: str | None = None
    stream: bool = False
    listed: bool = False

    def of(self, ask: Ask) -> Ask:
        """Return the request with what the address says of it."""
        if self.model is None:
            return ask
        return msgspec.structs.replace(
            ask, model=self.model, stream=self.stream, listed=self.listed
        )


def place(method: str, path: str, query: Mapping[str, str]) -> Place | None:
    """Return what is asked for at an address, None where nothing is."""
    if method != "POST":
        return None
    if path in _WIRES:
        return Place(wire=_WIRES[path])
    if path == _COUNT_TOKENS:
        return Place(wire=messages, counting=messages)
    found = _GEMINI.fullmatch(path)
    if found is None:
        return None
    verb = found["verb"]
    return Place(
        wire=gemini,
        counting=gemini if verb == "countTokens" else None,
        model=found["model"],
        stream=verb == "streamGenerateContent",
        listed=query.get("alt") != "sse",
    )


def dialect(path: str) -> Wire:
    """Return the protocol in whose words an unknown address is refused."""
    if path.startswith("/v1/messages"):
        return messages
    return gemini if _GOOGLES.match(path) else chat_completions
