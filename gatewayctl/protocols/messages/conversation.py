"""Where a Messages request holds what tells its conversation from others, and its turns.

A user message with a tool's result in it is the agent's, not the user's, whatever reminders stand
beside the result: Claude Code sends them so.
"""

import re
from typing import Any

import msgspec

from gatewayctl.core.shape import Conversation
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import opening


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = msgspec.Raw()


class _Block(msgspec.Struct):
    type: Any = None


class _Request(msgspec.Struct):
    messages: list[_Message]
    system: msgspec.Raw = msgspec.Raw()
    metadata: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_BLOCKS = msgspec.json.Decoder(list[_Block])
_RESULT = b'"tool_result"'
_SESSION = re.compile(r"_session_([\w-]{1,128})\Z", re.ASCII)
_LONGEST = 1024  # characters of a user id that are looked at


def own_turns(body: bytes) -> list[bool]:
    """Tell of each message whether it is the model's own."""
    return [message.role == "assistant" for message in request_body.read(_REQUEST, body).messages]


def conversation(body: bytes, *, checked: bool) -> Conversation:
    """Return what tells the conversation; raise ``RequestInvalid`` where ``shape`` does.

    ``checked`` says that the body is known to be UTF-8.
    """
    request = request_body.read(_REQUEST, body, checked=checked)
    system: list[bytes] = [request.system]
    users: list[bytes] = []
    continues = False
    for message in request.messages:
        if message.role == "user":
            continues = _holds_result(message.content)
            if not continues:
                users.append(message.content)
        elif message.role == "system" and not users:
            system.append(message.content)
    return opening.conversation(system, users, _session(request.metadata), continues=continues)


def _holds_result(content: msgspec.Raw) -> bool:
    """Tell whether a message's content has a block that is a tool's result."""
    if _RESULT not in bytes(content):  # as text it would stand between escaped quotes
        return False
    try:
        return any(block.type == "tool_result" for block in _BLOCKS.decode(content))
    except (msgspec.DecodeError, RecursionError):
        return False  # text


def _session(metadata: Any) -> str | None:
    """Return the session that Claude Code names in ``metadata.user_id``.

    Older ones write ``user_<hash>_account_<id>_session_<id>``, newer ones an object as JSON.
    """
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str) or len(user) > _LONGEST:
        return None
    if found := _SESSION.search(user):
        return found.group(1)
    try:
        fields = msgspec.json.decode(user)
    except (msgspec.DecodeError, RecursionError):
        return None
    session = fields.get("session_id") if isinstance(fields, dict) else None
    return session if isinstance(session, str) and session else None
