"""A stream of events written as Messages frames for a client.

Blocks come one after another, each opened and closed exactly once; a thought is never told in a
block of text. What the frames hold is the business of ``replies``.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.errors import ApiError
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    Usage,
)
from gatewayctl.protocols import sse
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.messages import errors, replies
from gatewayctl.protocols.sequence import Sequence

PING: Final = sse.write("ping", b'{"type":"ping"}')
"""What says "still here", at any place of a stream."""

_ENCODE: Final = msgspec.json.Encoder().encode
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessagesWriter:
    """Writes one stream. See ``codec.EventWriter``."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._sequence = Sequence()
        self._call_ids = replies.CallIds(context)
        self._hides = replies.hides_thoughts(context)
        self._begun = Begun()
        self._started = False
        self._ended = False
        self._index = -1
        self._open = ""  # the kind of part that the open block tells, empty where none is open
        self._thought: list[str] = []  # of a thought that is not shown
        self._proofs: list[Seal] = []  # of hidden thoughts, until something follows them
        self._said = False
        self._called = False
        self._stop: Stop | None = None
        self._stop_sequence: str | None = None
        self._metered = Metered(usage=Usage())

    def write(self, events: Iterable[Event]) -> bytes:
        """Return the frames that say this."""
        frames: list[bytes] = []
        for event in self._sequence.ordered(events):
            if self._ended or getattr(event, "choice", 0) != 0:
                continue
            if not self._started and not isinstance(event, Begun | Metered):
                frames.append(self._start())
            frames += self._frames(event)
        return b"".join(frames)

    def error(self, error: ApiError) -> bytes:
        """Return an error event."""
        return errors.frame(error)

    def keepalive(self) -> bytes:
        """Return a ping."""
        return PING

    def _start(self) -> bytes:
        """Begin the message, with all that was told before its first content."""
        self._started = True
        message = {
            **replies.head(self._begun.id, self._begun.model, self._context),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": replies.usage(self._metered.usage, self._metered.tier),
        }
        return _frame("message_start", {"message": message})

    def _frames(self, event: Event) -> Iterator[bytes]:  # noqa: C901 - one line an event
        match event:
            case TextDelta():
                yield from self._says("text", event.text)
            case RefusalDelta():
                yield from self._says("refusal", event.text)
            case ThoughtDelta():
                yield from self._thinks(event.text)
            case ThoughtEnded():
                yield from self._thought_ended(event.seal)
            case CallBegun():
                yield from self._calls(event)
            case CallDelta():
                if event.arguments:
                    yield self._delta(b'"input_json_delta","partial_json":', event.arguments)
            case Metered():
                self._metered = event
            case Finished():
                yield from self._close()
                self._stop, self._stop_sequence = event.stop, event.sequence
            case Ended():
                yield from self._end()
            case Begun():
                self._begun = event
            case _:
                assert_never(event)

    def _says(self, kind: str, text: str) -> Iterator[bytes]:
        if not text:
            return
        if self._open != kind:
            yield from self._begin(kind, {"type": "text", "text": "", "citations": None})
        yield self._delta(b'"text_delta","text":', text)

    def _thinks(self, text: str) -> Iterator[bytes]:
        if not text:
            return
        if self._open != "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            yield from self._begin("thinking", empty)
        if self._hides:
            self._thought.append(text)
        else:
            yield self._delta(b'"thinking_delta","thinking":', text)

    def _thought_ended(self, seal: Seal | None) -> Iterator[bytes]:
        if self._open == "thinking":
            yield from self._close(seal)
        elif seal is not None:
            yield from self._close()
            self._proofs.append(seal)

    def _calls(self, event: CallBegun) -> Iterator[bytes]:
        if event.seal is not None:  # it is of the call, not of a thought that is under way
            yield from self._close()
            yield from self._thought_ended(event.seal)
        self._called = True
        call_id = self._call_ids.next(event.id)
        block = replies.tool_use(call_id, event.name, replies.NO_ARGUMENTS)
        yield from self._begin("call", block)

    def _begin(self, kind: str, block: dict[str, Any]) -> Iterator[bytes]:
        yield from self._prove()
        self._said |= block["type"] == "text"
        yield from self._open_block(kind, block)

    def _prove(self) -> Iterator[bytes]:
        """Tell the hidden thoughts that came last: something follows, or there is nothing else."""
        proofs, self._proofs = self._proofs, []
        for seal in proofs:
            yield from self._open_block("redacted", replies.redacted(seal, self._context))

    def _open_block(self, kind: str, block: dict[str, Any]) -> Iterator[bytes]:
        yield from self._close()
        self._index += 1
        self._open = kind
        yield _frame("content_block_start", {"index": self._index, "content_block": block})

    def _close(self, seal: Seal | None = None) -> Iterator[bytes]:
        """Close the open block, if any; a thought is signed before."""
        if not self._open:
            return
        if self._open == "thinking":
            proof = replies.signature("".join(self._thought), seal, self._context)
            self._thought = []
            yield self._delta(b'"signature_delta","signature":', proof)
        self._open = ""
        yield _frame("content_block_stop", {"index": self._index})

    def _end(self) -> Iterator[bytes]:
        if not self._said:  # else the text is what clients have to find last
            yield from self._prove()
        yield from self._close()
        self._ended = True
        ending = replies.ending(self._stop, self._stop_sequence, called=self._called)
        usage = replies.usage(self._metered.usage, self._metered.tier)
        yield _frame("message_delta", {"delta": {"container": None, **ending}, "usage": usage})
        yield _STOP

    def _delta(self, field: bytes, text: str) -> bytes:
        """Return the frame of one delta; ``field`` is its type and the name of what it adds."""
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":%b%b}}\n\n' % (self._index, field, _ENCODE(text))
        )


def _frame(kind: str, fields: dict[str, Any]) -> bytes:
    return sse.write(kind, _ENCODE({"type": kind, **fields}))
