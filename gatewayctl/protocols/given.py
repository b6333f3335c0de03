"""A request that is handed over to be judged, not answered: a body of any protocol, or plain text.

The command line and the daemon's API read what they are given by the same steps. What a body means
is its protocol's business, which protocol it is in ``detect``'s.
"""

import codecs

import msgspec

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.detect import detected
from gatewayctl.protocols.dialect import Dialect
from gatewayctl.protocols.patch import splice
from gatewayctl.protocols.readers import READERS

UNNAMED = "unnamed"
"""The model of a body that names none: one is asked for besides, and every protocol wants one."""

_RESOURCE = "models/"
"""What stands before the names of models in Gemini's bodies and belongs to none of them."""


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
        protocol = detected(data)
        dialect = Dialect.TEXT if protocol is None else Dialect(protocol.value)
    if dialect is Dialect.TEXT:
        message = {"role": "user", "content": _text(data)}
        body = msgspec.json.encode({"model": UNNAMED, "messages": [message]})
        reader = READERS[WireProtocol.CHAT_COMPLETIONS]
        return Given(dialect=dialect, model=None, reader=reader, body=body)
    reader = READERS[WireProtocol(dialect.value)]
    body, model = _named(data)
    if model is not None and dialect is Dialect.GEMINI:
        model = model.removeprefix(_RESOURCE)
    return Given(dialect=dialect, model=model, reader=reader, body=body)


def _named(data: bytes) -> tuple[bytes, str | None]:
    """Return a body that names a model, whatever it is, and the name it came with."""
    try:
        raw = bytes(_NAMED.decode(data).model)
        model = msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, RecursionError):
        return data, None  # its reader says what is wrong with it
    if not raw:
        return splice(data, {"model": msgspec.json.encode(UNNAMED)}), None
    return data, model if isinstance(model, str) else None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"not UTF-8 at byte {error.start}") from error
