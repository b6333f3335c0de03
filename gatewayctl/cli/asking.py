"""What ``estimate`` and ``route-explain`` are asked about: a request body or plain text, measured.

Which protocol a body is in is told, or seen from its keys. Nothing here decides or prints.
"""

import codecs
import json
import sys
from pathlib import Path

import msgspec

from gatewayctl.cli.options import Dialect
from gatewayctl.core.errors import GatewayctlError, RequestInvalid
from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.routing.decision import Estimate
from gatewayctl.core.shape import Measured, RequestShape
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.patch import splice


class Unreadable(GatewayctlError):
    """The input cannot be opened or understood; the message says where."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be judged. ``model`` is the body's own, None when it names none."""

    dialect: Dialect
    model: str | None
    shape: RequestShape
    measured: Measured

    def estimator(self, settings: EstimatorSettings) -> Estimate:
        """Size the request for one tokenizer, as ``core.routing`` asks."""
        return by_ratio(self.shape, self.measured, settings)


_UNNAMED = "unnamed"


def read(source: str | None, dialect: Dialect | None) -> Question:
    """Read a file (``-`` or None: standard input) and return the question in it."""
    name = "standard input" if source in {None, "-"} else str(source)
    try:
        data = sys.stdin.buffer.read() if source in {None, "-"} else Path(name).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot open {name}: {error.strerror}") from error
    if not data.strip():
        raise Unreadable(f"{name} is empty; give a request body as JSON, or plain text")
    data = data.removeprefix(codecs.BOM_UTF8)  # editors on Windows write one
    try:
        return _question(data, dialect or _detected(data))
    except RequestInvalid as error:
        where = f" at {error.path}" if error.path and error.path not in str(error) else ""
        raise Unreadable(f"{name}: {error}{where}") from error


def _question(data: bytes, dialect: Dialect) -> Question:
    if dialect is Dialect.TEXT:
        message = {"role": "user", "content": _text(data)}
        body = msgspec.json.encode({"model": _UNNAMED, "messages": [message]})
        protocol = WireProtocol.CHAT_COMPLETIONS
        model = None
    else:
        protocol = WireProtocol(dialect.value)
        body, model = _named(data)
    codec = CODECS[protocol]
    return Question(
        dialect=dialect,
        model=model,
        shape=codec.shape(body, counting=True),
        measured=codec.measure(body),
    )


def _named(data: bytes) -> tuple[bytes, str | None]:
    """Return a body that names a model, whatever it is, and the name it came with."""
    fields = _fields(data)
    if fields is None or "model" in fields:
        model = None if fields is None else fields["model"]
        return data, model if isinstance(model, str) else None
    return splice(data, {"model": msgspec.json.encode(_UNNAMED)}), None


def _detected(data: bytes) -> Dialect:
    """Tell a body's protocol from its keys; what is no JSON object is text."""
    if not data.lstrip().startswith(b"{"):
        return Dialect.TEXT
    fields = _fields(data)
    if fields is None:
        return Dialect.CHAT_COMPLETIONS  # its codec says what is wrong with it
    if "contents" in fields:
        raise RequestInvalid("a body of the gemini protocol is not yet supported", "$.contents")
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
