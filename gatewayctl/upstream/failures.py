"""What a failed reply means: from its status, its headers and the error object in its body.

Pure. A structured code or type says more than a status, a status more than words; words are looked
at in one place only (``_WORDS``), where a provider gives nothing better, and never without the
status and the error type that go with them. What no reply at all means is in ``translation``.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from multidict import MultiMapping

from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.upstream.headers import reply_headers

LONGEST_MESSAGE = 500
"""Characters of an upstream's words that are kept."""

LONGEST_WAIT = 86_400.0
"""Seconds; a longer ``retry-after`` is taken for a day."""

_K = FailureKind

_BY_CODE: Mapping[str, FailureKind] = {
    # OpenAI, and whoever copies its codes
    "billing_hard_limit_reached": _K.QUOTA_EXHAUSTED,
    "billing_not_active": _K.QUOTA_EXHAUSTED,
    "content_filter": _K.CONTENT_FILTER,
    "content_policy_violation": _K.CONTENT_FILTER,
    "context_length_exceeded": _K.CONTEXT_OVERFLOW,
    "insufficient_quota": _K.QUOTA_EXHAUSTED,
    "invalid_api_key": _K.AUTH,
    "model_not_found": _K.MODEL_NOT_FOUND,
    "rate_limit_exceeded": _K.RATE_LIMITED,
    "server_is_overloaded": _K.OVERLOADED,
    "slow_down": _K.OVERLOADED,
    # Anthropic's error types
    "authentication_error": _K.AUTH,
    "billing_error": _K.QUOTA_EXHAUSTED,
    "overloaded_error": _K.OVERLOADED,
    "permission_error": _K.FORBIDDEN,
    "rate_limit_error": _K.RATE_LIMITED,
    "request_too_large": _K.CONTEXT_OVERFLOW,
    "timeout_error": _K.TIMEOUT,
    # Google's, through its compatible address; the first is a reason, the others a status
    "API_KEY_INVALID": _K.AUTH,
    "DEADLINE_EXCEEDED": _K.TIMEOUT,
    "PERMISSION_DENIED": _K.FORBIDDEN,
    "RESOURCE_EXHAUSTED": _K.RATE_LIMITED,
    "UNAUTHENTICATED": _K.AUTH,
    "UNAVAILABLE": _K.OVERLOADED,
    # llama.cpp · Moonshot
    "exceed_context_size_error": _K.CONTEXT_OVERFLOW,
    "engine_overloaded_error": _K.OVERLOADED,
    "exceeded_current_quota_error": _K.QUOTA_EXHAUSTED,
    "rate_limit_reached_error": _K.RATE_LIMITED,
}
"""Codes and types that mean one thing whatever the status is."""

_GENERAL: Mapping[str, FailureKind] = {
    "INTERNAL": _K.SERVER_ERROR,
    "INVALID_ARGUMENT": _K.BAD_REQUEST,
    "NOT_FOUND": _K.MODEL_NOT_FOUND,
    "api_error": _K.SERVER_ERROR,
    "invalid_prompt": _K.BAD_REQUEST,
    "invalid_request_error": _K.BAD_REQUEST,
    "not_found_error": _K.MODEL_NOT_FOUND,
    "server_error": _K.SERVER_ERROR,
}
"""Types too general to overrule a status: they count where there is none, inside a 200."""

_MISSING = frozenset({"NOT_FOUND", "NotFoundError", "not_found_error"})
"""Types that make a 404 a statement about the model rather than about the address."""

_REQUEST_TYPES = frozenset({"BadRequestError", "INVALID_ARGUMENT", "invalid_request_error", "400"})

_WORDS: Mapping[WireProtocol, tuple[tuple[str, FailureKind], ...]] = {
    WireProtocol.MESSAGES: (
        ("prompt is too long", _K.CONTEXT_OVERFLOW),
        ("exceed context limit", _K.CONTEXT_OVERFLOW),
        ("credit balance is too low", _K.QUOTA_EXHAUSTED),
    ),
    WireProtocol.CHAT_COMPLETIONS: (
        ("maximum context length", _K.CONTEXT_OVERFLOW),
        ("maximum prompt length", _K.CONTEXT_OVERFLOW),
        ("exceeded model token limit", _K.CONTEXT_OVERFLOW),
        ("exceeds the maximum number of tokens", _K.CONTEXT_OVERFLOW),
    ),
    WireProtocol.RESPONSES: (("maximum context length", _K.CONTEXT_OVERFLOW),),
    WireProtocol.GEMINI: (("exceeds the maximum number of tokens", _K.CONTEXT_OVERFLOW),),
}
"""The fall-back: what a 400 of a general type says in words, for providers without a code.

Anthropic, vLLM, xAI, Moonshot and Google report an overflow so. A phrase missing here makes a
failure a ``bad_request``, so nothing may depend on it: overflow is prevented by counting.
"""

