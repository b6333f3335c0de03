"""Writes a stream of Chat Completions chunks from events of the IR, each as it comes.

Choices and calls have numbers here and may be told side by side, so nothing is held back. What a
reply says besides its deltas is written in ``replies``.
"""

from collections.abc import Iterable
from typing import Any, assert_never

import msgspec

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
from gatewayctl.protocols.chat_completions import errors, replies, thoughts
from gatewayctl.protocols.codec import ReplyContext

KEEPALIVE = b": keepalive\n\n"
"""A comment, which clients of this protocol pass over."""

_KIND = "chat.completion.chunk"
_DONE = b"data: [DONE]\n\n"
_ENCODE = msgspec.json.Encoder().encode
_MOST_THOUGHT = 16 * 1024 * 1024  # characters of a thought that are kept for its detail


class _Choice:
    """What was told of one choice."""

    def __init__(self, index: int, context: ReplyContext) -> None:
        self.index = index
        self.details = replies.Details(context.origin)
        self.thought: list[str] = []
        self.thought_size = 0
        self.calls: dict[int, bool] = {}  # whether a call has any arguments yet
        self.refused = False
        self.finished = False

    def begins_other(self) -> None:
        """Forget the thought under way: what proves a thought comes right behind it."""
        if self.thought:
            self.thought, self.thought_size = [], 0


class ChatCompletionsWriter:
    """Writes one stream. See ``codec.EventWriter``."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._common: dict[str, Any] | None = None
        self._known: bytes | None = None  # what chunks begin with, as long as it is the same
        self._tail = b'],"usage":null}\n\n' if context.prompt.include_usage else b"]}\n\n"
        self._choices: dict[int, _Choice] = {}
        self._metered = Metered(usage=Usage())
        self._frames: list[bytes] = []

    def write(self, events: Iterable[Event]) -> bytes:
        """Return the chunks that say this."""
        for event in events:
            self._take(event)
        frames, self._frames = self._frames, []
        return b"".join(frames)

    def error(self, error: ApiError) -> bytes:
        """Return an error object as an event; no ``[DONE]`` follows."""
        return errors.frame(error)

    def keepalive(self) -> bytes:
        """Return a comment."""
        return KEEPALIVE

    def _take(self, event: Event) -> None:  # noqa: C901 - one line an event
        match event:
            case TextDelta():
                self._text(event)
            case ThoughtDelta():
                self._thought(event)
            case CallDelta():
                self._call_delta(event)
            case CallBegun():
                self._call_begun(event)
            case ThoughtEnded():
                self._thought_ended(event)
            case RefusalDelta():
                self._refusal(event)
            case Begun():
                self._begin(event)
            case Metered():
                self._known = self._known if event.tier == self._metered.tier else None
                self._metered = event
            case Finished():
                self._finish(event)
            case Ended():
                self._end()
            case _:
                assert_never(event)

    def _begin(self, begun: Begun) -> None:
        if self._common is None:
            self._common = replies.common(begun, self._context, _KIND)
            self._choice(0)

    def _choice(self, index: int) -> _Choice:
        """Return a choice; the first chunk of each tells the role."""
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = _Choice(index, self._context)
            self._chunk(index, {"role": "assistant", "content": "", "refusal": None})
        return found

    def _text(self, event: TextDelta) -> None:
        choice = self._choice(event.choice)
        if event.text or event.logprobs:
            choice.begins_other()
            probabilities = replies.logprobs(event.logprobs)
            self._chunk(event.choice, {"content": event.text}, logprobs=probabilities)

    def _refusal(self, event: RefusalDelta) -> None:
        choice = self._choice(event.choice)
        if event.text:
            choice.begins_other()
            choice.refused = True
            self._chunk(event.choice, {"refusal": event.text})

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> None:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        self._frames.append(b"%b%b%b" % (self._head(), _ENCODE(choice), self._tail))

    def _head(self) -> bytes:
        """Return what every chunk begins with, up to its choices."""
        if self._known is None:
            common = self._common or replies.common(Begun(), self._context, _KIND)
            self._common = common
            fields = {**common, **replies.tier(self._metered.tier)}
            self._known = b"data: " + _ENCODE(fields)[:-1] + b',"choices":['
        return self._known

    def _thought(self, event: ThoughtDelta) -> None:
        choice = self._choice(event.choice)
        if not event.text:
            return
        choice.thought_size += len(event.text)
        if choice.thought_size <= _MOST_THOUGHT:
            choice.thought.append(event.text)
        self._chunk(event.choice, {"reasoning_content": event.text})

    def _thought_ended(self, event: ThoughtEnded) -> None:
        choice = self._choice(event.choice)
        text, size = "".join(choice.thought), choice.thought_size
        choice.begins_other()
        if event.seal is None or size > _MOST_THOUGHT:
            return  # nothing that would have to come back, or not the whole of it
        self._detail(choice, choice.details.of(text, event.seal, event.id))

    def _detail(self, choice: _Choice, detail: dict[str, Any]) -> None:
        self._chunk(choice.index, {thoughts.FIELD: [detail]})

    def _call_begun(self, event: CallBegun) -> None:
        choice = self._choice(event.choice)
        choice.begins_other()
        choice.calls[event.call] = False
        name = replies.call_id(event.id, self._context, event.choice, event.call)
        if event.seal is not None:
            self._detail(choice, choice.details.of("", event.seal, name))
        function = {"name": event.name, "arguments": ""}
        call = {"id": name, "type": "function", "function": function}
        self._call(event.choice, event.call, call)

    def _call_delta(self, event: CallDelta) -> None:
        if event.arguments:
            self._choice(event.choice).calls[event.call] = True
            function = {"arguments": event.arguments}
            self._call(event.choice, event.call, {"function": function})

    def _call(self, choice: int, number: int, call: dict[str, Any]) -> None:
        """Write a part of a call; the first one in the older form where the client knows that."""
        if self._context.prompt.legacy_functions:
            if number == 0:
                self._chunk(choice, {"function_call": call["function"]})
                return
            number -= 1
        self._chunk(choice, {"tool_calls": [{"index": number, **call}]})

    def _finish(self, event: Finished) -> None:
        choice = self._choice(event.choice)
        if choice.finished:
            return
        choice.finished = True
        for number, has_arguments in choice.calls.items():
            if not has_arguments:
                self._call(choice.index, number, {"function": {"arguments": "{}"}})
        reason = replies.finish_reason(
            event.stop,
            calls=bool(choice.calls),
            refused=choice.refused,
            older=self._context.prompt.legacy_functions,
        )
        self._chunk(choice.index, {}, finish_reason=reason)

    def _end(self) -> None:
        """Write the end of what was not finished by itself, the usage if asked for, ``[DONE]``."""
        if not self._choices:
            self._choice(0)
        for choice in self._choices.values():
            if not choice.finished:
                self._finish(Finished(stop=Stop.END, choice=choice.index))
        if self._context.prompt.include_usage:
            usage = _ENCODE(replies.usage(self._metered.usage))
            self._frames.append(b'%b],"usage":%b}\n\n' % (self._head(), usage))
        self._frames.append(_DONE)
