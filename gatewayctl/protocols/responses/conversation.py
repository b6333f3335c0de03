"""Where a Responses request holds what tells its conversation from others.

A conversation that the server keeps (``previous_response_id``) is not in the body: then only what
is new of it is looked at.
"""

from typing import Any

import msgspec

from gatewayctl.core.shape import Conversation
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import opening
from gatewayctl.protocols.measure import SYSTEM_ROLES


class _Item(msgspec.Struct):
    role: Any = None
    type: Any = None
    content: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    input: str | list[_Item] | None = None
    instructions: msgspec.Raw = msgspec.Raw()


_RESULT = "_output"  # function_call_output, custom_tool_call_output, …
_REQUEST = msgspec.json.Decoder(_Request)


def own_turns(body: bytes) -> list[bool]:
    """Tell of each item whether it is the model's own: its words, its calls, its reasoning."""
    request = request_body.read(_REQUEST, body)
    items = [_Item(role="user")] if isinstance(request.input, str) else request.input or ()
    return [_own(item) for item in items]


def _own(item: _Item) -> bool:
    if item.role is not None:
        return bool(item.role == "assistant")
    return isinstance(item.type, str) and not item.type.endswith(_RESULT)


def conversation(body: bytes, *, checked: bool) -> Conversation:
    """Return what tells the conversation; raise ``RequestInvalid`` where ``shape`` does.

    ``checked`` says that the body is known to be UTF-8.
    """
    request = request_body.read(_REQUEST, body, checked=checked)
    system: list[bytes] = [request.instructions]
    users: list[bytes] = []
    continues = False
    if isinstance(request.input, str):
        users.append(msgspec.json.encode(request.input))
    else:
        for item in request.input or ():
            if item.role == "user":
                users.append(item.content)
                continues = False
            elif isinstance(item.type, str) and item.type.endswith(_RESULT):
                continues = True
            elif item.role in SYSTEM_ROLES and not users:
                system.append(item.content)
    return opening.conversation(system, users, continues=continues)
