"""Turns the exceptions of aiohttp and of sockets into ``UpstreamFailed``, once, in plain words.

Messages name the origin (scheme, host, port) and never a path, a query, user information or a
header. HTTP statuses are not exceptions here: see ``failures``.
"""

import ssl
from collections.abc import Iterator

import aiohttp
import msgspec
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from yarl import URL

from gatewayctl.config.settings import Timeouts
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed


class Phase(msgspec.Struct, frozen=True):
    """A limited wait: what is missing, for how many seconds at most, until when (loop time)."""

    missing: str = ""
    seconds: float = 0.0
    deadline: float | None = None

    def until(self) -> float:
        """Return the deadline for ordering."""
        return float("inf") if self.deadline is None else self.deadline


class PhaseTimeout(Exception):
    """A phase of an exchange ran out of time."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase.missing)
        self.phase = phase


FOREIGN = (aiohttp.ClientError, OSError, PhaseTimeout, HttpProcessingError, ValueError)
"""What can come out of an exchange besides cancellation; aiohttp's URL errors are ValueErrors."""


def translated(
    error: BaseException,
    url: URL,
    timeouts: Timeouts,
    *,
    connected: bool = True,
    stale: bool = False,
) -> UpstreamFailed:
    """Return the failure that an exception means for the attempt at ``url``.

    ``connected``: a connection stood; ``stale``: it was a pooled one, dead before the reply.
    """
    origin = str(url.origin()) if url.absolute else "the provider"
    kind, message = _told(error, origin, timeouts)
    ours = _unwritten(error)
    return UpstreamFailed(
        Failure(
            kind=kind,
            message=message,
            connecting=not connected and not ours,
            stale=stale and not ours,
        )
    )


def _unwritten(error: BaseException) -> bool:
    """Tell a request that cannot be written from one that met something.

    Refused certificates are ``ValueError`` too, by inheritance.
    """
    return isinstance(error, ValueError) and not isinstance(error, ssl.SSLError)


def _told(error: BaseException, origin: str, timeouts: Timeouts) -> tuple[FailureKind, str]:
    match error:  # the order matters: aiohttp's classes inherit from one another
        case PhaseTimeout():
            waited = f"within {error.phase.seconds:g} s"
            return FailureKind.TIMEOUT, f"{error.phase.missing} from {origin} {waited}"
        case aiohttp.ConnectionTimeoutError():
            limit = f"{timeouts.connect:g} s"
            return FailureKind.TIMEOUT, f"no connection to {origin} within {limit}"
        case aiohttp.ClientConnectorError() | aiohttp.ClientSSLError():
            return FailureKind.NETWORK, _not_connected(error, origin)
        case aiohttp.ClientHttpProxyError():
            status = f"status {error.status}"
            return FailureKind.NETWORK, f"the proxy refused a tunnel to {origin}: {status}"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | HttpProcessingError():
            return _unreadable(error, origin)
        case _:
            return FailureKind.NETWORK, _lost(error, origin)


def _not_connected(error: aiohttp.ClientError, origin: str) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = getattr(cause, "verify_message", "") or "it cannot be verified"
            return f"the certificate of {origin} is not accepted: {why}"
        case aiohttp.ClientConnectorSSLError():
            cause = error.os_error
            why = (cause.reason if isinstance(cause, ssl.SSLError) else "") or "handshake failed"
            return f"no TLS connection to {origin}: {why}"
        case aiohttp.ClientProxyConnectionError():
            return f"cannot connect to the proxy for {origin}: {_reason(error)}"
        case aiohttp.ClientConnectorDNSError():
            return f"no address found for the host of {origin}"
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {origin}: {_reason(error)}"
        case _:
            return f"cannot connect to {origin}"


def _reason(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or type(error.os_error).__name__


def _unreadable(error: Exception, origin: str) -> tuple[FailureKind, str]:
    if any(isinstance(cause, ContentEncodingError) for cause in _causes(error)):
        return FailureKind.BAD_RESPONSE, f"the reply of {origin} cannot be decompressed"
    if isinstance(error, aiohttp.ClientPayloadError):
        return FailureKind.NETWORK, f"{origin} broke off in the middle of its reply"
    return FailureKind.BAD_RESPONSE, f"the reply of {origin} is not valid HTTP"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _lost(error: BaseException, origin: str) -> str:
    match error:
        case aiohttp.ServerDisconnectedError():
            return f"{origin} closed the connection before its reply"
        case ValueError():
            return f"a request to {origin} cannot be written: its URL or a header is malformed"
        case OSError() if error.strerror:
            return f"the connection to {origin} failed: {error.strerror}"
        case _:
            return f"the connection to {origin} failed"
