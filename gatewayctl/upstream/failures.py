"""What a failed reply means: from its status, its headers and the error object in its body.

Pure. A structured code or type says more than a status, a status more than words; words are looked
at only where a provider gives nothing better, and never without the status and the type that go
with them. What each of them means stands in ``meanings``; how long to wait, ``waits`` reads. What
no reply at all means is in ``translation``.
"""

import re
from typing import Any

import msgspec
from multidict import CIMultiDict, MultiMapping

from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.told import Told, in_body
from gatewayctl.upstream.headers import reply_headers
from gatewayctl.upstream.limits import Limit, limit_of
from gatewayctl.upstream.meanings import (
    CLASSES,
    CODES,
    GENERAL,
    IMAGES,
    MISSING,
    STATUSES,
    VAGUE,
    WORDS,
)
from gatewayctl.upstream.waits import wait_of

LONGEST_MESSAGE = 500
"""Characters of an upstream's words that are kept."""

_K = FailureKind
_NO_SUCH_PLACE = frozenset({404, 405})
_PROXY = 407
_TOO_LARGE = 413
_WITHOUT_HEADERS: MultiMapping[str] = CIMultiDict()
_SHOULD_RETRY = {"true": True, "false": False}
_UNSPECIFIC = frozenset({400, 403, 404, 412, 413, 422, 429, 500})
"""Statuses that words can make more particular."""

_PLAIN = r"(?:auth\w*|credentials?|format|headers?|is|in|key|missing|or|scheme|tokens?|was)"
"""What follows the word "bearer" where no token does: "Invalid bearer token"."""

_SECRETS = re.compile(
    rf"(?i)\bbearer\s+(?!{_PLAIN}\b(?![\w.~+/=-]))\S+"
    rf"|(?<=\bbearer)\s+{_PLAIN}\W+(?=[^\s\d]*\d)\S{{8,}}"
    r"|\b(?:(?:sk|pk|rk|gsk|xai|csk|fw|tgp|hf)[-_]|AIza)[\w*.-]{12,}"
)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_OPAQUE = re.compile(r"[\w-]{20,}")
_DIGIT = re.compile(r"\d")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class _Reply(msgspec.Struct, frozen=True):
    """The fields that make a 200 an error, and everything else skipped unread."""

    type: Any = None
    error: Any = None


def classify(
    protocol: WireProtocol, status: int, headers: MultiMapping[str], body: bytes
) -> Failure:
    """Return what a reply whose status is not a success means.

    ``body`` may be cut off. It is kept in the failure only if it is an error of ``protocol``.
    """
    decoded = _decoded(body)
    told = in_body(decoded)
    kind = _kind(status, told)
    words = one_line(told.message, kind) or _silent(status)
    limit = _limit(kind, told)
    return Failure(
        kind=kind,
        message=f"HTTP {status}: {words}",
        status=status,
        retry_after=wait_of(kind, headers, told),
        connecting=status == _PROXY,
        should_retry=_should_retry(status, kind, headers),
        quotes=bool(told.message),
        code=_code(told),
        window=limit.window,
        counted=limit.counted,
        by_tokens=limit.by_tokens,
        body=body if _says_error(protocol, decoded) else b"",
        content_type=headers.get("Content-Type", ""),
        headers=reply_headers(headers),
    )


def in_reply(protocol: WireProtocol, headers: MultiMapping[str], body: bytes) -> Failure | None:
    """Return why a whole reply with a status of success is none: not JSON, or an error inside."""
    if (failure := of_type(headers)) is not None:
        return failure
    if not body.strip():
        return _bad("the reply is empty")
    if _reply(body) is None:
        return _bad("the reply is not a JSON object")
    return in_json(protocol, headers, body)


def of_type(headers: MultiMapping[str]) -> Failure | None:
    """Return why a whole reply is none by its content type alone, which may be left out."""
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not media or media == "application/json" or media.endswith("+json"):
        return None
    return _bad(f"JSON was expected, {one_line(media, _K.BAD_RESPONSE)} came")


def in_json(protocol: WireProtocol, headers: MultiMapping[str], body: bytes) -> Failure | None:
    """Return the error that a JSON object says, whatever its content type; None if it says none."""
    told = _in_dialect(protocol, body)
    if told is None:
        reply = _reply(body)
        if reply is None or (not reply.error and reply.type != "error"):
            return None
        told = in_body({"error": reply.error or {}})
    return _of_told(told, headers, "an error inside a success")


def in_stream(told: Told | None, headers: MultiMapping[str] = _WITHOUT_HEADERS) -> Failure:
    """Return what an error event of a stream means; ``headers`` are those of its reply."""
    return _of_told(told or Told(), headers, "an error in the stream", otherwise=_K.SERVER_ERROR)


