"""The whole error tree, and the kinds that retry, fallback and status codes are decided by.

::

    GatewayctlError                 everything that is raised on purpose
    ├── ConfigUnreadable            a config file cannot be opened
    ├── ConfigInvalid               it was opened; ``problems`` says what is wrong with it
    ├── RequestInvalid              the caller's own mistake; ``path`` says where in the body
    ├── UpstreamFailed              one attempt at one candidate failed; ``failure`` says how
    ├── SourceFailed                a registry source could not be fetched or was not believed
    ├── StorageFailed               a file of ours cannot be read or written
    └── CountUnavailable            no exact count can be had now; estimates go on by ratio

An exception class exists only where somebody catches it. Everything else is a member of
``FailureKind`` (what an upstream did) or ``ErrorKind`` (what the client is told), and every
decision reads the kind, never the text.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class FailureKind(StrEnum):
    """Why one attempt failed: from status, headers, structured body and exception type."""

    TIMEOUT = "timeout"
    NETWORK = "network"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    CONTEXT_OVERFLOW = "context_overflow"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    MODEL_NOT_FOUND = "model_not_found"
    BAD_REQUEST = "bad_request"
    CONTENT_FILTER = "content_filter"
    BAD_RESPONSE = "bad_response"


class ErrorKind(StrEnum):
    """What a client is told; each protocol's ``errors.py`` maps it to a status and a body."""

    TOO_LARGE = "too_large"
    UNKNOWN_MODEL = "unknown_model"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    BODY_TOO_LARGE = "body_too_large"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    INTERNAL = "internal"


class ApiError(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it is told to a client, before it is put in a dialect.

    ``param`` is the JSON path at fault; ``tokens`` and ``limit`` are N and M of a refusal by size;
    ``retry_after`` is in seconds; ``details`` becomes the ``gatewayctl`` object of the body.
    ``exhausted``: it is money that ran out, where the kind alone would say that it was the pace.
    """

    kind: ErrorKind
    message: str
    param: str | None = None
    tokens: int | None = None
    limit: int | None = None
    retry_after: float | None = None
    should_retry: bool = True
    exhausted: bool = False
    details: Mapping[str, object] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failed attempt. ``message`` is ours or the upstream's own words, bounded, no secrets.

    ``status`` is the upstream's HTTP status where there was one; ``body`` its error body as it
    came (bounded), which a client of the same protocol may be shown. ``connecting``: no connection
    came about, so that whatever else is at that origin fails as well. ``stale``: a pooled
    connection was dead before a byte of the reply, which says nothing of the upstream.
    ``should_retry`` is what the upstream's own ``x-should-retry`` says, None where it says nothing.
    ``quotes``: the message holds the upstream's words, of which ``code`` is the machine-readable
    part. ``window`` is the limit in tokens that a refusal by size names, ``counted`` what it
    counted; ``by_tokens`` is False where such a refusal is about bytes, images or the reply's
    length alone. ``cut_short``: the time that ran out was what the deadline left, not what the
    upstream may take. ``path`` is the JSON path at fault in a body that was not sent for it.
    ``elsewhere``: it lies with the credential, and another one of the provider's may do; whoever
    says so sees to it that this comes to an end. ``remedy`` is what a person does about this very
    credential, empty where nothing is better than the provider's own hint.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    connecting: bool = False
    stale: bool = False
    should_retry: bool | None = None
    quotes: bool = False
    code: str | None = None
    window: int | None = None
    counted: int | None = None
    by_tokens: bool = True
    cut_short: bool = False
    path: str | None = None
    elsewhere: bool = False
    remedy: str = ""
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def said(self) -> str:
        """What happened, in words that can be kept: our own, since others' may repeat a prompt."""
        if not self.quotes:
            return self.message
        told = str(self.kind) if self.status is None else f"HTTP {self.status}: {self.kind}"
        return told if self.code in {None, self.kind} else f"{told} ({self.code})"


class GatewayctlError(Exception):
    """The root: whatever is raised on purpose, with a message a person can act on."""


class ConfigUnreadable(GatewayctlError):
    """A config file cannot be opened: the message names it and says why."""


class ConfigInvalid(GatewayctlError):
    """A config file was read and is wrong; ``problems`` holds every one of them, rendered."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class RequestInvalid(GatewayctlError):
    """The request cannot be understood; ``path`` is a JSON path such as ``$.messages[0].role``."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class UpstreamFailed(GatewayctlError):
    """One attempt failed before its commit, or a stream broke after it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class SourceFailed(GatewayctlError):
    """A registry source could not be fetched, parsed or believed; the old table stays."""


class StorageFailed(GatewayctlError):
    """One of our own files cannot be read or written; the message says which and why."""


class CountUnavailable(GatewayctlError):
    """Tokens cannot be counted exactly, or not now; the message says why."""