_SECRETS = re.compile(
    r"(?i)\bbearer\s+\S+"
    r"|\b(?:(?:sk|pk|rk|gsk|xai|csk|fw|tgp|hf)[-_]|AIza)[\w*.-]{12,}"
)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_OPAQUE = re.compile(r"(?=[\w-]*\d)[\w-]{20,}")


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """An error object, whatever its dialect. ``codes`` are its code, type, status and reasons."""

    message: str = ""
    codes: tuple[str, ...] = ()
    wait: float | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status that stands in the object as its code."""
        found = (int(code) for code in self.codes if re.fullmatch("[45][0-9][0-9]", code))
        return next(found, None)


class _Reply(msgspec.Struct, frozen=True):
    """The two fields that make a 200 an error, and everything else skipped unread."""

    type: Any = None
    error: Any = None


def classify(
    protocol: WireProtocol, status: int, headers: MultiMapping[str], body: bytes
) -> Failure:
    """Return what a reply whose status is not a success means.

    ``body`` may be cut off. It is kept in the failure only if it is an error object.
    """
    decoded = _decoded(body)
    told = _told(decoded)
    kind = _kind(protocol, status, told)
    silent = "a redirect, which is not followed" if status // 100 == 3 else "no error message"  # noqa: PLR2004 - the class of redirects
    words = _words(told.message, kind) or silent
    return Failure(
        kind=kind,
        message=f"HTTP {status}: {words}",
        status=status,
        retry_after=_retry_after(headers, told),
        connecting=status == _PROXY,
        should_retry=_SHOULD_RETRY.get(headers.get("x-should-retry", "").strip().lower()),
        body=body if _says_error(decoded) else b"",
        content_type=headers.get("Content-Type", ""),
        headers=reply_headers(headers),
    )


def in_reply(protocol: WireProtocol, headers: MultiMapping[str], body: bytes) -> Failure | None:
    """Return why a whole reply with a status of success is none: not JSON, or an error inside."""
    if (failure := of_type(headers)) is not None:
        return failure
    reply = _reply(body)
    return (
        _bad("the reply is not a JSON object") if reply is None else _in(protocol, headers, reply)
    )


def of_type(headers: MultiMapping[str]) -> Failure | None:
    """Return why a whole reply is none by its content type alone, which may be left out."""
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not media or media == "application/json" or media.endswith("+json"):
        return None
    return _bad(f"JSON was expected, {_words(media, _K.BAD_RESPONSE)} came")


def in_json(protocol: WireProtocol, headers: MultiMapping[str], body: bytes) -> Failure | None:
    """Return the error that a JSON object says, whatever its content type; None if it says none."""
    reply = _reply(body)
    return None if reply is None else _in(protocol, headers, reply)


def _reply(body: bytes) -> _Reply | None:
    try:
        return msgspec.json.decode(body, type=_Reply)
    except _UNREADABLE:
        return None


def _in(protocol: WireProtocol, headers: MultiMapping[str], reply: _Reply) -> Failure | None:
    if not reply.error and reply.type != "error":
        return None
    told = _told({"error": reply.error or {}})
    kind = _kind_without_status(protocol, told)
    words = _words(told.message, kind) or "no error message"
    return Failure(
        kind=kind,
        message=f"an error inside a success: {words}",
        retry_after=_retry_after(headers, told),
    )


def in_stream(code: str | None, message: str) -> Failure:
    """Return what an error event of a stream means, by its machine-readable code or type."""
    told = _Told(message=message, codes=() if code is None else (code,))
    kind = _by_codes(told) or _K.SERVER_ERROR
    return Failure(kind=kind, message=f"an error in the stream: {_words(message, kind)}")


def _bad(message: str) -> Failure:
    return Failure(kind=_K.BAD_RESPONSE, message=message)


def _kind(protocol: WireProtocol, status: int, told: _Told) -> FailureKind:
    coded = next((_BY_CODE[code] for code in told.codes if code in _BY_CODE), None)
    if coded is not None:
        return coded
    if status in _UNSPECIFIC:
        return _by_words(protocol, told) or _K.BAD_REQUEST
    if status == _NOT_FOUND:
        about_model = _MISSING.intersection(told.codes)
        return _K.MODEL_NOT_FOUND if about_model else _unknown_address(told)
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, _K.BAD_RESPONSE)


def _unknown_address(told: _Told) -> FailureKind:
    """Tell a 404 in the provider's error format from that of a server which is no such provider."""
    return _K.BAD_REQUEST if told.codes else _K.BAD_RESPONSE


