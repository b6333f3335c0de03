"""Writes a stream for a client: each event of the IR becomes this protocol's at once.

An item begins, goes on and ends before the next one; events are numbered from 0 without gaps.
What an item looks like is the business of ``output``, the response object that of ``snapshot``.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.core.conversation import Call, Seal
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
)
from gatewayctl.protocols import sse
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.responses import errors, output, snapshot
from gatewayctl.protocols.sequence import Sequence

_FIRST: Final = 0  # one choice is all that this protocol knows


_Kind = type[TextDelta | RefusalDelta | ThoughtDelta | CallBegun]


class _Open(msgspec.Struct):
    """The item under way, and what was said of it so far."""

    kind: _Kind
    id: str
    index: int
    texts: list[str] = []
    logprobs: list[TokenProbability] = []
    call: CallBegun | None = None


class ResponsesWriter:
    """See ``codec.EventWriter``."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._sequence = Sequence()
        self._number = int(context.opened)
        self._named: snapshot.Named | None = None
        self._open: _Open | None = None
        self._output: list[dict[str, Any]] = []
        self._calls = 0
        self._spare: list[TokenProbability] = []  # of tokens that came before their text
        self._metered = Metered(usage=snapshot.UNKNOWN)
        self._stop: Stop | None = None
        self._refused = False
        self._over = False

    def write(self, events: Iterable[Event]) -> bytes:
        """Return the frames that say this."""
        return b"".join(
            frame for event in self._sequence.ordered(events) for frame in self._event(event)
        )

    def error(self, error: ApiError) -> bytes:
        """Return ``response.failed``, after the events that begin a response if none did."""
        self._over = True
        begun = b"".join(self._begin(Begun()))
        return begun + self._frame(
            "response.failed", response=self._response("failed", error=errors.told(error))
        )

    def keepalive(self) -> bytes:
        """Return ``response.in_progress``, or what begins the response if nothing did."""
        if self._named is None:
            return b"".join(self._begin(Begun()))
        return self._frame("response.in_progress", response=self._response("in_progress"))

    def _event(self, event: Event) -> Iterator[bytes]:  # noqa: C901 - one line an event
        if self._over or getattr(event, "choice", _FIRST) != _FIRST:
            return
        if self._named is None:
            yield from self._begin(event if isinstance(event, Begun) else Begun())
        match event:
            case Begun():
                self._renamed(event.model)
            case TextDelta() | RefusalDelta() | ThoughtDelta():
                yield from self._said(event)
            case ThoughtEnded():
                yield from self._thought_ended(event.seal)
            case CallBegun():
                yield from self._call_begun(event)
            case CallDelta():
                yield from self._arguments(event.arguments)
            case Metered():
                self._metered = event
            case Finished():
                self._stop = event.stop
                yield from self._close(output.status(event.stop))
            case Ended():
                yield from self._close(output.COMPLETED)
                self._over = True
                yield self._end()
            case _:
                assert_never(event)

    def _begin(self, event: Begun) -> Iterator[bytes]:
        if self._named is not None:
            return
        self._named = snapshot.named(event.id, event.model, event.created, self._context)
        begun = self._response("in_progress")
        if not self._context.opened:
            yield self._frame("response.created", response=begun)
        yield self._frame("response.in_progress", response=begun)

    def _renamed(self, model: str | None) -> None:
        """Take the upstream's name of the model, where a sign of life went out before it."""
        if self._named is not None and model is not None:
            self._named = msgspec.structs.replace(self._named, model=model)

    def _said(self, event: TextDelta | RefusalDelta | ThoughtDelta) -> Iterator[bytes]:
        kind = type(event)
        if self._open is None or self._open.kind is not kind:
            if not event.text:
                self._spare += event.logprobs if isinstance(event, TextDelta) else ()
                return
            yield from self._close(output.COMPLETED)
            yield from self._begin_item(kind)
        current = self._current()
        current.texts.append(event.text)
        match event:
            case TextDelta():
                logprobs, self._spare = [*self._spare, *event.logprobs], []
                current.logprobs += logprobs
                told = output.probabilities(logprobs)
                yield self._in_part("output_text.delta", delta=event.text, logprobs=told)
            case RefusalDelta():
                yield self._in_part("refusal.delta", delta=event.text)
            case ThoughtDelta():
                yield self._in_part("reasoning_summary_text.delta", delta=event.text)
            case _:
                assert_never(event)

    def _begin_item(self, kind: type[TextDelta | RefusalDelta | ThoughtDelta]) -> Iterator[bytes]:
        if kind is ThoughtDelta:
            yield self._added("reasoning", kind, summary=[])
            yield self._in_part("reasoning_summary_part.added", part=output.summary_part(""))
            return
        yield self._added("message", kind, role="assistant", content=[])
        empty = output.text_part("", ()) if kind is TextDelta else output.refusal_part("")
        yield self._in_part("content_part.added", part=empty)

    def _thought_ended(self, seal: Seal | None) -> Iterator[bytes]:
        if self._open is None or self._open.kind is not ThoughtDelta:
            if seal is None:
                return
            yield from self._close(output.COMPLETED)
            yield self._added("reasoning", ThoughtDelta, summary=[])
        yield from self._close(output.COMPLETED, seal)

    def _call_begun(self, event: CallBegun) -> Iterator[bytes]:
        yield from self._close(output.COMPLETED)
        if event.seal is not None:
            yield from self._thought_ended(event.seal)
        own = output.call_id(event.id, self._context, self._calls)
        self._calls += 1
        told = {"call_id": own, "name": event.name, "arguments": ""}
        yield self._added("function_call", CallBegun, **told)
        self._current().call = msgspec.structs.replace(event, id=own)

    def _arguments(self, arguments: str) -> Iterator[bytes]:
        current = self._open
        if current is None or current.call is None or not arguments:
            return
        current.texts.append(arguments)
        yield self._in_item("function_call_arguments.delta", delta=arguments)

    def _close(self, status: str, seal: Seal | None = None) -> Iterator[bytes]:
        """End the item under way, if there is one."""
        current = self._open
        if current is None:
            return
        text = "".join(current.texts)
        if current.call is not None:
            if not text:
                yield from self._arguments("{}")
            yield from self._close_call(current.call, text or "{}", status)
        elif current.kind is ThoughtDelta:
            if text:
                yield self._in_part("reasoning_summary_text.done", text=text)
                part = output.summary_part(text)
                yield self._in_part("reasoning_summary_part.done", part=part)
            yield self._done(output.reasoning(current.id, text, seal, self._context.origin))
        else:
            yield from self._close_message(current, text, status)

    def _close_call(self, begun: CallBegun, arguments: str, status: str) -> Iterator[bytes]:
        told = {"name": begun.name, "arguments": arguments}
        yield self._in_item("function_call_arguments.done", **told)
        call = Call(id=begun.id, name=begun.name, arguments=arguments)
        yield self._done(output.function_call(self._current().id, call, status))

    def _close_message(self, current: _Open, text: str, status: str) -> Iterator[bytes]:
        if current.kind is TextDelta:
            part = output.text_part(text, current.logprobs)
            told = part["logprobs"]
            yield self._in_part("output_text.done", text=text, logprobs=told)
        else:
            self._refused = True
            part = output.refusal_part(text)
            yield self._in_part("refusal.done", refusal=text)
        yield self._in_part("content_part.done", part=part)
        yield self._done(output.message(current.id, [part], status))

    def _end(self) -> bytes:
        found = snapshot.ended(self._stop, self._metered, self._context, refused=self._refused)
        response = self._response(**found, output=self._output)
        return self._frame(f"response.{response['status']}", response=response)

    def _added(self, kind: str, of: _Kind, /, **told: Any) -> bytes:
        """Begin an item."""
        index = len(self._output)
        name = output.named(kind, self._context, index)
        self._open = _Open(kind=of, id=name, index=index)
        item = {"type": kind, "id": name, "status": output.OPEN, **told}
        return self._frame("response.output_item.added", output_index=index, item=item)

    def _done(self, item: dict[str, Any]) -> bytes:
        """End an item."""
        index = self._current().index
        self._output.append(item)
        self._open = None
        return self._frame("response.output_item.done", output_index=index, item=item)

    def _in_item(self, event: str, /, **told: Any) -> bytes:
        current = self._current()
        place = {"item_id": current.id, "output_index": current.index}
        return self._frame(f"response.{event}", **place, **told)

    def _in_part(self, event: str, /, **told: Any) -> bytes:
        """Write an event of the one part that an item of ours has."""
        is_summary = self._current().kind is ThoughtDelta
        return self._in_item(
            event, **{"summary_index" if is_summary else "content_index": 0}, **told
        )

    def _current(self) -> _Open:
        if self._open is None:
            raise RuntimeError("no item is under way")
        return self._open

    def _response(self, status: str, **said: Any) -> dict[str, Any]:
        if self._named is None:
            raise RuntimeError("the response has no name yet")
        return snapshot.response(self._named, status, self._context.prompt, **said)

    def _frame(self, name: str, /, **told: Any) -> bytes:
        number = self._number
        self._number += 1
        data = {"type": name, "sequence_number": number, **told}
        return sse.write(name, msgspec.json.encode(data))
