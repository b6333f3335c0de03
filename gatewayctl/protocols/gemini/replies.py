"""Whole Gemini replies written of the IR's, and what a stream's frames share with them.

Replies are read in ``reading``, frames of a stream written in ``writing``.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.core.conversation import Call, Refusal, Text, Thought
from gatewayctl.core.events import Reply, Stop, TokenProbability, Usage
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.gemini import signatures

Fields = dict[str, Any]

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_REASONS: Final = {
    Stop.END: "STOP",
    Stop.CALLS: "STOP",
    Stop.SEQUENCE: "STOP",
    Stop.PAUSE: "STOP",
    Stop.BUDGET: "MAX_TOKENS",
    Stop.WINDOW: "MAX_TOKENS",
    Stop.FILTER: "SAFETY",
    Stop.REFUSAL: "SAFETY",
    Stop.OTHER: "OTHER",
}
_UNKNOWN: Final = "OTHER"
_MALFORMED: Final = "MALFORMED_FUNCTION_CALL"
_NOTHING: Final[Fields] = {"text": ""}


def written(reply: Reply, context: ReplyContext) -> bytes:
    """Write a whole reply."""
    candidates = []
    for index, choice in enumerate(reply.choices):
        parts = Parts(context)
        content: list[Fields] = []
        for part in choice.parts:
            match part:
                case Text(text=text) | Refusal(text=text):
                    content += parts.text(text)
                case Thought():
                    content += parts.thought(part.text)
                    parts.thought_over(part)
                case Call():
                    content += parts.call(part)
                case _:
                    assert_never(part)
        content += parts.rest()
        candidates.append(
            candidate(
                content,
                index,
                reason=reason(choice.stop, malformed=parts.malformed),
                logprobs=choice.logprobs,
            )
        )
    return Head(context, model=reply.model).frame(candidates, reply.usage)


class Head:
    """What stands in every frame of one reply: its id and its model."""

    def __init__(self, context: ReplyContext, *, model: str | None) -> None:
        self._fields: Fields = {
            "modelVersion": model or context.prompt.model,
            "responseId": context.id,
        }

    def frame(self, candidates: Sequence[Fields], usage: Usage | None = None) -> bytes:
        """Return a frame, with the usage at the end of a reply."""
        metered = {} if usage is None else {"usageMetadata": metadata(usage)}
        return msgspec.json.encode({"candidates": candidates, **metered, **self._fields})


class Parts:
    """Makes the parts of one candidate, in order.

    A client may leave the thoughts out of what it sends back; so they stand, text and all, in the
    signature of the part that follows them as well.
    """

    def __init__(self, context: ReplyContext) -> None:
        thinking = context.prompt.thinking
        self._origin = context.origin
        self._visible = thinking is None or thinking.visible is not False
        self._thoughts: list[Thought] = []
        self._open: list[str] = []
        self.malformed = False

    def thought(self, text: str) -> list[Fields]:
        """Return more of a thought; nothing where the client wants none."""
        if not text:
            return []
        self._open.append(text)
        return [{"text": text, "thought": True}] if self._visible else []

    def thought_over(self, thought: Thought) -> None:
        """End a thought, of which ``thought`` says all but the text."""
        text = "".join(self._open)
        self._open = []
        if text or thought.seal is not None:
            self._thoughts.append(msgspec.structs.replace(thought, text=text))

    def text(self, text: str) -> list[Fields]:
        """Return more text."""
        return [self._signed({"text": text})] if text else []

    def call(self, call: Call) -> list[Fields]:
        """Return a call; none whose arguments are no object, which nobody could carry out."""
        try:
            _OBJECT.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            self.malformed = True
            return []
        written: Fields = {"id": call.id} if call.id else {}
        arguments = msgspec.Raw((call.arguments or "{}").encode())
        written |= {"name": call.name, "args": arguments}
        if call.seal is not None:
            self.thought_over(Thought())
            self._thoughts.append(Thought(seal=call.seal))
        return [self._signed({"functionCall": written})]

    def rest(self) -> list[Fields]:
        """Return an empty part with the thoughts that nothing follows, if there are any."""
        self.thought_over(Thought())
        return [self._signed(dict(_NOTHING))] if self._thoughts else []

    def _signed(self, part: Fields) -> Fields:
        self.thought_over(Thought())
        if self._thoughts:
            part["thoughtSignature"] = signatures.carried(self._thoughts, self._origin)
            self._thoughts = []
        return part


def candidate(
    parts: Sequence[Fields],
    index: int,
    *,
    reason: str | None = None,
    logprobs: Sequence[TokenProbability] = (),
) -> Fields:
    """Return a candidate; ``reason`` None: it goes on."""
    found: Fields = {
        "content": {"parts": parts or [_NOTHING], "role": "model"},
        "index": index,
    }
    if reason is not None:
        found["finishReason"] = reason
    if logprobs:
        found["logprobsResult"] = {
            "chosenCandidates": [_probability(each) for each in logprobs],
            "topCandidates": [
                {"candidates": [_probability(top) for top in each.top]} for each in logprobs
            ],
        }
    return found


def reason(stop: Stop | None, *, malformed: bool) -> str:
    """Return the finish reason; ``malformed``: a call was left out that could not be read."""
    if stop is None:
        return _UNKNOWN
    found = _REASONS[stop]
    return _MALFORMED if malformed and found == _REASONS[Stop.CALLS] else found


def metadata(usage: Usage) -> Fields:
    """Return the usage: the prompt's tokens include cached ones, thoughts stand beside the rest.

    What is not known is left out.
    """
    text = _sum(
        usage.input,
        usage.input_cache_read,
        usage.input_cache_write_5m,
        usage.input_cache_write_1h,
    )
    prompt = _sum(text, usage.image, usage.audio)
    said = usage.output
    if said is not None and usage.reasoning_output is not None:
        said = max(0, said - usage.reasoning_output)
    figures = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.input_cache_read,
        "candidatesTokenCount": said,
        "thoughtsTokenCount": usage.reasoning_output,
        "totalTokenCount": _sum(prompt, usage.output),
    }
    found: Fields = {name: figure for name, figure in figures.items() if figure is not None}
    media = (("TEXT", text), ("IMAGE", usage.image), ("AUDIO", usage.audio))
    details = [
        {"modality": modality, "tokenCount": figure}
        for modality, figure in media
        if figure is not None
    ]
    return {**found, "promptTokensDetails": details} if details else found


def _probability(each: TokenProbability) -> Fields:
    return {"token": each.token, "logProbability": each.logprob}


def _sum(*figures: int | None) -> int | None:
    known: Iterable[int] = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
