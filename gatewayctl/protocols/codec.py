"""What every wire protocol can do here: the Codec Protocol, and the values it works with.

A codec is pure: bytes and values in, bytes and values out. It reads a request's shape, measures
its text, patches a body in place, watches a stream, reads a whole reply and writes errors in its
dialect. Codecs never import one another; ``catalog`` lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from gatewayctl.core.conversation import Prompt, Remembered
from gatewayctl.core.errors import ApiError
from gatewayctl.core.events import Event, Phase, Reply, Usage
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation, Measured, RequestShape
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.sink import Sink
from gatewayctl.protocols.sse import BadFrame, SseEvent
from gatewayctl.protocols.told import Told

__all__ = [
    "BadFrame",  # defined with the parser, raised by every codec
    "Changes",
    "Codec",
    "EventReader",
    "EventWriter",
    "Reader",
    "ReplyContext",
    "ReplyFacts",
    "StreamWatcher",
    "Target",
    "Teller",
    "Translator",
    "WireError",
    "Written",
]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Edits to a request body on its way to an upstream of the same protocol.

    ``model`` is the upstream's name of the model; ``output_budget`` tokens, None to leave the
    body's own; ``include_usage`` asks a chat stream for its usage chunk; ``set`` maps top-level
    fields to JSON, ``drop`` names fields to remove; ``strip_billing`` removes the one billing line
    that Claude Code writes into its system prompt. ``strip_foreign`` removes the thoughts that a
    translated reply of another model brought into the history (``provenance``);
    ``reasoning_required`` leaves a blank in their place, where a chat server refuses none at all.
    """

    model: str
    output_budget: int | None = None
    include_usage: bool = False
    set: Mapping[str, bytes] = {}
    drop: tuple[str, ...] = ()
    strip_billing: bool = False
    strip_foreign: bool = False
    reasoning_required: bool = False


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """An error reply in a dialect: HTTP status, extra headers, JSON body."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Teller(Protocol):
    """What tells errors in a dialect."""

    def error(self, error: ApiError, *, too_large_status: int | None = None) -> WireError:
        """Render an error before any reply byte was sent.

        ``too_large_status`` forces the status of a refusal by size, None is the dialect's own.
        """
        ...


class ReplyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole (not streamed) reply says. ``told`` is the upstream's error in a 200.

    ``written`` counts the characters of text, reasoning, refusal and tool arguments; ``tier`` is
    the service tier or the speed, as the reply calls it.
    """

    usage: Usage
    told: Told | None = None
    written: int = 0
    tier: str | None = None

    @property
    def error(self) -> str | None:
        """The words of the upstream's error in a 200."""
        return None if self.told is None else self.told.words


class StreamWatcher(Protocol):
    """The side parser of one stream: told each event once, in order, it never changes any.

    ``usage`` is the sum so far (cumulative deltas replace, never add), ``written`` and ``tier``
    are as in ``ReplyFacts``, so far; ``told`` is the upstream's own in-stream error.

    ``complete`` is for protocols without a terminal frame: if the stream ends here, nothing is
    missing. ``resumed``: it was complete before, and went on.
    """

    usage: Usage
    written: int
    tier: str | None
    told: Told | None
    complete: bool
    resumed: bool

    @property
    def error(self) -> str | None:
        """The words of the in-stream error."""
        ...

    @property
    def error_code(self) -> str | None:
        """Its machine-readable code or type."""
        ...

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is not of the protocol."""
        ...

    def release(self, event: SseEvent) -> bytes:
        """Return the bytes a client gets of the event just seen: ``event.raw``, or none at all."""
        ...


class Reader(Protocol):
    """What reads requests of one wire protocol. Implementations hold no state.

    Whatever the bytes are, ``RequestInvalid`` is all that its functions raise.
    """

    @property
    def protocol(self) -> WireProtocol:
        """Which protocol this is."""
        ...

    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:
        """Read what routing needs; raise ``RequestInvalid`` with the JSON path at fault.

        ``counting`` is True for a request that only asks for a count: it needs no output budget.
        """
        ...

    def measure(self, body: bytes) -> Measured:
        """Measure everything that counts as input; costs time proportional to the body."""
        ...

    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` everything that counts as input; raise ``RequestInvalid`` as ``shape``."""
        ...

    def conversation(self, body: bytes, layout: Layout | None = None) -> Conversation:
        """Return what tells the conversation from others; raise ``RequestInvalid`` as ``shape``."""
        ...

    def own_turns(self, body: bytes) -> list[bool]:
        """Tell of each message that ``walk`` begins, in order, whether it is the model's own.

        Raises ``RequestInvalid`` as ``shape`` does.
        """
        ...

    def layout(self, body: bytes) -> Layout:
        """Return where the body's members stand; raise ``RequestInvalid`` for one given twice.

        With it at hand, ``patch`` and ``usage_requested`` need not decode the body again.
        """
        ...


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a translated request is written for.

    ``origin`` is the full id of the model, by which its own thoughts are known again; ``changes``
    are made besides (``set`` and ``drop`` speak of the written body, and have the last word).
    ``flags`` are the provider's, by name: what its servers want otherwise than others of the same
    protocol. ``most_output`` is the model's own limit on output, None where unknown; ``reasons``
    is False for a model that is known not to: it is told nothing of thinking. ``stream``:
    whether the client wants a stream, None where its body is to say so itself. ``remembered`` is
    what the model thought before calls of this history, for what the client does not send back.
    """

    origin: str
    changes: Changes
    flags: Mapping[str, bool] = {}
    most_output: int | None = None
    reasons: bool = True
    stream: bool | None = None
    remembered: Mapping[str, Remembered] = {}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A translated request, and what it had to leave out: the client's JSON paths, or words.

    Each is said once, in the order of the body, without indices where it stands many times.
    """

    body: bytes
    dropped: tuple[str, ...] = ()


class ReplyContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a translated reply is written with.

    ``id`` is the request's, of which the reply makes its own where the upstream gives none of the
    right form, the same in a stream and without one; ``origin`` the full id of the model that
    answers, which seals its thoughts; ``prompt`` what the client asked, without its messages;
    ``now`` the time in seconds since 1970. ``opened``: the client has had the codec's ``opening``
    already, with ``id`` in it, and perhaps keepalives: a stream that names itself goes on from
    there and does not begin again.
    """

    id: str
    origin: str
    prompt: Prompt
    now: Callable[[], float]
    opened: bool = False


class EventReader(Protocol):
    """Reads one upstream stream, an event at a time, in order."""

    def read(self, event: SseEvent) -> Sequence[Event]:
        """Return what the event says, nothing for one that is not known; raise ``BadFrame``."""
        ...

    def end(self) -> Sequence[Event]:
        """Return what the end of a stream says that has no terminal frame."""
        ...


class EventWriter(Protocol):
    """Writes one stream to a client. What it has written stands: it never takes anything back."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Return the frames that say this; ``Ended`` writes the terminal one.

        Raises ``BadFrame`` for what cannot be put in order (``sequence``).
        """
        ...

    def error(self, error: ApiError) -> bytes:
        """Return the dialect's typed error frame, going on from what was written."""
        ...

    def keepalive(self) -> bytes:
        """Return a whole frame that says "still here", going on from what was written."""
        ...


class Translator(Protocol):
    """What makes one protocol's bodies and streams the IR's, and the other way round."""

    def read_prompt(self, body: bytes) -> Prompt:
        """Read a whole request; raise ``RequestInvalid`` as ``shape`` does."""
        ...

    def write_prompt(self, prompt: Prompt, target: Target) -> Written:
        """Write a request for an upstream of this protocol.

        Raises ``RequestInvalid`` for what cannot be said and may not be dropped: whatever it is,
        ``core.translation`` knows of it too, so that planning never comes to this.
        """
        ...

    def read_events(self, body: bytes) -> Sequence[Event]:
        """Read a whole reply as the events of the stream that it might have been.

        Raises ``BadFrame`` when it is none.
        """
        ...

    def write_reply(self, reply: Reply, context: ReplyContext) -> bytes:
        """Write a whole reply for a client of this protocol."""
        ...

    def event_reader(self) -> EventReader:
        """Return what reads one upstream stream."""
        ...

    def event_writer(self, context: ReplyContext) -> EventWriter:
        """Return what writes one stream for a client."""
        ...


class Codec(Reader, Teller, Translator, Protocol):
    """Everything that can be done in one wire protocol. Implementations hold no state."""

    @property
    def breaks_off(self) -> bool:
        """Whether a stream's connection is broken off behind its error frame.

        Clients of such a dialect take whatever ends properly for whole.
        """
        ...

    def address(self, model: str, query: str, *, stream: bool) -> str:
        """Return what stands behind a provider's base URL, such as ``/chat/completions``.

        ``query`` is the client's own (``beta=true``), empty where the request is translated.
        """
        ...

    def patch(self, body: bytes, changes: Changes, layout: Layout | None = None) -> bytes:
        """Return the body with the changes spliced in and every other byte as it came."""
        ...

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:
        """Return a side parser; ``usage_requested`` False: a usage-only chunk is withheld."""
        ...

    def usage_requested(self, body: bytes, layout: Layout | None = None) -> bool:
        """Tell whether the client itself asked for the stream's usage."""
        ...

    def read_reply(self, body: bytes) -> ReplyFacts:
        """Read a whole reply; raise ``BadFrame`` when it is not one."""
        ...

    def tells_overflow(self, body: bytes) -> bool:
        """Tell whether clients of this dialect see in an upstream's refusal that it is by size."""
        ...

    def tells_limit(self, body: bytes, wait: float | None) -> bool:
        """Tell whether clients do right by an upstream's refusal that has them wait so long.

        ``wait`` is in seconds, None where nothing is said of it.
        """
        ...

    def stream_error(self, error: ApiError, *, seen: StreamWatcher | None) -> bytes:
        """Render an error after the headers: the dialect's typed error frame, whole."""
        ...

    def opening(self, unsent: str | None) -> bytes:
        """Return what a stream begins with whose headers go out before its upstream's.

        ``unsent`` is the request id, None for a client that checks that a response keeps its id.
        """
        ...

    def keepalive(self, *, seen: StreamWatcher | None, unsent: str | None) -> bytes:
        """Return a whole frame that says "still here" and that no client takes for content.

        ``unsent`` as in ``opening``, for as long as nothing of an upstream's was seen.
        """
        ...
