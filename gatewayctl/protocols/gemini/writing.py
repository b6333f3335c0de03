"""Writing the events of a reply as the frames of a Gemini stream.

A call stands whole in one frame, so its arguments are gathered; all else is told at once. Whole
replies, and what a frame is made of, are the business of ``replies``.
"""

from collections.abc import Iterable
from typing import assert_never

from gatewayctl.core.conversation import Call, Thought
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
    TokenProbability,
    Usage,
)
from gatewayctl.protocols import sse
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.gemini import errors, replies
from gatewayctl.protocols.sequence import Sequence as Ordering

KEEPALIVE = b"\n"
"""A blank line: after a comment Gemini CLI would ask again."""


_Said = TextDelta | RefusalDelta | ThoughtDelta | ThoughtEnded | CallBegun | CallDelta | Finished


class _Candidate:
    """One candidate: what is to be told of it in the next frame, and a call that is gathered."""

    def __init__(self, context: ReplyContext) -> None:
        self.parts = replies.Parts(context)
        self.stop: Stop | None = None
        self._logprobs: list[TokenProbability] = []
        self._call: CallBegun | None = None
        self._arguments: list[str] = []

    def take(self, event: _Said) -> None:
        """Take an event of this candidate's."""
        if isinstance(event, CallDelta):
            self._arguments.append(event.arguments)
            return
        self._end_call()
        match event:
            case TextDelta():
                self.parts.text(event.text)
                self._logprobs += event.logprobs
            case RefusalDelta():
                self.parts.text(event.text)
            case ThoughtDelta():
                self.parts.thought(event.text)
            case ThoughtEnded():
                self.parts.thought_over(Thought(seal=event.seal, id=event.id))
            case CallBegun():
                self._call = event
            case Finished():
                self.parts.rest()
                self.stop = event.stop
            case _:
                assert_never(event)

    def taken(self) -> tuple[list[replies.Fields], list[TokenProbability]]:
        """Return what is to be told, once; probabilities wait for the text that they are of."""
        parts = self.parts.taken()
        if not parts:
            return [], []
        logprobs, self._logprobs = self._logprobs, []
        return parts, logprobs

    def _end_call(self) -> None:
        if self._call is None:
            return
        begun, arguments = self._call, "".join(self._arguments)
        self._call, self._arguments = None, []
        self.parts.call(Call(id=begun.id, name=begun.name, arguments=arguments, seal=begun.seal))


class GeminiWriter:
    """Writes one stream; see ``codec.EventWriter``."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._ordering = Ordering()
        self._begun = Begun()
        self._head: replies.Head | None = None
        self._usage = Usage()
        self._candidates: dict[int, _Candidate] = {}

    def write(self, events: Iterable[Event]) -> bytes:
        """Return the frames that say this; the last one has the reasons and the usage.

        A frame for each event, so that it does not matter how many come at once.
        """
        frames: list[bytes] = []
        for event in self._ordering.ordered(events):
            match event:
                case Begun():
                    self._begun = event
                case Metered():
                    self._usage = event.usage
                case Ended():
                    frames.append(self._last())
                case Finished():
                    self._candidate(event.choice).take(event)
                case _:
                    self._candidate(event.choice).take(event)
                    frames.append(self._frame())
        return b"".join(frames)

    def error(self, error: ApiError) -> bytes:
        """Return an error frame, which needs nothing of what was written."""
        return errors.frame(error)

    def keepalive(self) -> bytes:
        """Return a blank line."""
        return KEEPALIVE

    def _candidate(self, index: int) -> _Candidate:
        found = self._candidates.get(index)
        if found is None:
            found = self._candidates[index] = _Candidate(self._context)
        return found

    def _frame(self) -> bytes:
        candidates = []
        for index, candidate in sorted(self._candidates.items()):
            parts, logprobs = candidate.taken()
            if parts:
                candidates.append(replies.candidate(parts, index, logprobs=logprobs))
        return sse.write("", self._framed(candidates)) if candidates else b""

    def _last(self) -> bytes:
        """Return the frame that ends the answer, with whatever was not told yet."""
        candidates = []
        self._candidate(0)
        for index, candidate in sorted(self._candidates.items()):
            if candidate.stop is None:
                candidate.take(Finished(stop=Stop.OTHER, choice=index))
            parts, logprobs = candidate.taken()
            reason = replies.reason(candidate.stop, malformed=candidate.parts.malformed)
            candidates.append(replies.candidate(parts, index, reason=reason, logprobs=logprobs))
        return sse.write("", self._framed(candidates, self._usage))

    def _framed(self, candidates: list[replies.Fields], usage: Usage | None = None) -> bytes:
        if self._head is None:
            self._head = replies.Head(self._context, model=self._begun.model)
        return self._head.frame(candidates, usage)
