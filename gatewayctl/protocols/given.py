"""A request that is handed over to be judged, not answered: a body of any protocol, or plain text.

The command line and the daemon's API read what they are given by the same steps. What a body means
is its protocol's business, which protocol it is in ``detect``'s.
"""

import codecs
import json

import msgspec

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.dialect import Dialect
from gatewayctl.protocols.patch import splice

UNNAMED = "unnamed"
"""The model of a body that names none: one is asked for besides, and every protocol wants one."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body and who reads it; ``model`` is the body's own, None when it names none."""

    dialect: Dialect
    model: str | None
    reader: Reader
    body: bytes


class _Named(msgspec.Struct):
    """The one field of a body that is looked at here; anything may stand in it."""

    model: msgspec.Raw = msgspec.Raw()


_NAMED = msgspec.json.Decoder(_Named)


def given(data: bytes, dialect: Dialect | None) -> Given:
    """Read a body or a text; raise ``RequestInvalid``. ``dialect`` None: see which it is."""
    data = data.removeprefix(codecs.BOM_UTF8)  # editors on Windows write one
    if not data.strip():
        raise RequestInvalid("it is empty; give a request body as JSON, or plain text")
    if dialect is None:
        dialect = detected(data)
    if dialect is Dialect.TEXT:
        message = {"role": "user", "content": _text(data)}
        body = msgspec.json.encode({"model": UNNAMED, "messages": [message]})
        reader = CODECS[WireProtocol.CHAT_COMPLETIONS]
        return Given(dialect=dialect, model=None, reader=reader, body=body)
    reader = CODECS.get(WireProtocol(dialect.value))
    if reader is None:
        raise RequestInvalid(f"a body of the {dialect} protocol is not yet supported", "$")
    body, model = _named(data)
    return Given(dialect=dialect, model=model, reader=reader, body=body)


def _named(data: bytes) -> tuple[bytes, str | None]:
    """Return a body that names a model, whatever it is, and the name it came with."""
    try:
        raw = bytes(_NAMED.decode(data).model)
    except (msgspec.DecodeError, RecursionError):
        return data, None  # its reader says what is wrong with it
    if not raw:
        return splice(data, {"model": msgspec.json.encode(UNNAMED)}), None
    model = msgspec.json.decode(raw)
    return data, model if isinstance(model, str) else None


def detected(data: bytes) -> Dialect:
    """Tell a body's protocol from its keys; what is no JSON object is text."""
    if not data.lstrip().startswith(b"{"):
        return Dialect.TEXT
    fields = _fields(data)
    if fields is None:
        return Dialect.CHAT_COMPLETIONS  # its codec says what is wrong with it
    if "contents" in fields:
        return Dialect.GEMINI
    if "input" in fields or "previous_response_id" in fields:
        return Dialect.RESPONSES
    if "messages" not in fields:
        raise RequestInvalid(
            "neither messages nor input is there; for plain text use --protocol text", "$"
        )
    return Dialect.MESSAGES if _looks_like_messages(fields) else Dialect.CHAT_COMPLETIONS


def _looks_like_messages(fields: dict[str, object]) -> bool:
    if fields.keys() & {"system", "thinking", "anthropic_version", "stop_sequences", "top_k"}:
        return True
    tools = fields.get("tools")
    if isinstance(tools, list) and any(
        isinstance(it, dict) and "input_schema" in it for it in tools
    ):
        return True
    messages = fields["messages"]
    blocks = (
        block
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        for block in message["content"]
    )
    kinds = {"tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"}
    return any(isinstance(block, dict) and block.get("type") in kinds for block in blocks)


def _fields(data: bytes) -> dict[str, object] | None:
    try:
        decoded = msgspec.json.decode(data)
    except RecursionError:
        return None
    except msgspec.DecodeError as error:
        if _first_value(data) is None:
            return None
        raise RequestInvalid("one body is asked about, and more follows its end") from error
    return decoded if isinstance(decoded, dict) else None


def _first_value(data: bytes) -> object:
    """Return the JSON value that a text begins with, None when it is broken by itself."""
    try:
        return json.JSONDecoder().raw_decode(data.decode().lstrip())[0]
    except (ValueError, RecursionError):
        return None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"not UTF-8 at byte {error.start}") from error
