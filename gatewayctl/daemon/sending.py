"""What an attempt sends: the client's body with a few edits, or a translation of it.

Which protocol a candidate is sent is decided in ``core.translation``; what is left out in another
one by the codecs. Here a body becomes the one that goes out.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import msgspec

from gatewayctl.config.settings import ModelOverride, ProviderSettings
from gatewayctl.core.errors import (
    CountUnavailable,
    Failure,
    FailureKind,
    RequestInvalid,
    UpstreamFailed,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.owners import Owners
from gatewayctl.daemon.thoughts import Thoughts
from gatewayctl.protocols import translation
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, Codec, ReplyContext, Target
from gatewayctl.protocols.dropping import target
from gatewayctl.protocols.losses import Loss
from gatewayctl.protocols.provenance import MARK
from gatewayctl.protocols.remembering import Keep
from gatewayctl.tokenizers.counter import Counter
from gatewayctl.upstream.credentials import not_served, serves

log = logging.getLogger("gatewayctl.requests")

LARGE = 256 * 1024
"""Bytes of a body from which it is translated in the counting process."""

MANY = 1000
"""Objects in a body from which it is translated there: each takes some 4 us."""

_MANY_FROM = 16 * 1024  # bytes; fewer cannot hold so many of those that cost


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A body as it goes out, in the protocol of ``codec``.

    ``dropped`` is what was left out, for the most part by a translation; ``context`` is what the
    reply is written with, None where nothing is translated. ``saw`` is told the bytes of the reply
    as they come, ``keep`` what is thought before its calls.
    """

    codec: Codec
    body: bytes
    dropped: tuple[str, ...] = ()
    context: ReplyContext | None = None
    saw: Callable[[bytes], None] | None = None
    keep: Keep | None = None

    def __repr__(self) -> str:
        return f"Sent(dropped={self.dropped!r}, …)"


class Sending:
    """Makes the bodies that go out; ``wall`` is the time in seconds since 1970."""

    def __init__(
        self, counter: Counter, owners: Owners, thoughts: Thoughts, wall: Callable[[], float]
    ) -> None:
        self._counter = counter
        self._owners = owners
        self._thoughts = thoughts
        self._wall = wall

    async def written(
        self,
        asked: Asked,
        candidate: Candidate,
        settings: ProviderSettings,
        override: ModelOverride,
    ) -> Sent:
        """Return what a candidate is sent; raise ``UpstreamFailed`` for a client it is not for.

        And for what cannot be said in its protocol: planning leaves out whoever cannot be told a
        request, so that is not to be expected.
        """
        if not serves(settings, asked.headers.get("User-Agent", "")):
            refusal = Failure(kind=FailureKind.FORBIDDEN, message=not_served(settings))
            raise UpstreamFailed(refusal)
        changes = _changes(asked, candidate, settings, override)
        body, codec = asked.body, asked.codec
        if candidate.protocol is codec.protocol:
            return await offloaded(len(body), self._patched, asked, candidate, changes)
        upstream = CODECS[candidate.protocol]
        to = msgspec.structs.replace(
            target(candidate, changes, settings.flags),
            stream=asked.shape.stream,
            remembered=self._thoughts.recalled(candidate.model, body),
        )
        try:
            out = await self._translated(codec, upstream, body, to)
        except RequestInvalid as error:
            message, path = str(error), error.path
            raise UpstreamFailed(
                Failure(
                    kind=FailureKind.BAD_REQUEST, message=message, should_retry=False, path=path
                )
            ) from error
        context = ReplyContext(
            id=asked.request_id, origin=candidate.model, prompt=out.prompt, now=self._wall
        )
        # Gemini's clients send signatures back with the calls, whoever's they are.
        keep = None
        if codec.protocol is not WireProtocol.GEMINI:
            keep = self._thoughts.keeping(candidate.model)
        return Sent(codec=upstream, body=out.body, dropped=out.dropped, context=context, keep=keep)

    def _patched(self, asked: Asked, candidate: Candidate, changes: Changes) -> Sent:
        """Return the client's body with its edits, and without the thoughts of other models."""
        body, layout = asked.body, asked.reading.layout
        marked = self._owners.marked(candidate.provider, body)
        return Sent(
            codec=asked.codec,
            body=asked.codec.patch(marked, changes, layout if marked is body else None),
            dropped=(Loss.REASONING_OF_ANOTHER,) if MARK in marked else (),
            saw=partial(self._owners.saw, candidate.provider),
        )

    async def _translated(
        self, client: Codec, upstream: Codec, body: bytes, to: Target
    ) -> translation.Outgoing:
        """Translate a body; what takes long is done in the counting process, if it can be had."""
        if not _takes_long(body):
            return translation.outgoing(client, upstream, body, to)
        try:
            return await self._counter.translated(client.protocol, upstream.protocol, body, to)
        except CountUnavailable as error:
            log.warning("a body of %d bytes is translated in the daemon: %s", len(body), error)
        return await asyncio.to_thread(translation.outgoing, client, upstream, body, to)


def _changes(
    asked: Asked, candidate: Candidate, settings: ProviderSettings, override: ModelOverride
) -> Changes:
    """Return the edits to the body; of one that goes as it came only name and clamped budget."""
    if settings.provider.as_it_came:
        return Changes(
            model=candidate.upstream_model,
            output_budget=candidate.send_budget,
            strip_foreign=True,  # nothing of the client's: what other models were made to say
        )
    return Changes(
        model=candidate.upstream_model,
        output_budget=candidate.send_budget,
        include_usage=asked.shape.stream and not settings.flags.get("mistral_rules", False),
        set={key: bytes(raw) for key, raw in override.set.items()},
        drop=override.drop,
        strip_billing=settings.flags.get("strip_billing_attribution", True),
        strip_foreign=True,
        reasoning_required=settings.flags.get("reasoning_required", False),
    )


def _takes_long(body: bytes) -> bool:
    return len(body) >= LARGE or (len(body) >= _MANY_FROM and body.count(b"{") >= MANY)
