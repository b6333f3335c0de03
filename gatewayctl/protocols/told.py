"""Reading an upstream's error object, whatever its dialect: its words, its codes, its wait.

What they mean for an attempt is ``upstream.failures``' business.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_LONGEST = 2000  # characters that are read of an error's words
_LONGEST_CODE = 200
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")
_STATUS = re.compile("[45][0-9][0-9]")
_MOST_SECONDS = 10**9
_MOST_TOKENS = 10**9


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An error object.

    ``codes`` are its code, type and status, in that order; ``reasons`` what its details name, which
    is more particular: Google's reasons, Anthropic's ``error_code``, OpenRouter's ``error_type``;
    ``quotas`` the limits that Google says were used up. ``beneath`` is the error of the provider
    behind a router, as text. ``wait`` is in seconds; ``headers`` are those that stand in the body.
    ``size`` and ``limit`` are tokens, where llama.cpp's fields say how many there are and may be.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    quotas: tuple[str, ...] = ()
    beneath: str = ""
    wait: float | None = None
    headers: Mapping[str, str] = {}
    size: int | None = None
    limit: int | None = None

    @property
    def code(self) -> str | None:
        """The first of its codes."""
        return self.codes[0] if self.codes else None

    @property
    def words(self) -> str:
        """Its message, or what stands for one."""
        return self.message or self.code or "unknown error"

    @property
    def status(self) -> int | None:
        """The HTTP status that stands in the object as its code."""
        return next((int(code) for code in self.codes if _STATUS.fullmatch(code)), None)


def told(value: Any) -> Told:
    """Read an error object, or its words where it is no object."""
    if not isinstance(value, dict):
        return Told(message=value[:_LONGEST] if isinstance(value, str) else "")
    details = [it for it in _listed(value.get("details")) if isinstance(it, dict)]
    metadata = _object(value.get("metadata"))
    return Told(
        message=next(_words(value), "")[:_LONGEST],
        codes=_names(value.get("code"), value.get("type"), value.get("status")),
        reasons=_names(*_reasons(value, details, metadata)),
        quotas=_names(*_quotas(details)),
        beneath=_text(metadata.get("raw"))[:_LONGEST],
        wait=next(_waits(details, metadata), None),
        headers={
            name: it for name, it in _object(metadata.get("headers")).items() if isinstance(it, str)
        },
        size=_count(value.get("n_prompt_tokens")),
        limit=_count(value.get("n_ctx")),
    )


def in_body(value: Any) -> Told:
    """Read the error that a whole body is: ``{"error": {…}}``, a list of it, or a bare object."""
    if isinstance(value, list) and value:
        value = value[0]
    inner = value.get("error") if isinstance(value, dict) else None
    return told(inner if isinstance(inner, dict) else value)


def error_in(body: bytes) -> Told:
    """Read the error that a body's bytes are; one that is no JSON says nothing."""
    try:
        return in_body(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Told()


def _names(*values: Any) -> tuple[str, ...]:
    """Return what can be a code: short text and whole numbers, each once."""
    found = (
        str(it) for it in values if isinstance(it, str | int) and not isinstance(it, bool) and it
    )
    return tuple(dict.fromkeys(it for it in found if it != "error" and len(it) <= _LONGEST_CODE))


def _words(value: dict[str, Any]) -> Iterator[str]:
    for member in ("message", "error", "detail"):
        found = value.get(member)
        if isinstance(found, list) and found:  # what FastAPI says of a malformed request
            found = _object(found[0]).get("msg")
        if isinstance(found, str) and found:
            yield found


def _reasons(
    value: dict[str, Any], details: list[dict[str, Any]], metadata: dict[str, Any]
) -> Iterator[Any]:
    yield _object(value.get("details")).get("error_code")
    for detail in details:
        yield detail.get("reason")
    yield metadata.get("error_type")
    yield value.get("error_type")
    if "flagged_input" in metadata:
        yield "flagged_input"


def _quotas(details: list[dict[str, Any]]) -> Iterator[Any]:
    for detail in details:
        for violation in _listed(detail.get("violations")):
            yield _object(violation).get("quotaId")


def _waits(details: list[dict[str, Any]], metadata: dict[str, Any]) -> Iterator[float]:
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and _SECONDS.fullmatch(delay):
            yield float(delay.removesuffix("s"))
    seconds = metadata.get("retry_after_seconds")
    if isinstance(seconds, int | float) and 0 <= seconds < _MOST_SECONDS:
        yield float(seconds)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < _MOST_TOKENS else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
