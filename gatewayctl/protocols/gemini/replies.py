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
        for part in choice.parts:
            match part:
                case Text(text=text) | Refusal(text=text):
                    parts.text(text)
                case Thought():
                    parts.thought(part.text)
                    parts.thought_over(part)
                case Call():
                    parts.call(part)
                case _:
                    assert_never(part)
        parts.rest()
        candidates.append(
            candidate(
                parts.taken(),
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
    """Gathers the parts of one candidate, in order; ``taken`` is what was not told before.

    A client may leave the thoughts out of what it sends back; so those before a call stand, text
    and all, in its signature. Before text they stand in the signature of a thought, and once more
    in that of the call that follows the text, if one does.
    """

    def __init__(self, context: ReplyContext) -> None:
        thinking = context.prompt.thinking
        self._origin = context.origin
        self._visible = thinking is None or thinking.visible is not False
        self._thoughts: list[Thought] = []
        self._earlier: list[Thought] = []
        self._open: list[str] = []
        self._told: list[Fields] = []
        self.malformed = False

    def taken(self) -> list[Fields]:
        """Return what is to be told, once."""
        told, self._told = self._told, []
        return told

    def thought(self, text: str) -> None:
        """Take more of a thought; it is not told where the client wants none."""
        if not text:
            return
        self._open.append(text)
        if self._visible:
            self._tell({"text": text, "thought": True})

    def thought_over(self, thought: Thought) -> None:
        """End a thought, of which ``thought`` says all but the text."""
        text = "".join(self._open)
        self._open = []
        if text or thought.seal is not None:
            self._thoughts.append(msgspec.structs.replace(thought, text=text))

    def text(self, text: str) -> None:
        """Take more text."""
        if text:
            self.rest()
            self._tell({"text": text})

    def call(self, call: Call) -> None:
        """Take a call; none whose arguments are no object, which nobody could carry out."""
        try:
            _OBJECT.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            self.malformed = True
            return
        written: Fields = {"id": call.id} if call.id else {}
        arguments = msgspec.Raw((call.arguments or "{}").encode())
        part: Fields = {"functionCall": {**written, "name": call.name, "args": arguments}}
        if call.seal is not None:
            self.thought_over(Thought())
            self._thoughts.append(Thought(seal=call.seal))
        self.thought_over(Thought())
        if self._thoughts or self._earlier:
            part["thoughtSignature"] = signatures.carried(
                self._thoughts, self._origin, self._earlier
            )
            self._thoughts, self._earlier = [], []
        self._tell(part)

    def rest(self) -> None:
        """Take the end of what was thought, which no call follows."""
        self.thought_over(Thought())
        if self._thoughts:
            signature = signatures.carried(self._thoughts, self._origin)
            self._tell({"text": "", "thought": True, "thoughtSignature": signature})
            self._earlier += self._thoughts
            self._thoughts = []

    def _tell(self, part: Fields) -> None:
        """Add a part; text or a thought goes on in the last one, until that is signed."""
        last = self._told[-1] if self._told else {}
        same = "text" in last and "text" in part and last.get("thought") == part.get("thought")
        if same and "thoughtSignature" not in last:
            self._told[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            self._told.append(part)


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

    What is not known is null, or left out where few know it.
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
    found: Fields = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said,
        "totalTokenCount": _sum(prompt, usage.output),
    }
    if usage.input_cache_read is not None:
        found["cachedContentTokenCount"] = usage.input_cache_read
    if usage.reasoning_output is not None:
        found["thoughtsTokenCount"] = usage.reasoning_output
    made = (("IMAGE", usage.output_image), ("AUDIO", usage.output_audio))
    if told := [{"modality": it, "tokenCount": figure} for it, figure in made if figure]:
        found["candidatesTokensDetails"] = told
    media = (("TEXT", text), ("IMAGE", usage.image), ("AUDIO", usage.audio))
    details = [
        {"modality": modality, "tokenCount": figure}
        for modality, figure in media
        if figure or (figure is not None and modality == "TEXT")
    ]
    return {**found, "promptTokensDetails": details} if details else found


def _probability(each: TokenProbability) -> Fields:
    return {"token": each.token, "logProbability": each.logprob}


def _sum(*figures: int | None) -> int | None:
    known: Iterable[int] = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
