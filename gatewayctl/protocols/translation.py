"""How a request goes out and how its reply comes back: as it came, or translated.

The one place where two codecs meet. Which protocol a request goes out in is ``core.translation``'s
business, what is lost on the way each codec's; when something is sent, the daemon's.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import msgspec

from gatewayctl.core.conversation import Prompt
from gatewayctl.core.errors import ApiError
from gatewayctl.core.events import (
    CallBegun,
    CallDelta,
    Event,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    fold,
)
from gatewayctl.protocols.codec import (
    Codec,
    EventReader,
    EventWriter,
    ReplyContext,
    StreamWatcher,
    Target,
    Translator,
)
from gatewayctl.protocols.losses import Loss
from gatewayctl.protocols.messages import billing
from gatewayctl.protocols.remembering import Keep, Listener, restored
from gatewayctl.protocols.sse import BadFrame, SseEvent

MOST_TOLD: Final = 64 * 1024 * 1024
"""Characters of a translated stream: some dialects tell again at the end what was told in pieces,
so that all of it is held."""

_ITEM: Final = 256


class Passage(Protocol):
    """One stream on its way from an upstream to a client; ``watcher`` has seen what is taken.

    What was taken is held until it is released, so nothing need be written before it can be sent.
    """

    watcher: StreamWatcher

    def take(self, event: SseEvent) -> None:
        """Take an event that the watcher has just seen; raise ``BadFrame``."""
        ...

    def release(self, *, opened: bool = False) -> bytes:
        """Return the frames that say everything taken since the last time; raise ``BadFrame``.

        ``opened``: the client was sent the codec's ``opening`` before anything of this stream.
        """
        ...

    def finish(self) -> None:
        """Take it that the stream has ended, complete and without a frame that says so."""
        ...

    def broken(self, event: bytes, error: ApiError) -> bytes:
        """Return the end of a stream whose upstream tells an error itself, as ``event``."""
        ...

    def error(self, error: ApiError) -> bytes:
        """Return the typed error frame that ends this stream."""
        ...

    def keepalive(self, unsent: str | None) -> bytes:
        """Return a frame that says "still here"; ``unsent`` as in ``Codec.keepalive``."""
        ...


class Verbatim:
    """A stream of the client's own protocol: every byte as it came. See ``Passage``.

    ``saw`` is told the bytes of every event.
    """

    def __init__(
        self, codec: Codec, watcher: StreamWatcher, saw: Callable[[bytes], None] | None
    ) -> None:
        self.watcher = watcher
        self._codec = codec
        self._saw = saw
        self._taken: list[bytes] = []

    def take(self, event: SseEvent) -> None:
        """Take an event's bytes."""
        if self._saw is not None:
            self._saw(event.raw)
        self._taken.append(self.watcher.release(event))

    def release(self, *, opened: bool = False) -> bytes:  # noqa: ARG002
        """Return the bytes."""
        taken, self._taken = self._taken, []
        return b"".join(taken)

    def finish(self) -> None:
        """Take nothing: a client of this protocol knows the end as well."""

    def broken(self, event: bytes, error: ApiError) -> bytes:  # noqa: ARG002
        """Return the upstream's own event, which a client of its protocol knows."""
        return event

    def error(self, error: ApiError) -> bytes:
        """Return the typed error frame."""
        return self._codec.stream_error(error, seen=self.watcher)

    def keepalive(self, unsent: str | None) -> bytes:
        """Return a frame that goes on from what was seen."""
        return self._codec.keepalive(seen=self.watcher, unsent=unsent)


class Translated:
    """A stream that is written anew in the client's protocol. See ``Passage``.

    ``keep`` takes what is thought before calls, None where nothing is to be kept of it.
    """

    def __init__(
        self,
        client: Translator,
        upstream: Codec,
        watcher: StreamWatcher,
        context: ReplyContext,
        keep: Keep | None = None,
    ) -> None:
        self.watcher = watcher
        self._client = client
        self._context = context
        self._reader: EventReader = upstream.event_reader()
        self._heard = _hearing(context, keep)
        self._writer: EventWriter | None = None
        self._taken: list[Event] = []
        self._told = 0

    def take(self, event: SseEvent) -> None:
        """Take what an event says."""
        events = self._reader.read(event)
        self._told += sum(map(_size, events))
        if self._told > MOST_TOLD:
            raise BadFrame(f"a translated stream says {MOST_TOLD} characters at most")
        self._taken.extend(self._heard(events))

    def release(self, *, opened: bool = False) -> bytes:
        """Return the client's frames."""
        taken, self._taken = self._taken, []
        return self._written(opened=opened).write(taken)

    def finish(self) -> None:
        """Take the end, for the client's own terminal frame."""
        self._taken.extend(self._heard(self._reader.end()))

    def broken(self, event: bytes, error: ApiError) -> bytes:  # noqa: ARG002
        """Return the error in the client's dialect, going on from what was written."""
        return self.error(error)

    def error(self, error: ApiError) -> bytes:
        """Return the typed error frame."""
        return self._written().error(error)

    def keepalive(self, unsent: str | None) -> bytes:  # noqa: ARG002
        """Return a frame that goes on from what was written."""
        return self._written().keepalive()

    def _written(self, *, opened: bool = False) -> EventWriter:
        if self._writer is None:
            context = msgspec.structs.replace(self._context, opened=opened)
            self._writer = self._client.event_writer(context)
        return self._writer


def _size(event: Event) -> int:
    """Return how much of an event may be held to the end, roughly."""
    match event:
        case TextDelta() | ThoughtDelta() | RefusalDelta():
            return len(event.text)
        case CallDelta():
            return len(event.arguments)
        case CallBegun() | ThoughtEnded():
            return _ITEM + len(event.seal.data if event.seal else "")
        case _:
            return 0


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A translated request, what it had to leave out, and the prompt without its messages."""

    body: bytes
    dropped: tuple[str, ...]
    prompt: Prompt


def outgoing(client: Translator, upstream: Translator, body: bytes, target: Target) -> Outgoing:
    """Return a request in another protocol; raise ``RequestInvalid`` for what cannot be said."""
    prompt = client.read_prompt(body)
    if target.stream is not None:
        prompt = msgspec.structs.replace(prompt, stream=target.stream)
    thinking = prompt.thinking
    lost: tuple[str, ...] = ()
    if thinking is not None and not target.reasons:
        lost = () if thinking.off else (Loss.REASONING,)
        prompt = msgspec.structs.replace(prompt, thinking=None)
    if target.changes.strip_billing:
        prompt = billing.without(prompt)
    prompt = restored(prompt, target.remembered, target.origin)
    written = upstream.write_prompt(prompt, target)
    return Outgoing(
        body=written.body,
        dropped=tuple(dict.fromkeys((*prompt.dropped, *lost, *written.dropped))),
        prompt=msgspec.structs.replace(prompt, messages=(), thinking=thinking),
    )


def whole(
    client: Translator,
    upstream: Translator,
    body: bytes,
    context: ReplyContext,
    keep: Keep | None = None,
) -> bytes:
    """Return a whole reply in the client's protocol; raise ``BadFrame`` when it is none.

    ``keep`` as for ``Translated``.
    """
    events = _hearing(context, keep)(upstream.read_events(body))
    return client.write_reply(fold(events), context)


def _hearing(
    context: ReplyContext, keep: Keep | None
) -> Callable[[Iterable[Event]], Iterable[Event]]:
    """Return what events pass through on their way to the client."""
    return iter if keep is None else Listener(context.origin, context.id, keep).heard
