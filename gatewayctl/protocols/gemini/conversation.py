"""Where a Gemini request holds what tells its conversation from others, and its turns."""

import msgspec

from gatewayctl.core.shape import Conversation
from gatewayctl.protocols import opening
from gatewayctl.protocols.gemini import request as request_of
from gatewayctl.protocols.gemini import wire

_USERS = (None, "", "user")
_RESULTS = {"functionResponse", "function_response"}


def own_turns(body: bytes) -> list[bool]:
    """Tell of each turn whether it is the model's own."""
    return [turn.role == "model" for turn in request_of.as_list(request_of.read(body).contents)]


def conversation(body: bytes, *, checked: bool) -> Conversation:
    """Return what tells the conversation; raise ``RequestInvalid`` where ``shape`` does.

    ``checked`` says that the body is known to be UTF-8.
    """
    request = request_of.read(body, checked=checked)
    system = [_json(request.system_instruction), _json(request.system_instruction_)]
    users: list[bytes] = []
    continues = False
    for content in request_of.as_list(request.contents):
        if _holds_result(content):
            continues = True
        elif content.role in _USERS:
            users.append(_json(content))
            continues = False
    return opening.conversation(system, users, continues=continues)


def _holds_result(content: wire.Content) -> bool:
    """Tell whether a turn answers a call: then it is the agent's, not the user's."""
    return any(not _RESULTS.isdisjoint(part) for part in request_of.as_list(content.parts))


def _json(content: wire.Content | None) -> bytes:
    return b"" if content is None else msgspec.json.encode(content.parts)
