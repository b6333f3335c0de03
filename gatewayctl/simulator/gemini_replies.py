"""How the simulator writes Gemini's replies: whole, as server-sent events or as a JSON array."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import probabilities
from gatewayctl.simulator.brain import Stop
from gatewayctl.simulator.wire import Frame, Made

MAKER: Final = "gemini"
"""Whose the seals of this protocol are."""

_FINISH: Final = {
    Stop.END: "STOP",
    Stop.LENGTH: "MAX_TOKENS",
    Stop.TOOL: "STOP",
    Stop.SEQUENCE: "STOP",
    Stop.FILTERED: "SAFETY",
    Stop.DECLINED: "PROHIBITED_CONTENT",
}


def whole(made: Made) -> bytes:
    """Write a ``GenerateContentResponse``."""
    answer = made.answer
    if answer.stop is Stop.DECLINED:
        declined = [_declined(made, index) for index in range(made.ask.n)]
        return msgspec.json.encode(_response(made, declined, answer.output_tokens * made.ask.n))
    parts = _thoughts(made, answer.thought)
    if answer.pieces or not (parts or answer.calls):
        parts.append({"text": answer.text})
    parts += _calls(made)
    if (seal := _closing_seal(made)) is not None:
        parts[-1]["thoughtSignature"] = seal
    finish = {"finishReason": _FINISH[answer.stop], **_logprobs(made, answer.pieces)}
    candidates = [_candidate(index, parts) | finish for index in range(made.ask.n)]
    return msgspec.json.encode(_response(made, candidates, answer.output_tokens * made.ask.n))


def stream(made: Made) -> Iterator[Frame]:
    """Write responses that hold a piece each; the last of each candidate says why it ends."""
    responses = list(_responses(made))
    last = len(responses) - 1
    for index, (response, is_content, is_last) in enumerate(responses):
        data = msgspec.json.encode(response)
        data = _placed(made, data, index)
        yield Frame(data=data, content=is_content, terminal=is_last)
        if made.ask.listed and index == last:
            yield Frame(data=b"\n]\n")


def _placed(made: Made, data: bytes, index: int) -> bytes:
    """Return a response in its stream: an event, or the next element of an array."""
    if not made.ask.listed:
        return sse.write("", data)
    return (b",\r\n" if index else b"[") + data


def _responses(made: Made) -> Iterator[tuple[dict[str, Any], bool, bool]]:
    """Yield each response, whether it carries content, and whether it ends its candidate."""
    answer = made.answer
    tokens = 0
    for index in range(made.ask.n):
        if answer.stop is Stop.DECLINED:
            tokens = answer.output_tokens * (index + 1)
            yield _response(made, [_declined(made, index)], tokens), False, True
            continue
        for parts, words in _steps(made):
            tokens += max(len(words), 1)
            chances = {} if parts[0].get("thought") else _logprobs(made, words)
            candidate = _candidate(index, parts) | chances
            yield _response(made, [candidate], tokens), True, False
        closing: dict[str, Any] = {"text": ""}
        if (seal := _closing_seal(made)) is not None:
            closing["thoughtSignature"] = seal
        finish = {"finishReason": _FINISH[answer.stop]}
        candidate = _candidate(index, [closing]) | finish
        tokens = answer.output_tokens * (index + 1)
        yield _response(made, [candidate], tokens), False, True


def _steps(made: Made) -> Iterator[tuple[list[dict[str, Any]], tuple[str, ...]]]:
    """Yield what each response brings, and the tokens of its text."""
    answer = made.answer
    if answer.told and answer.thoughts:
        middle = len(answer.thoughts) // 2
        for half in (answer.thoughts[:middle], answer.thoughts[middle:]):
            if half:
                yield _thoughts(made, "".join(half)), half
    for piece in answer.pieces:
        yield [{"text": piece}], (piece,)
    calls = _calls(made)
    if calls:
        yield calls, ()


def _declined(made: Made, index: int) -> dict[str, Any]:
    """Return a candidate without content, which says in a message of its own why."""
    reason = _FINISH[made.answer.stop]
    return {"finishReason": reason, "finishMessage": made.answer.text, "index": index}


def _thoughts(made: Made, text: str) -> list[dict[str, Any]]:
    return [{"text": text, "thought": True}] if made.answer.told and text else []


def _calls(made: Made) -> list[dict[str, Any]]:
    """Return the parts of the calls; the first has the proof of the thoughts before it."""
    parts: list[dict[str, Any]] = []
    for index, call in enumerate(made.answer.calls):
        fields: dict[str, Any] = {"name": call.name, "args": call.arguments}
        if not made.answer.nameless:
            fields["id"] = made.name("fc", index)
        parts.append({"functionCall": fields})
    if parts and made.answer.thoughts:
        parts[0]["thoughtSignature"] = made.seal(MAKER)
    return parts


def _closing_seal(made: Made) -> str | None:
    """Return the proof of the thoughts where no call has it."""
    return made.seal(MAKER) if made.answer.thoughts and not made.answer.calls else None


def _logprobs(made: Made, pieces: tuple[str, ...]) -> dict[str, Any]:
    """Return the probabilities of some tokens, where they were asked for."""
    count = made.ask.logprobs
    if count is None or not pieces:
        return {}
    told = [_likely(probabilities.chosen(piece)) for piece in pieces]
    found: dict[str, Any] = {"chosenCandidates": told}
    if count:
        found["topCandidates"] = [
            {"candidates": [_likely(it) for it in probabilities.alternatives(piece, count)]}
            for piece in pieces
        ]
    mean = sum(one["logProbability"] for one in told) / len(told)
    return {"avgLogprobs": mean, "logprobsResult": found}


def _likely(likely: probabilities.Likely) -> dict[str, Any]:
    return {"token": likely.token, "tokenId": len(likely.token), "logProbability": likely.logprob}


def _candidate(index: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"parts": parts, "role": "model"}, "index": index}


def _response(made: Made, candidates: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": _usage(made, tokens),
        "modelVersion": made.ask.model,
        "responseId": made.token,
    }


def _usage(made: Made, tokens: int) -> dict[str, Any]:
    """Return the counts when ``tokens`` are written; a candidate's do not include its thoughts."""
    answer = made.answer
    thoughts = min(answer.thought_tokens * made.ask.n, tokens)
    usage: dict[str, Any] = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": tokens - thoughts,
        "totalTokenCount": answer.input_tokens + tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input_tokens}],
    }
    if answer.cached:
        usage["cachedContentTokenCount"] = answer.cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": answer.cached}]
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage


def blocked(made: Made) -> bytes:
    """Write the reply to a prompt that a filter stopped: no candidates."""
    return msgspec.json.encode(_blocked(made))


def blocked_frame(made: Made) -> Frame:
    """Write the same as the only frame of a stream."""
    data = blocked(made)
    whole = b"[" + data + b"\n]\n" if made.ask.listed else sse.write("", data)
    return Frame(data=whole, terminal=True)


def _blocked(made: Made) -> dict[str, Any]:
    tokens = made.answer.input_tokens
    return {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {
            "promptTokenCount": tokens,
            "totalTokenCount": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        },
        "modelVersion": made.ask.model,
        "responseId": made.token,
    }
