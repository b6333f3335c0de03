"""Requests for a count (``/messages/count_tokens``): their bodies and their replies."""

from typing import Annotated

import msgspec

from gatewayctl.protocols import patch
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.messages import request as request_of
from gatewayctl.protocols.patch import Layout

PATH = "/messages/count_tokens"
"""The path below a provider's base URL."""

_ANSWER_ONLY = frozenset(
    {"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata"}
    | {"service_tier", "container", "inference_geo"}
)
"""What is refused in a request for a count, since it is about the answer alone."""


class _Reply(msgspec.Struct):
    input_tokens: Annotated[int, msgspec.Meta(ge=1)]


_REPLY = msgspec.json.Decoder(_Reply)


def request(body: bytes, changes: Changes, layout: Layout) -> bytes:
    """Return the body that counts a request; what is about its answer alone is left out.

    Raises ``RequestInvalid`` as ``patch`` does.
    """
    kept = {field: value for field, value in changes.set.items() if field not in _ANSWER_ONLY}
    dropped = (*changes.drop, *sorted(_ANSWER_ONLY & layout.keys()))
    edits = msgspec.structs.replace(changes, set=kept, drop=dropped, output_budget=None)
    return request_of.changed(body, edits, layout)


def as_it_came(body: bytes, model: str, layout: Layout) -> bytes:
    """Return the body with the upstream's name of the model, every other byte as it came."""
    return patch.splice_members(body, layout, {"model": msgspec.json.encode(model)})


def tokens(reply: bytes) -> int | None:
    """Return the count that a reply says, None where it says none."""
    try:
        return _REPLY.decode(reply).input_tokens
    except (msgspec.DecodeError, RecursionError):
        return None


def reply(count: int) -> dict[str, int]:
    """Return what a client is answered, ready for JSON."""
    return {"input_tokens": count}
