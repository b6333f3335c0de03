"""One attempt at one candidate, from the call to the commit.

Every way in which it can fail before the commit leaves here as ``UpstreamFailed``; nothing has
been sent to the client by then. Which candidate comes next is ``core.attempts``' business.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
from multidict import MultiMapping

from gatewayctl.config.addresses import base
from gatewayctl.config.settings import ModelOverride, ProviderSettings, Settings, Timeouts
from gatewayctl.core.attempts import Try
from gatewayctl.core.errors import Failure, FailureKind, UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.books import Entry
from gatewayctl.daemon.forwarding import Forwarding, query_for
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.relay import Stream
from gatewayctl.daemon.sending import Sending, Sent
from gatewayctl.protocols import translation
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.translation import Passage, Translated, Verbatim
from gatewayctl.upstream.client import Call, Reply, Upstream
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.failures import classify, in_reply, of_type
from gatewayctl.upstream.headers import Headers, reply_headers, request_headers
from gatewayctl.upstream.oauth import OAuth, is_terminal
from gatewayctl.upstream.scrub import Scrub, scrub

REPLY_LIMIT = 256 * 1024 * 1024
"""Bytes of a whole reply; more is no answer of a model."""

_UNAUTHORIZED = 401
_ERRORS = (4, 5)  # the classes of statuses that say an error

ERROR_LIMIT = 256 * 1024
"""Bytes that are read of an upstream's error reply."""


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, read and believed, in the client's protocol; how its request went out.

    ``headers`` are what a client gets of the upstream's.
    """

    reply: Reply
    headers: Headers
    body: bytes
    sent: Sent

    def __repr__(self) -> str:
        return f"Whole(status={self.reply.status}, …)"


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that has committed; how its request went out. ``headers`` as in ``Whole``."""

    reply: Reply
    headers: Headers
    stream: Stream
    sent: Sent


Got = Whole | Streamed

Hearing = Callable[[str], Callable[[MultiMapping[str]], None]]
"""Returns, for the label of a credential, what takes the headers of a reply to what is sent now."""


class Tries:
    """Attempts candidates through the upstream client; ``sending`` writes what they are sent."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a collaborator
        self,
        settings: Settings,
        upstream: Upstream,
        credentials: Credentials,
        sending: Sending,
        tokens: OAuth,
        forwarding: Forwarding,
        hearing: Hearing,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._credentials = credentials
        self._sending = sending
        self._tokens = tokens
        self._forwarding = forwarding
        self._hearing = hearing

    async def one(
        self, asked: Asked, step: Try, entry: Entry, *, label: str, left: float, buffer: bool
    ) -> Got:
        """Attempt a candidate within ``left`` seconds; raise ``UpstreamFailed``.

        ``label`` is what the credential to use is called. ``buffer``: a stream is held until it is
        whole; the time limits end with its first content all the same.
        """
        candidate = step.candidate
        settings = self._settings.providers[candidate.provider]
        override = self._settings.model(candidate.model)
        timeouts = _timeouts(settings.timeouts, override)
        limit = _to_commit(asked, candidate, timeouts, left)
        headers = asked.headers
        credential: str | None = None
        secrets = partial(scrub, settings, None, headers)
        try:
            async with asyncio.timeout(limit) as timer:
                credential = await self._credentials.get(settings, label)
                secrets = partial(scrub, settings, credential, headers)
                sent = await self._sending.written(asked, candidate, settings, override)
                call = _call(asked, step, sent, settings, credential, timeouts)
                self._forwarding.claim(candidate.provider, headers)
                entry.sent, hear = True, self._hearing(label)
                reply = await self._upstream.send(call)
                hear(reply.headers)
                held = _Held(entry=entry, secrets=secrets, timer=timer, buffer=buffer)
                return await self._committed(asked, sent, reply, held)
        except TimeoutError as error:
            failure = Failure(
                kind=FailureKind.TIMEOUT,
                message=f"no content from {candidate.model} within {limit or 0:.4g} s",
                cut_short=asked.shape.stream and limit == max(left, 0.0),
            )
            raise UpstreamFailed(failure) from error
        except UpstreamFailed as error:
            failure = await self._renewable(settings, credential, error.failure)
            raise UpstreamFailed(secrets().failure(failure)) from error

    async def _renewable(
        self, settings: ProviderSettings, token: str | None, failure: Failure
    ) -> Failure:
        """Take note of what a failure says of an OAuth token; tell whether another may do."""
        if settings.provider.auth is not Auth.OAUTH or token is None:
            return failure
        if is_terminal(failure):
            await self._tokens.terminal(settings, token, failure)
        elif failure.status == _UNAUTHORIZED and await self._tokens.rejected(settings, token):
            return msgspec.structs.replace(failure, elsewhere=True)
        return msgspec.structs.replace(failure, remedy=self._tokens.remedy(settings))

    def passes(self, provider: str, failure: Failure) -> bool:
        """Tell whether an upstream's refusal is the client's to see as it came.

        A refusal of the gateway's own credential is not; one of a forwarded credential is.
        """
        if failure.status is None or not failure.body:
            return False
        forwards = self._settings.providers[provider].provider.auth is Auth.FORWARD
        own = failure.kind in {FailureKind.AUTH, FailureKind.FORBIDDEN} and not forwards
        return not own and failure.status // 100 in _ERRORS

    async def _committed(self, asked: Asked, sent: Sent, reply: Reply, held: "_Held") -> Got:
        """Read a reply up to its commit; its connection is closed if there is none."""
        got: Got | None = None
        try:
            if reply.status // 100 != 2:  # noqa: PLR2004 - the class of success
                body = await reply.read(ERROR_LIMIT)
                raise UpstreamFailed(
                    classify(sent.codec.protocol, reply.status, reply.headers, body)
                )
            headers = held.secrets().headers(reply_headers(reply.headers))
            if asked.shape.stream and reply.content_type in {"text/event-stream", ""}:
                stream = _stream(asked, sent, reply, held)
                await stream.commit()
                got = Streamed(reply=reply, headers=headers, stream=stream, sent=sent)
            else:
                body = await self._whole(asked, sent, reply, held.entry)
                if sent.saw is not None:
                    sent.saw(body)
                got = Whole(reply=reply, headers=headers, body=body, sent=sent)
            return got
        finally:
            if got is None:
                reply.abort()

    async def _whole(self, asked: Asked, sent: Sent, reply: Reply, entry: Entry) -> bytes:
        body = await reply.read(REPLY_LIMIT)
        if (failure := of_type(reply.headers)) is not None:
            raise UpstreamFailed(failure)
        wrong: str | None = None
        answer = body
        try:
            facts = await offloaded(len(body), sent.codec.read_reply, body)
            wrong = facts.error
            entry.facts = facts
            if wrong is None and sent.context is not None:
                answer = await offloaded(
                    len(body),
                    translation.whole,
                    asked.codec,
                    sent.codec,
                    body,
                    sent.context,
                    sent.keep,
                )
        except BadFrame as error:
            wrong = str(error)
        if wrong is None and asked.shape.stream:
            wrong = f"a stream was asked for, {reply.content_type or 'no type'} came"
        if wrong is not None:
            # Only what is no answer is read a second time, for the kind of its error.
            failure = in_reply(sent.codec.protocol, reply.headers, body)
            bad = Failure(
                kind=FailureKind.BAD_RESPONSE, message=wrong, quotes=entry.facts is not None
            )
            raise UpstreamFailed(failure or bad)
        return answer


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply is read with until it commits."""

    entry: Entry
    secrets: Callable[[], Scrub]
    timer: asyncio.Timeout
    buffer: bool

    def first(self) -> None:
        """Lift the time limit to the commit: content has come."""
        self.timer.reschedule(None)
        self.entry.first()