_NOT_FOUND = 404
_PROXY = 407
_SHOULD_RETRY = {"true": True, "false": False}
_UNSPECIFIC = frozenset({400, 422})
_BY_CLASS: Mapping[int, FailureKind] = {4: _K.BAD_REQUEST, 5: _K.SERVER_ERROR}
_BY_STATUS: Mapping[int, FailureKind] = {
    401: _K.AUTH,
    402: _K.QUOTA_EXHAUSTED,
    403: _K.FORBIDDEN,
    407: _K.NETWORK,  # the egress proxy's word, not the provider's
    408: _K.TIMEOUT,
    413: _K.CONTEXT_OVERFLOW,
    429: _K.RATE_LIMITED,
    503: _K.OVERLOADED,
    504: _K.TIMEOUT,
    529: _K.OVERLOADED,
}


def _kind_without_status(protocol: WireProtocol, told: _Told) -> FailureKind:
    if told.status is not None:
        return _kind(protocol, told.status, told)
    return _by_words(protocol, told) or _by_codes(told) or _K.BAD_RESPONSE


def _by_codes(told: _Told) -> FailureKind | None:
    found = [_BY_CODE.get(code) for code in told.codes]
    found += [_GENERAL.get(code) for code in told.codes]
    return next((kind for kind in found if kind is not None), None)


def _by_words(protocol: WireProtocol, told: _Told) -> FailureKind | None:
    if not _REQUEST_TYPES.intersection(told.codes):
        return None
    words = told.message.lower()
    return next((kind for phrase, kind in _WORDS[protocol] if phrase in words), None)


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except _UNREADABLE:
        return None


def _told(value: object) -> _Told:
    """Read an error object: ``{"error": {…}}``, a list of it, ``{"error": "…"}`` or a bare one."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return _Told()
    inner = value.get("error")
    error: dict[str, object] = inner if isinstance(inner, dict) else value
    words = (error.get("message"), inner, error.get("detail"))
    details = [it for it in _list(error.get("details")) if isinstance(it, dict)]
    named = [error.get("code"), error.get("type"), error.get("status")]
    named += [detail.get("reason") for detail in details]
    return _Told(
        message=next((it for it in words if isinstance(it, str)), ""),
        codes=tuple(str(it) for it in named if isinstance(it, str | int) and it != "error"),
        wait=next(filter(None, (_number(it.get("retryDelay")) for it in details)), None),
    )


def _says_error(value: object) -> bool:
    """Tell whether a body is an error that a client of the protocol can read: no page, no scrap."""
    inner = value[0] if isinstance(value, list) and value else value
    return isinstance(inner, dict) and bool(inner.get("error") or inner.get("detail"))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _retry_after(headers: MultiMapping[str], told: _Told) -> float | None:
    """Return the seconds to wait, from the headers, else from the body (Google's RetryInfo).

    A date is taken relative to the reply's own ``Date``, so no clock has to agree with it.
    """
    value = headers.get("retry-after")
    milliseconds = _number(headers.get("retry-after-ms"))
    wait = _number(value) if milliseconds is None else milliseconds / 1000
    if wait is None and value is not None:
        wait = _between(headers.get("date"), value)
    if wait is None:
        wait = told.wait
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT)


def _number(value: object) -> float | None:
    """Return a count such as ``"3"`` or, of seconds, ``"3.5s"``; None if it is none."""
    if not isinstance(value, str) or not re.fullmatch(r"\s*[0-9]{1,12}(\.[0-9]{1,9})?s?\s*", value):
        return None
    return float(value.strip().removesuffix("s"))


def _between(start: str | None, end: str) -> float | None:
    try:
        return (parsedate_to_datetime(end) - parsedate_to_datetime(start or "")).total_seconds()
    except (TypeError, ValueError):
        return None


def _words(message: str, kind: FailureKind) -> str:
    """Return an upstream's words in one line, bounded, without anything like a credential."""
    line = " ".join(message[: 4 * LONGEST_MESSAGE].split())
    line = _SECRETS.sub("…", "".join(char if char.isprintable() else "?" for char in line))
    if kind in {_K.AUTH, _K.FORBIDDEN}:
        line = _OPAQUE.sub("…", line)
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"
