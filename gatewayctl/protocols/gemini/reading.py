"""Reading a Gemini reply as events of the IR, a frame at a time or whole.

A frame is a whole reply with less in it, so both are read alike. Phases, usage and errors of a
stream that is not translated are the business of ``stream``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    TokenProbability,
    Usage,
)
from gatewayctl.protocols import metering
from gatewayctl.protocols.gemini import response, signatures, wire
from gatewayctl.protocols.sse import BadFrame, SseEvent

_STOPS: Final = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.BUDGET,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
            "ESCALATION",
        ),
        Stop.FILTER,
    ),
}
_BROKEN: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
    | {"MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"}
)
"""Why there is no whole answer: no client of another protocol would take these for what they are,
where Google's own ask again."""


class _Choice(msgspec.Struct):
    """One candidate so far: its calls, whether its last part is a thought that goes on.

    ``stop`` is why it ends, as far as is known: the last reason that was told.
    """

    calls: int = 0
    thinks: bool = False
    stop: Stop | None = None


class GeminiEvents:
    """Reads one stream, or one whole reply; see ``codec.EventReader``."""

    def __init__(self) -> None:
        self._begun = False
        self._counts: dict[str, int] = {}
        self._usage = Usage()
        self._choices: dict[int, _Choice] = {}

    def read(self, event: SseEvent) -> Sequence[Event]:
        """Return what a frame says; raise ``BadFrame`` when it is none."""
        if not event.data or event.data == b"[DONE]":
            return ()
        frame = response.decoded(event.data, "a Gemini frame")
        if frame.error:
            return ()
        return list(self._frame(frame))

    def whole(self, body: bytes) -> Sequence[Event]:
        """Return what a whole reply says; raise ``BadFrame`` when it is none."""
        reply = response.decoded(body, "a Gemini reply")
        if reply.error or not (reply.candidates or response.blocked(reply.prompt_feedback)):
            raise BadFrame("the reply has no candidates")
        return [*self._frame(reply), *self.end()]

    def end(self) -> Sequence[Event]:
        """Return why the candidates ended; not before the end of the body is that known."""
        ends = ((index, choice.stop) for index, choice in self._choices.items())
        return [*(Finished(stop=it, choice=index) for index, it in ends if it is not None), Ended()]

    def _frame(self, frame: wire.Reply) -> Iterator[Event]:
        if not self._begun:
            self._begun = True
            yield Begun(id=_text(frame.response_id), model=_text(frame.model_version))
        if frame.usage_metadata is not None:
            self._counts = metering.newer(self._counts, response.counted(frame.usage_metadata))
            usage = response.usage_of(self._counts)
            if usage != self._usage:
                self._usage = usage
                yield Metered(usage=usage, tier=response.tier(frame.usage_metadata))
        for place, candidate in enumerate(frame.candidates or ()):
            yield from self._candidate(candidate, response.index_of(candidate, place))
        if response.blocked(frame.prompt_feedback) is not None and not self._choices:
            self._choices[0] = _Choice(stop=Stop.FILTER)

    def _candidate(self, candidate: wire.Candidate, index: int) -> Iterator[Event]:
        choice = self._choices.setdefault(index, _Choice())
        events = [
            event for part in response.parts(candidate) for event in _part(part, choice, index)
        ]
        if candidate.logprobs_result is not None:
            events = _with_logprobs(events, _logprobs(candidate.logprobs_result))
        yield from events
        reason = response.finished(candidate)
        if reason in _BROKEN:
            raise BadFrame(f"the upstream broke its answer off: {reason}")
        if reason is not None:
            stop = _STOPS.get(reason, Stop.OTHER)
            choice.stop = Stop.CALLS if stop is Stop.END and choice.calls else stop


def _part(part: dict[str, Any], choice: _Choice, index: int) -> Iterator[Event]:
    """Yield what a part says. Code that Google ran, and data, have no place in other protocols."""
    text = _text(part.get("text")) or ""
    signature = _text(part.get("thoughtSignature"))
    called = part.get("functionCall")
    if part.get("thought") is True:
        if text:
            yield ThoughtDelta(text=text, choice=index)
            choice.thinks = True
        if signature:
            yield _ended(signatures.THOUGHT, signature, index)
            choice.thinks = False
        return
    if isinstance(called, dict):
        yield from _call(called, signature, choice, index)
        return
    if text:
        yield TextDelta(text=text, choice=index)
        choice.thinks = False
    if signature:
        if choice.thinks:  # what follows is hidden, and not the proof of what was told
            yield ThoughtEnded(choice=index)
        yield _ended(signatures.TEXT if text else signatures.EMPTY, signature, index)
        choice.thinks = False


def _call(
    called: dict[str, Any], signature: str | None, choice: _Choice, index: int
) -> Iterator[Event]:
    number = choice.calls
    choice.calls += 1
    choice.thinks = False
    seal = None
    if signature:
        seal = Seal(form=f"{signatures.CALL}.{number}", data=signature)
    name, arguments = _text(called.get("name")), called.get("args")
    yield CallBegun(
        call=number, id=_text(called.get("id")) or "", name=name or "", seal=seal, choice=index
    )
    yield CallDelta(call=number, arguments=_json(arguments or {}), choice=index)


def _ended(form: str, signature: str, index: int) -> ThoughtEnded:
    return ThoughtEnded(seal=Seal(form=form, data=signature), choice=index)


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as error:
        raise BadFrame("the arguments of a call are nested too deeply") from error


def _with_logprobs(events: list[Event], logprobs: tuple[TokenProbability, ...]) -> list[Event]:
    """Put a frame's probabilities to the last of its text; a frame of thoughts alone tells none."""
    for place in reversed(range(len(events))):
        event = events[place]
        if isinstance(event, TextDelta):
            events[place] = msgspec.structs.replace(event, logprobs=logprobs)
            break
    return events


def _logprobs(result: Any) -> tuple[TokenProbability, ...]:
    if not isinstance(result, dict):
        return ()
    tops = [
        tuple(_probabilities(top.get("candidates") if isinstance(top, dict) else None))
        for top in _listed(result.get("topCandidates"))
    ]
    chosen = list(_probabilities(result.get("chosenCandidates")))
    tops += [()] * (len(chosen) - len(tops))
    return tuple(
        msgspec.structs.replace(each, top=top) for each, top in zip(chosen, tops, strict=False)
    )


def _probabilities(given: Any) -> Iterator[TokenProbability]:
    for each in _listed(given):
        match each:
            case {"token": str() as token, "logProbability": int() | float() as probability}:
                yield TokenProbability(token=token, logprob=float(probability))
            case {"token": str() as token}:  # zero is left out
                yield TokenProbability(token=token, logprob=0.0)
            case _:
                continue


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
