"""Reading a request body: bytes to a wire struct, or a refusal that says where it is wrong.

What the fields mean belongs to each protocol's ``request`` module; changing a body belongs to
``patch``. Nothing but ``RequestInvalid`` leaves here, whatever the bytes are.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec

from gatewayctl.core.errors import RequestInvalid

T = TypeVar("T")

_ANY = msgspec.json.Decoder(Any)

Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A token budget: a whole number that fits 32 bits. Floats, booleans and negatives are refused."""

Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""How many of something: at least one."""

Name = Annotated[str, msgspec.Meta(max_length=1024)]
"""A model's name. Longer ones are none, and would stand in headers, in logs and in errors."""

_AT = re.compile(r" - at `(\$.*)`$", re.DOTALL)
_BYTE = re.compile(r" ?\(byte (\d+)\)$")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]')
_WINDOW = 256 * 1024  # bytes that are looked at in one step
_LONGEST = 4  # bytes of a code point
_DEEP = 500
_DEEP_SEARCHED = 1024 * 1024  # bytes that are searched for the place, so that it takes no time
_MISSING = re.compile(r"^Object missing required field `(.+)`$")


def read(decoder: msgspec.json.Decoder[T], body: bytes, *, checked: bool = False) -> T:
    """Decode a body that is a JSON object in UTF-8; raise ``RequestInvalid`` where it is not.

    ``checked`` says that it is known to be UTF-8, as a part of a body that was read is.
    """
    if not checked:
        check_utf8(body)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error)) from error
    except msgspec.DecodeError as error:
        raise _malformed(str(error), body) from error
    except RecursionError as error:
        raise RequestInvalid(f"The body is nested too deeply{_deep(body)}.", "$") from error


def value(raw: msgspec.Raw) -> Any:
    """Decode a JSON value of any form that was kept as bytes."""
    return read(_ANY, bytes(raw), checked=True)


def convert(given: Any, form: type[T], path: str) -> T:
    """Check decoded JSON that stands at ``path``; numbers may be written as text."""
    try:
        return msgspec.convert(given, form, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error), path) from error


def optional(given: Any, form: type[T], path: str) -> T | None:
    """Do what ``convert`` does, where null stands for nothing."""
    return None if given is None else convert(given, form, path)


def check_utf8(body: bytes) -> None:
    """Raise ``RequestInvalid`` with the offset of the first byte that is not UTF-8.

    Looks at a window at a time, so that no single step holds up other threads.
    """
    if body.isascii():
        return
    view = memoryview(body)
    start = 0
    while start < len(body):
        end = _end_of_window(body, start + _WINDOW)
        try:
            str(view[start:end], "utf-8")
        except UnicodeDecodeError as error:
            at = start + error.start
            raise RequestInvalid(f"The body is not valid UTF-8 at byte {at}.", "$") from error
        start = end


def _end_of_window(body: bytes, end: int) -> int:
    """Return the offset of the code point that ``end`` stands in, if it stands inside one."""
    if end >= len(body):
        return len(body)
    for back in range(_LONGEST):
        if body[end - back] & 0xC0 != 0x80:  # noqa: PLR2004 - the mark of a continuation byte
            return end - back
    return end  # more of them in a row than any code point has: what is wrong is found here


def invalid(path: str, message: str) -> RequestInvalid:
    """Return the refusal of one field: ``path`` is its JSON path, ``message`` what is wrong."""
    return RequestInvalid(f"{path}: {message}", path)


def _wrong_type(text: str, root: str = "$") -> RequestInvalid:
    at = _AT.search(text)
    path = f"{root}{at.group(1)[1:]}" if at else root
    reason = text[: at.start()] if at else text
    if missing := _MISSING.match(reason):
        return invalid(f"{path}.{missing.group(1)}", "this field is required.")
    return invalid(path, f"{reason[:1].lower()}{reason[1:]}.")


def _deep(body: bytes) -> str:
    """Say at which byte brackets nest more than ``_DEEP`` deep, if that is near the start."""
    depth = 0
    for token in _TOKEN.finditer(body, 0, _DEEP_SEARCHED):
        first = body[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > _DEEP:
            return f": more than {_DEEP} levels at byte {token.start()}"
    return ""


def _malformed(text: str, body: bytes) -> RequestInvalid:
    if not body.strip():
        return RequestInvalid("The body is empty; a JSON object is expected.", "$")
    at = _BYTE.search(text)
    if at is None:  # the decoder gives no position when the text ends too early
        reason, offset = "it ends too early, or holds half of a surrogate pair", len(body)
    else:
        reason = text[: at.start()].removeprefix("JSON is malformed: ")
        offset = int(at.group(1))
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + 1
    return RequestInvalid(
        f"The body is not valid JSON: {reason} (byte {offset}, line {line}, column {column}).", "$"
    )