def _stream(asked: Asked, sent: Sent, reply: Reply, held: _Held) -> Stream:
    passage = _passage(asked, sent)
    held.entry.watcher = passage.watcher
    stream = Stream(
        reply,
        sent.codec.protocol,
        passage,
        held.secrets,
        buffer=held.buffer,
        first=held.first,
        progress=held.entry.progress,
    )
    held.entry.over = lambda: stream.whole
    return stream


def _passage(asked: Asked, sent: Sent) -> Passage:
    if sent.context is None:
        requested = sent.codec.usage_requested(asked.body, asked.reading.layout)
        return Verbatim(sent.codec, sent.codec.watcher(usage_requested=requested), sent.saw)
    watcher = sent.codec.watcher(usage_requested=True)
    return Translated(asked.codec, sent.codec, watcher, sent.context, sent.keep)


def _call(
    asked: Asked,
    step: Try,
    sent: Sent,
    settings: ProviderSettings,
    credential: str | None,
    timeouts: Timeouts,
) -> Call:
    stream, headers = asked.shape.stream, asked.headers
    query = ""
    if sent.context is None:
        query = query_for(settings, asked.caller.query)
    address = sent.codec.address(step.candidate.upstream_model, query, stream=stream)
    return Call(
        provider=settings,
        url=base(settings, sent.codec.protocol) + address,
        headers=request_headers(settings, sent.codec.protocol, headers, credential),
        body=sent.body,
        stream=stream,
        timeouts=timeouts,
        fresh=step.retry,
    )


def _timeouts(base: Timeouts, override: ModelOverride) -> Timeouts:
    given = override.timeouts
    return msgspec.structs.replace(base, **given) if given else base


def _to_commit(asked: Asked, candidate: Candidate, timeouts: Timeouts, left: float) -> float | None:
    """Return the seconds to the commit: without streaming only the place's own limit holds."""
    limits = [candidate.timeout]
    if asked.shape.stream:
        limits += [timeouts.first_token, max(left, 0.0)]
    return min((limit for limit in limits if limit is not None), default=None)
