"""What a client is told of a request whose attempts failed, all of them.

In the gateway's words, or in the upstream's own where it alone was asked. Which attempts there are
is ``attempting``'s business, how an error is written in a dialect ``replies``'.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil

import msgspec
from aiohttp import web

from gatewayctl.config.settings import Settings
from gatewayctl.core.attempts import Failed
from gatewayctl.core.errors import ApiError, ErrorKind, Failure, FailureKind
from gatewayctl.core.exhausted import first_cause, told, told_kind, worth_repeating
from gatewayctl.core.model import Auth
from gatewayctl.protocols.codec import Codec

UNASKED = 5.0
"""Seconds after which a client may try again where no upstream has said when."""

_RETRY = "x-should-retry"


def in_words(
    failures: tuple[Failed, ...], name: str, settings: Settings, cooling: Iterable[float]
) -> ApiError:
    """Return the error: the first cause, and all attempts in order.

    ``name`` is what was asked for, ``cooling`` the seconds for which candidates are left alone.
    """
    error = told(name, failures)
    cause = first_cause(failures)
    provider = cause.candidate.provider
    if error.kind is ErrorKind.UPSTREAM_AUTH:
        known = settings.providers[provider].provider
        if known.auth is Auth.FORWARD:
            refused = cause.failure.kind is FailureKind.AUTH
            kind = ErrorKind.UNAUTHORIZED if refused else ErrorKind.FORBIDDEN
            message = f"{error.message}; this is about the client's own credential"
            return msgspec.structs.replace(error, kind=kind, message=message)
        hint = cause.failure.remedy or known.key_hint
        if cause.failure.status is None:  # nobody was asked, and a login says itself what to do
            advice = f"; {hint}" if hint and known.auth is not Auth.OAUTH else ""
        else:
            advice = f"; it is the gateway's own credential for {provider} that was refused"
            advice += f": {hint}" if hint else ""
        return msgspec.structs.replace(error, message=error.message + advice)
    if error.kind is ErrorKind.UNAVAILABLE and error.retry_after is None:
        return msgspec.structs.replace(error, retry_after=min(cooling, default=UNASKED))
    return error


def as_it_came(
    failures: Sequence[Failed],
    codec: Codec,
    passes: Callable[[str, Failure], bool],
    headers: Mapping[str, str],
) -> web.Response | None:
    """Return an upstream's own words where it alone was asked and always said the same.

    ``passes`` tells whether a provider's failure is the client's to see; ``headers`` are the
    gateway's own.
    """
    last = failures[-1]
    asked = {(failed.candidate.model, failed.failure.kind) for failed in failures}
    alone = len(asked) == 1 and passes(last.candidate.provider, last.failure)
    if not alone or last.candidate.protocol is not codec.protocol:
        return None  # not all there is to tell, or words of another dialect
    kind, said, wait = last.failure.kind, last.failure.body, last.failure.retry_after
    if kind is FailureKind.CONTEXT_OVERFLOW and not codec.tells_overflow(said):
        return None  # an agent would not see that it has to compact
    if told_kind(kind) is ErrorKind.RATE_LIMITED and not codec.tells_limit(said, wait):
        return None  # an agent would wait for hours, and not say why
    response = web.Response(status=last.failure.status or 502, body=said)
    response.headers.extend((*last.failure.headers, *headers.items()))
    if wait is not None:  # some say it in other headers alone
        response.headers.setdefault("retry-after", f"{ceil(wait)}")
    if not worth_repeating(last.failure):
        response.headers[_RETRY] = "false"
    return response