def _of_told(
    told: Told,
    headers: MultiMapping[str],
    where: str,
    otherwise: FailureKind = FailureKind.BAD_RESPONSE,
) -> Failure:
    """Return what an error object means that has no status but perhaps one inside."""
    kind = _kind_without_status(told) or otherwise
    words = one_line(told.message or told.code or "", kind) or "no error message"
    limit = _limit(kind, told)
    return Failure(
        kind=kind,
        message=f"{where}: {words}",
        retry_after=wait_of(kind, headers, told),
        quotes=True,
        code=_code(told),
        window=limit.window,
        counted=limit.counted,
        by_tokens=limit.by_tokens,
    )


def _limit(kind: FailureKind, told: Told) -> Limit:
    """Return what a refusal by size says of its limit; nothing where it is none."""
    return limit_of(told) if kind is _K.CONTEXT_OVERFLOW else Limit()


def _code(told: Told) -> str | None:
    """Return the first code that is one: an identifier, and no sentence."""
    return next((code for code in told.codes if _IDENTIFIER.fullmatch(code)), None)


def _in_dialect(protocol: WireProtocol, body: bytes) -> Told | None:
    codec = CODECS.get(protocol)
    try:
        return None if codec is None else codec.read_reply(body).told
    except BadFrame:
        return None


def _reply(body: bytes) -> _Reply | None:
    try:
        return msgspec.json.decode(body, type=_Reply)
    except _UNREADABLE:
        return None


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except _UNREADABLE:
        return None


def _bad(message: str) -> Failure:
    return Failure(kind=_K.BAD_RESPONSE, message=message)


def _silent(status: int) -> str:
    match status // 100:
        case 1:
            return "an interim status in place of a reply"
        case 3:
            return "a redirect, which is not followed"
        case _:
            return "no error message"


def _should_retry(status: int, kind: FailureKind, headers: MultiMapping[str]) -> bool | None:
    told = _SHOULD_RETRY.get(headers.get("x-should-retry", "").strip().lower())
    if told is None and status == _TOO_LARGE and kind is _K.RATE_LIMITED:
        return False  # the request alone is more than the limit lets through in a minute
    return told


def _kind(status: int, told: Told) -> FailureKind:
    if any("PerDay" in quota for quota in told.quotas):
        return _K.QUOTA_EXHAUSTED
    if (coded := _by_codes(told)) is not None:
        return coded
    if (said := _by_words(status, told)) is not None:
        return said
    if status in _NO_SUCH_PLACE:
        return _missing(told)
    return STATUSES.get(status) or CLASSES.get(status // 100, _K.BAD_RESPONSE)


def _missing(told: Told) -> FailureKind:
    """Tell a model that is missing from an address, and both from a server of another kind."""
    if MISSING.intersection(_named(told)):
        return _K.MODEL_NOT_FOUND
    return _K.BAD_REQUEST if told.codes else _K.BAD_RESPONSE


def _kind_without_status(told: Told) -> FailureKind | None:
    if told.status is not None:
        return _kind(told.status, told)
    return _by_codes(told) or _by_words(400, told) or _by_general(told)


def _by_codes(told: Told) -> FailureKind | None:
    return next((CODES[name] for name in _named(told) if name in CODES), None)


def _by_general(told: Told) -> FailureKind | None:
    for name in _named(told):
        if name in GENERAL:
            return GENERAL[name]
        if IMAGES.fullmatch(name):
            return _K.BAD_REQUEST
    return None


def _named(told: Told) -> tuple[str, ...]:
    """Return all names of an error, the most particular first."""
    return (*told.reasons, *told.codes)


def _by_words(status: int, told: Told) -> FailureKind | None:
    if status not in _UNSPECIFIC or not all(_is_vague(name) for name in _named(told)):
        return None
    said = f"{told.message}\n{told.beneath}"
    for words in WORDS:
        if status in words.statuses and words.pattern.search(said):
            return words.kind
    return None


def _is_vague(name: str) -> bool:
    return name in GENERAL or name in VAGUE or name.isdecimal()


def _says_error(protocol: WireProtocol, value: object) -> bool:
    """Tell whether a body is an error that a client of the protocol can read: no page, no scrap."""
    inner = value.get("error") if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
        return False
    return protocol is not WireProtocol.MESSAGES or isinstance(inner.get("type"), str)


def one_line(message: str, kind: FailureKind) -> str:
    """Return an upstream's words in one line, bounded, without anything like a credential."""
    line = " ".join(message[: 4 * LONGEST_MESSAGE].split())
    line = _SECRETS.sub("…", "".join(char if char.isprintable() else "?" for char in line))
    if kind in {_K.AUTH, _K.FORBIDDEN}:
        line = _OPAQUE.sub(lambda found: "…" if _DIGIT.search(found[0]) else found[0], line)
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"
