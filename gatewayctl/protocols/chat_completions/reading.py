"""Reads replies of Chat Completions servers as events of the IR: whole ones and streams alike.

A message is read as one big delta, so that both give the same events in the same order. Usage,
errors and phases of a stream that is not translated are ``stream``'s business; calls are told apart
in ``calls``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.events import (
    Begun,
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
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.chat_completions import response, thoughts, wire
from gatewayctl.protocols.chat_completions.calls import Calls
from gatewayctl.protocols.sse import BadFrame, SseEvent

_CHUNK = msgspec.json.Decoder(wire.Reply)
_STOPS: Final = {
    "stop": Stop.END,
    "eos": Stop.END,
    "eos_token": Stop.END,
    "end_turn": Stop.END,
    "length": Stop.BUDGET,
    "max_tokens": Stop.BUDGET,
    "model_length": Stop.WINDOW,
    "model_context_window_exceeded": Stop.WINDOW,
    "tool_calls": Stop.CALLS,
    "tool_use": Stop.CALLS,
    "function_call": Stop.CALLS,
    "stop_sequence": Stop.SEQUENCE,
    "content_filter": Stop.FILTER,
    "safety": Stop.FILTER,
    "sensitive": Stop.FILTER,
    "refusal": Stop.REFUSAL,
}
_BROKEN: Final = frozenset({"error", "insufficient_system_resource", "abort", "cancelled"})
"""Why an answer broke off: Mistral's and OpenRouter's word, DeepSeek's, those of local servers."""

_MOST_DETAILS: Final = 16 * 1024 * 1024
_MOST_CHOICES: Final = 1024


class _Choice:
    """One choice: what was read of it so far that later deltas depend on."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._calls = Calls(index)
        self._details = _Details()
        self._plain = False
        self._refused = False
        self._finish: str | None = None
        self._sequence: str | None = None

    def read(self, choice: wire.Choice) -> Iterable[Event]:
        """Return what a delta or a message says: thoughts, words, calls, in this order."""
        self._note(choice)
        delta = choice.delta if choice.delta is not None else choice.message
        if delta is None:
            return ()
        content = delta.content
        if not self._details and content.__class__ is str and response.says_no_more(delta):
            # Nearly every delta: no more than a piece of text, which may be empty.
            logprobs = _probabilities(choice.logprobs)
            return (
                (TextDelta(text=content, choice=self._index, logprobs=logprobs),) if content else ()
            )
        return chain(
            self._thoughts(delta), self._words(delta, choice.logprobs), self._called(delta)
        )

    def _note(self, choice: wire.Choice) -> None:
        """Take note of why the choice ends, if it says so by now."""
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self._finish = choice.finish_reason.lower()
            if self._finish in _BROKEN:
                raise BadFrame(f"the upstream broke its answer off: {self._finish}")
        for told in (choice.stop_reason, choice.matched_stop):
            if isinstance(told, str) and told:
                self._sequence = told

    def finished(self) -> Iterator[Event]:
        """Yield the end. It waits for the end of all: some servers go on after their reason."""
        yield from self._calls.rest()
        if (seal := self._details.taken()) is not None:
            yield ThoughtEnded(seal=seal, choice=self._index)
        stop = Stop.END if self._finish is None else _STOPS.get(self._finish, Stop.OTHER)
        if stop is Stop.END and self._sequence is not None:
            stop = Stop.SEQUENCE
        elif stop is Stop.END and self._refused:
            stop = Stop.REFUSAL
        sequence = self._sequence if stop is Stop.SEQUENCE else None
        yield Finished(stop=stop, sequence=sequence, choice=self._index)

    def _thoughts(self, delta: wire.Delta) -> Iterator[Event]:
        if delta.reasoning_details:
            self._details.add(delta.reasoning_details)
        text = thoughts.text_of(delta.reasoning_content) or thoughts.text_of(delta.reasoning)
        self._plain = self._plain or bool(text)
        if not self._plain and delta.reasoning_details:  # else they say the same once more
            text = _told(delta.reasoning_details)
        if text:
            yield ThoughtDelta(text=text, choice=self._index)

    def _words(self, delta: wire.Delta, logprobs: msgspec.Raw) -> Iterator[Event]:
        content = delta.content
        if content:
            for thought, text in _pieces(content):
                if thought:
                    yield ThoughtDelta(text=text, choice=self._index)
                    continue
                yield from self._thought_over()
                yield TextDelta(text=text, choice=self._index, logprobs=_probabilities(logprobs))
                logprobs = msgspec.Raw()
        if isinstance(delta.refusal, str) and delta.refusal:
            self._refused = True
            yield from self._thought_over()
            yield RefusalDelta(text=delta.refusal, choice=self._index)

    def _called(self, delta: wire.Delta) -> Iterator[Event]:
        if delta.tool_calls:
            for call in response.listed(delta.tool_calls):
                for event in self._calls.read(call):
                    yield from self._thought_over()
                    yield event
        elif delta.function_call:  # llama-cpp-python tells a call in both forms at once
            for event in self._calls.older(delta.function_call):
                yield from self._thought_over()
                yield event

    def _thought_over(self) -> Iterator[Event]:
        """Yield what proves the thought before, since something else begins."""
        if self._details and (seal := self._details.taken()) is not None:
            yield ThoughtEnded(seal=seal, choice=self._index)


class _Details:
    """The reasoning details of a choice since the last thought, as OpenRouter wants them back.

    Their pieces are put together by their index. Text alone proves nothing and is sent back as
    text.
    """

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, details: Any) -> None:
        """Add the details of a delta; those of an unknown form are kept as well."""
        for detail in response.listed(details):
            if not isinstance(detail, dict):
                continue
            self._size += sum(len(value) for value in detail.values() if isinstance(value, str))
            if self._size > _MOST_DETAILS:
                raise BadFrame("the reasoning details are larger than any answer")
            last = self._found[-1] if self._found else None
            key = (detail.get("type"), detail.get("index"))
            if last is None or key != (last.get("type"), last.get("index")) or key[1] is None:
                self._found.append(dict(detail))
            else:
                _join(last, detail)

    def taken(self) -> Seal | None:
        """Return the seal of what was added, None where nothing in it proves anything."""
        found, self._found = self._found, []
        if not any(detail.get(name) for detail in found for name in ("signature", "data")):
            return None
        try:
            data = msgspec.json.encode(found, order="sorted").decode()
        except RecursionError as error:
            raise BadFrame("the reasoning details are nested too deeply") from error
        return Seal(form=thoughts.SEALED, data=data)


def _join(known: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        before = known.get(name)
        if name in ("text", "summary", "data") and isinstance(before, str):
            known[name] = before + value if isinstance(value, str) else before
        elif value is not None:
            known[name] = value


def _told(details: Any) -> str:
    """Return the text of details, for servers that tell it nowhere else."""
    return "".join(
        thoughts.text_of(detail.get("text") or detail.get("summary"))
        for detail in response.listed(details)
        if isinstance(detail, dict)
    )


def _pieces(content: Any) -> Iterator[tuple[bool, str]]:
    """Yield content as text, each piece with whether it is a thought, as Mistral's parts may be."""
    if isinstance(content, str):
        yield False, content
        return
    for part in response.listed(content):
        if isinstance(part, dict) and "thinking" in part:
            thought, text = True, thoughts.text_of(part["thinking"])
        else:
            thought, text = False, thoughts.text_of(part)
        if text:
            yield thought, text


