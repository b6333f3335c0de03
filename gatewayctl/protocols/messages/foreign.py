"""Thoughts of other protocols' models, taken out of the history of a request.

A translated reply gives the client a tag in place of what proves a thought (``provenance``), which
this protocol's own upstreams would refuse. All other bytes stay as they came.
"""

from typing import Any

import msgspec

from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import patch, provenance

_PLACES = {"thinking": "signature", "redacted_thinking": "data"}
_MARK = provenance.MARK.decode()


class _Block(msgspec.Struct):
    type: Any = None
    signature: Any = None
    data: Any = None


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = msgspec.Raw()


_BLOCKS = msgspec.json.Decoder(list[_Block])
_MESSAGE = msgspec.json.Decoder(_Message)
_MESSAGES = msgspec.json.Decoder(list[_Message])


def without_foreign(messages: bytes) -> bytes:
    """Return an array of messages without blocks that hold a tag.

    A message that holds nothing else goes as a whole, since empty ones are refused.
    """
    if not messages.startswith(b"["):
        return messages
    spans = patch.elements(messages)
    kept = [
        left for start, end in spans if (left := _without_blocks(messages[start:end])) is not None
    ]
    if len(kept) == len(spans):
        places = zip(spans, kept, strict=True)
        return patch.cut(messages, [(start, end, left) for (start, end), left in places])
    return b"[" + b",".join(kept) + b"]"


def is_bare(messages: bytes) -> bool:
    """Tell whether a tool's result comes last, and its call began with no thought."""
    turns = request_body.read(_MESSAGES, messages, checked=True)
    if not turns or turns[-1].role != "user" or "tool_result" not in _kinds(turns[-1]):
        return False
    called = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    return called is not None and not set(_kinds(called)[:1]) & _PLACES.keys()


def _kinds(message: _Message) -> list[Any]:
    content = bytes(message.content)
    if not content.startswith(b"["):
        return []
    return [
        block.type if isinstance(block.type, str) else None
        for block in request_body.read(_BLOCKS, content, checked=True)
    ]


def _without_blocks(message: bytes) -> bytes | None:
    """Return one message without such blocks, None where nothing is left of it."""
    if provenance.MARK not in message:
        return message
    content = bytes(request_body.read(_MESSAGE, message, checked=True).content)
    if not content.startswith(b"["):
        return message
    blocks = request_body.read(_BLOCKS, content, checked=True)
    spans = patch.elements(content)
    kept = [
        content[start:end]
        for (start, end), block in zip(spans, blocks, strict=True)
        if not _is_foreign(block)
    ]
    if len(kept) == len(spans):
        return message
    return patch.splice(message, {"content": b"[" + b",".join(kept) + b"]"}) if kept else None


def _is_foreign(block: _Block) -> bool:
    place = _PLACES.get(block.type) if isinstance(block.type, str) else None
    data = getattr(block, place) if place else None
    return isinstance(data, str) and data.startswith(_MARK)
