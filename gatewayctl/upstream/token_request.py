"""Asks a provider's token server, through the provider's own proxy and certificates.

One POST on a connection of its own, no redirects, bounded in time and size. What it answers is read
by ``token_reply``; which tokens are asked for, and when, is ``renewal``'s business and the login's.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from gatewayctl import __version__
from gatewayctl.config.settings import OAuthSettings, ProviderSettings, Timeouts, TokenEncoding
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.core.model import WireProtocol
from gatewayctl.upstream.client import Call, Reply, Upstream
from gatewayctl.upstream.failures import classify
from gatewayctl.upstream.scrub import Scrub
from gatewayctl.upstream.token_reply import Refused, Tokens, read, refusal

TIMEOUTS: Final = Timeouts(connect=10.0, headers=30.0, first_token=None, idle=10.0, total=30.0)
_LIMIT: Final = 64 * 1024  # bytes of a reply
_SECRET: Final = ("refresh_token", "code", "code_verifier")
_MEDIA: Final = {
    TokenEncoding.JSON: "application/json",
    TokenEncoding.FORM: "application/x-www-form-urlencoded",
}
_PASSING: Final = frozenset({408, 425, 429})
"""Statuses between 400 and 499 that say nothing of what was asked."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """No answer to what was asked; another time there may be one.

    ``lost``: the request may have been carried out nevertheless, and its reply is lost.
    """

    failure: Failure
    lost: bool


Answer = Tokens | Refused | Trouble


async def ask(
    http: Upstream,
    settings: ProviderSettings,
    oauth: OAuthSettings,
    fields: Mapping[str, str],
    *,
    timeouts: Timeouts = TIMEOUTS,
) -> Answer:
    """Send a token request; ``fields`` are its parameters besides ``client_id``.

    It takes at most ``timeouts.total`` seconds and raises nothing. No token is in any message.
    """
    shown = Scrub(own=tuple(fields[name] for name in _SECRET if fields.get(name)))
    try:
        reply = await http.send(_call(settings, oauth, fields, timeouts))
    except UpstreamFailed as error:
        return Trouble(failure=_said(error.failure), lost=not error.failure.connecting)
    try:
        return _scrubbed(await _read(reply), shown)
    except UpstreamFailed as error:
        return Trouble(failure=_said(error.failure), lost=True)
    finally:
        reply.abort()


def _call(
    settings: ProviderSettings,
    oauth: OAuthSettings,
    fields: Mapping[str, str],
    timeouts: Timeouts,
) -> Call:
    told = {**fields, "client_id": oauth.client_id}
    form = oauth.encoding is TokenEncoding.FORM
    body = urlencode(told).encode() if form else msgspec.json.encode(told)
    return Call(
        # the way out is the provider's, but found by the host that is asked
        provider=msgspec.structs.replace(settings, base_url=oauth.token_url),
        url=oauth.token_url,
        headers=(
            ("content-type", _MEDIA[oauth.encoding]),
            ("accept", "application/json"),
            ("user-agent", f"gatewayctl/{__version__}"),
        ),
        body=body,
        stream=False,
        timeouts=timeouts,
        fresh=True,  # a pooled connection may die with the request, and with the reply to it
    )


async def _read(reply: Reply) -> Answer:
    status, body = reply.status, await reply.read(_LIMIT)
    if status // 100 == 2:  # noqa: PLR2004 - the class of success
        return read(body) or _unreadable("it holds no tokens", lost=True)
    if status // 100 == 4 and status not in _PASSING:  # noqa: PLR2004 - the request's fault
        return refusal(body) or _unreadable(f"HTTP {status} without a reason", lost=False)
    failure = classify(WireProtocol.CHAT_COMPLETIONS, status, reply.headers, body)
    failure = msgspec.structs.replace(failure, quotes=False, body=b"", headers=())
    return Trouble(failure=_said(failure), lost=status >= 500)  # noqa: PLR2004 - its own fault


def _unreadable(why: str, *, lost: bool) -> Trouble:
    message = f"its reply cannot be used: {why}"
    failure = Failure(kind=FailureKind.BAD_RESPONSE, message=message)
    return Trouble(failure=_said(failure), lost=lost)


def _said(failure: Failure) -> Failure:
    return msgspec.structs.replace(failure, message=f"the token server: {failure.message}")


def _scrubbed(answer: Answer, shown: Scrub) -> Answer:
    """Take what was sent out of what is told of the answer."""
    match answer:
        case Tokens():
            return answer
        case Refused():
            return msgspec.structs.replace(answer, message=shown.message(answer.message))
        case Trouble():
            return msgspec.structs.replace(answer, failure=shown.failure(answer.failure))
