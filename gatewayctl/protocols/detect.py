"""Telling which protocol a request body is in, from what stands in it.

For bodies that come without a path that says so: the command line's and the API's, never those of
clients. What is wrong with a body is its protocol's own business.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import body as request_body

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])

_ENDS = 100
"""Elements looked at from either end of a list: what tells protocols apart is all over it."""

_GEMINI = frozenset({"contents", "generateContentRequest", "generate_content_request"})
_POINTERS = frozenset({"previous_response_id", "conversation"})  # what stands for an input

# Of two protocols with ``messages``, only one has these fields …
_MESSAGES_ONLY = frozenset({"system", "anthropic_version", "anthropic_beta", "stop_sequences"})
_CHAT_ONLY = frozenset(
    {"max_completion_tokens", "response_format", "stream_options", "functions", "function_call"}
    | {"reasoning_effort", "parallel_tool_calls", "n", "stop", "seed", "logprobs", "logit_bias"}
    | {"frequency_penalty", "presence_penalty", "modalities", "store", "user"}
)
# … these kinds of content …
_MESSAGES_KINDS = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"}
)
_CHAT_KINDS = frozenset({"image_url", "input_audio", "file", "refusal"})
# … and these roles. Claude Code sends the role ``system`` too.
_CHAT_ROLES = frozenset({"developer", "tool", "function"})
_CHAT_MEMBERS = frozenset({"tool_calls", "tool_call_id", "function_call", "refusal"})
# Fields of the Messages protocol that servers of the other one also take.
_MESSAGES_RATHER = frozenset({"thinking", "top_k", "output_config", "context_management"})


def detected(data: bytes) -> WireProtocol | None:
    """Return the protocol of a body, None for what is plain text.

    Raises ``RequestInvalid`` for what seems meant as a body and is none.
    """
    data = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if not data.startswith(b"{"):
        _check_no_messages(data)
        return None
    fields = _fields(data)
    if not _GEMINI.isdisjoint(fields):
        return WireProtocol.GEMINI
    if "messages" in fields:
        return next(_of_two(fields))
    prompt = fields.get("prompt")  # as an object it is a stored prompt, as text a completion's
    if (
        "input" in fields
        or not _POINTERS.isdisjoint(fields)
        or (prompt is not None and bytes(prompt).startswith(b"{"))
    ):
        return WireProtocol.RESPONSES
    raise RequestInvalid(
        "no body of any protocol: none of messages, input and contents is there; "
        "for plain text use --protocol text",
        "$",
    )


def _of_two(fields: dict[str, msgspec.Raw]) -> Iterator[WireProtocol]:
    """Yield what tells Messages from Chat Completions, the surest sign first."""
    if not _MESSAGES_ONLY.isdisjoint(fields):
        yield WireProtocol.MESSAGES
    if not _CHAT_ONLY.isdisjoint(fields):
        yield WireProtocol.CHAT_COMPLETIONS
    for tool in _objects(fields.get("tools")):
        yield WireProtocol.MESSAGES if _is_of_messages(tool) else WireProtocol.CHAT_COMPLETIONS
    for message in _objects(fields["messages"]):
        if _text(message, "role") in _CHAT_ROLES or not _CHAT_MEMBERS.isdisjoint(message):
            yield WireProtocol.CHAT_COMPLETIONS
        for part in _objects(message.get("content")):
            kind = _text(part, "type")
            if kind in _MESSAGES_KINDS or kind in _CHAT_KINDS:
                messages = kind in _MESSAGES_KINDS
                yield WireProtocol.MESSAGES if messages else WireProtocol.CHAT_COMPLETIONS
    if not _MESSAGES_RATHER.isdisjoint(fields):
        yield WireProtocol.MESSAGES
    yield WireProtocol.CHAT_COMPLETIONS


def _is_of_messages(tool: dict[str, msgspec.Raw]) -> bool:
    """Tell a tool of the Messages protocol, a server's own (``web_search_20250305``) included."""
    if "function" in tool:
        return False
    return "input_schema" in tool or _text(tool, "type")[-8:].isdigit()


def _text(members: dict[str, msgspec.Raw], name: str) -> str:
    """Return a member that is a text, an empty one where it is none."""
    found = request_body.value(members[name]) if name in members else None
    return found if isinstance(found, str) else ""


def _objects(raw: msgspec.Raw | None) -> Iterator[dict[str, msgspec.Raw]]:
    """Yield the elements of a list of objects, of a long one its ends; else nothing."""
    if raw is None or not bytes(raw).startswith(b"["):
        return
    try:
        items = _ITEMS.decode(raw)
        for item in items if len(items) <= 2 * _ENDS else (*items[:_ENDS], *items[-_ENDS:]):
            yield _FIELDS.decode(item)
    except (msgspec.DecodeError, RecursionError):
        return


def _fields(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return request_body.read(_FIELDS, data)
    except RequestInvalid as error:
        if _more_follows(data):
            raise RequestInvalid(
                "one body is asked about, and more follows its end", "$"
            ) from error
        raise


def _more_follows(data: bytes) -> bool:
    try:
        text = data.decode()
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return bool(text[end:].strip())


def _check_no_messages(data: bytes) -> None:
    """Refuse a bare list of messages: as text it would be sized as nobody would send it."""
    if not data.startswith(b"["):
        return
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return  # text that begins with a bracket
    if found and all(isinstance(each, dict) and "role" in each for each in found):
        raise RequestInvalid(
            "a list of messages is no body; put it into an object, as its messages, input or "
            "contents (for plain text use --protocol text)",
            "$",
        )
