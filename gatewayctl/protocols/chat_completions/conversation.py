"""Where a Chat Completions request holds what tells its conversation from others."""

from typing import Any

import msgspec

from gatewayctl.core.shape import Conversation
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import opening
from gatewayctl.protocols.measure import SYSTEM_ROLES


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    messages: list[_Message]


_RESULTS = ("tool", "function")  # a tuple, since what stands as a role may be anything
_REQUEST = msgspec.json.Decoder(_Request)


def own_turns(body: bytes) -> list[bool]:
    """Tell of each message whether it is the model's own."""
    return [message.role == "assistant" for message in request_body.read(_REQUEST, body).messages]


def conversation(body: bytes, *, checked: bool) -> Conversation:
    """Return what tells the conversation; raise ``RequestInvalid`` where ``shape`` does.

    ``checked`` says that the body is known to be UTF-8.
    """
    system: list[bytes] = []
    users: list[bytes] = []
    continues = False
    for message in request_body.read(_REQUEST, body, checked=checked).messages:
        if message.role == "user":
            users.append(message.content)
            continues = False
        elif message.role in _RESULTS:
            continues = True
        elif message.role in SYSTEM_ROLES and not users:
            system.append(message.content)
    return opening.conversation(system, users, continues=continues)