class _Tokens(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list["_Tokens"] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Tokens] | None = None


_LOGPROBS = msgspec.json.Decoder(_Logprobs | None)


def _probabilities(raw: msgspec.Raw) -> tuple[TokenProbability, ...]:
    """Return the probabilities of a delta's tokens, none where they have an unknown form."""
    data = bytes(raw)
    if not data.startswith(b"{"):
        return ()
    try:
        told = _LOGPROBS.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return ()
    return tuple(_probability(token) for token in (told.content if told else None) or ())


def _probability(token: _Tokens) -> TokenProbability:
    return TokenProbability(
        token=token.token,
        logprob=token.logprob,
        top=tuple(
            TokenProbability(token=other.token, logprob=other.logprob)
            for other in token.top_logprobs or ()
        ),
    )


class ChatCompletionsReader:
    """Reads one stream. See ``codec.EventReader``."""

    def __init__(self) -> None:
        self._begun = False
        self._choices: dict[int, _Choice] = {}
        self._over = False
        self._counts: metering.Counts = {}
        self._metered = Metered(usage=metering.inclusive({}))
        self._tier: Any = None  # as the last chunk told it

    def end(self) -> Sequence[Event]:
        """Return nothing: a terminal frame says all."""
        return ()

    def read(self, event: SseEvent) -> Sequence[Event]:
        """Return what an event says; raise ``BadFrame`` when it is no chunk."""
        if not event.data:
            return ()
        if event.data == b"[DONE]" or event.data.strip() == b"[DONE]":
            return self.finished()
        return self.take(frame.read(_CHUNK, event.data, "a chat completion chunk"))

    def take(self, reply: wire.Reply) -> list[Event]:
        """Return what a chunk or a whole reply says."""
        found: list[Event] = []
        if not self._begun:
            self._begun = True
            found.append(_begun(reply))
        for choice in reply.choices or ():
            found.extend(self._choice(choice.index).read(choice))
        counts = response.counted(reply)
        if counts or reply.service_tier != self._tier:
            self._tier = reply.service_tier
            self._counts = metering.newer(self._counts, counts)
            metered = Metered(
                usage=metering.inclusive(self._counts),
                tier=metering.tier(reply.service_tier, self._metered.tier),
            )
            if metered != self._metered:
                self._metered = metered
                found.append(metered)
        return found

    def finished(self) -> Sequence[Event]:
        """Return the end of every choice and of the answer, once; ``BadFrame`` without any."""
        if self._over:
            return ()
        if not self._choices:
            raise BadFrame("the reply has no choices")
        ends = [event for choice in self._choices.values() for event in choice.finished()]
        self._over = True
        return [*ends, Ended()]

    def _choice(self, index: Any) -> _Choice:
        at = index if type(index) is int and index >= 0 else 0
        found = self._choices.get(at)
        if found is None:
            if len(self._choices) >= _MOST_CHOICES:
                raise BadFrame("more choices than any answer has")
            found = self._choices[at] = _Choice(at)
        return found


def whole(body: bytes) -> Sequence[Event]:
    """Return the events of a whole reply; raise ``BadFrame`` when it is none."""
    reply = frame.read(_CHUNK, body, "a chat completion")
    reader = ChatCompletionsReader()
    return [*reader.take(reply), *reader.finished()]


def _begun(reply: wire.Reply) -> Begun:
    return Begun(
        id=reply.id if isinstance(reply.id, str) and reply.id else None,
        model=reply.model if isinstance(reply.model, str) and reply.model else None,
        created=int(reply.created) if _is_time(reply.created) else None,
    )


def _is_time(value: Any) -> bool:
    """Tell whether a value can be seconds since 1970."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**40
