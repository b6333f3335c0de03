"""Replies of the four protocols that say what they are metered, and what was said of it where.

Every frame of a stream carries along what has been told once it was read: that is the meter which
a ledger is held against.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from support.bills import PARTS, Tokens

Counts = Mapping[str, int]
"""What was told: tokens by dimension; what was not told is not in it."""

STYLES: Final = {
    "chat_completions": ("final", "finish", "each", "zeros", "hidden", "none"),
    "responses": ("final", "incomplete", "none"),
    "messages": ("final", "repeated", "zeros", "late", "none"),
    "gemini": ("each", "last", "none"),
}
"""Where a server puts its usage; ``none`` is nowhere."""


class State(NamedTuple):
    """What a reader knows: the counts, the characters of the answer, and whether it is whole."""

    counts: Counts
    written: int
    whole: bool = False


class Frame(NamedTuple):
    """Bytes of a stream, and what is known once they were read."""

    data: bytes
    state: State


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to be told in any protocol: its text in pieces, its meter, and in which style."""

    protocol: str
    tokens: Tokens
    pieces: tuple[str, ...]
    style: str
    tier: str = ""

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(self.pieces)

    @property
    def told_tier(self) -> str:
        """What a reader is told of the tier, in the protocol's own word."""
        if self.protocol == "messages" and self.tier == "default":
            return "" if self.style == "none" else "standard"
        inside = self.protocol in {"messages", "gemini"}
        return "" if inside and self.style == "none" else self.tier

    def counts(self) -> Counts:
        """Return all that a reader of this protocol is told."""
        if self.style == "none":
            return {}
        told = msgspec.structs.asdict(self.tokens)
        told["reasoning_output"] = told.pop("reasoning")
        return {name: count for name, count in told.items() if count}

    def whole(self) -> bytes:
        """Return it as a whole reply."""
        return _json(_WHOLE[self.protocol](self))

    def frames(self) -> list[Frame]:
        """Return it as the frames of a stream."""
        return list(_STREAMS[self.protocol](self))

    def error(self) -> bytes:
        """Return an error in the middle of a stream."""
        error = {"type": "server_error", "code": "server_error", "message": "out of order"}
        match self.protocol:
            case "messages":
                return _event({"type": "error", "error": {**error, "type": "api_error"}})
            case "responses":
                return _event({"type": "error", "sequence_number": 99, **error})
            case "gemini":
                return _data({"error": {"code": 500, "message": "no", "status": "INTERNAL"}})
            case _:
                return _data({"error": error})


def drawn_style(chance: random.Random, protocol: str) -> str:
    """Return a style, seldom the one that tells nothing."""
    *told, nothing = STYLES[protocol]
    return nothing if chance.random() < 0.05 else chance.choice(told)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _data(value: Any) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _event(value: Mapping[str, Any]) -> bytes:
    name: str = value["type"]
    return f"event: {name}\n".encode() + _data(value)


_PARTS: Final = ("reasoning_output", *PARTS)


def _upto(answer: Answer, output: int) -> Counts:
    """Return the counts of an answer under way that has ``output`` tokens so far."""
    told = {**answer.counts(), "output": output}
    return {name: count for name, count in told.items() if name not in _PARTS}


def _openai(answer: Answer, names: tuple[str, str], output: int | None = None) -> dict[str, Any]:
    """Return a usage object of Chat Completions or of Responses, by its ``names`` of the sides."""
    tokens, (read, written) = answer.tokens, names
    made = tokens.output if output is None else output
    details = {
        "cached_tokens": tokens.input_cache_read,
        "cache_write_tokens": tokens.input_cache_write_5m,
        "audio_tokens": tokens.audio,
        "image_tokens": tokens.image,
    }
    reasoning = tokens.reasoning if output is None else 0
    apart = reasoning if answer.style == "hidden" else 0
    parts = {"reasoning_tokens": reasoning}
    if output is None:
        parts |= {"audio_tokens": tokens.output_audio, "image_tokens": tokens.output_image}
    return {
        read: tokens.read,
        written: made - apart,
        "total_tokens": tokens.read + made,
        f"{read}_details": {name: count for name, count in details.items() if count},
        f"{written}_details": {name: count for name, count in parts.items() if count},
    }


_CHAT: Final = ("prompt_tokens", "completion_tokens")
_RESPONSES: Final = ("input_tokens", "output_tokens")


def _chat(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    found = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    tier = {"service_tier": answer.tier} if answer.tier else {}
    usage = {} if answer.style == "none" else {"usage": _openai(answer, _CHAT)}
    return {**found, "choices": [choice], **usage, **tier}


def _chat_stream(answer: Answer) -> Iterator[Frame]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if answer.tier:
        head["service_tier"] = answer.tier

    def chunk(delta: dict[str, Any], finish: str | None = None, usage: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({**head, "choices": [choice], **({"usage": usage} if usage else {})})

    state = State({}, 0)
    yield Frame(chunk({"role": "assistant", "content": ""}), state)
    for number, piece in enumerate(answer.pieces, 1):
        usage = None
        if answer.style == "each":
            output = -(-answer.tokens.output * number // len(answer.pieces))
            usage = _openai(answer, _CHAT, output)
            state = State(_upto(answer, output), state.written)
        state = State(state.counts, state.written + len(piece))
        yield Frame(chunk({"content": piece}, usage=usage), state)
    last = _openai(answer, _CHAT)
    told = State(answer.counts(), state.written)
    if answer.style == "finish":
        yield Frame(chunk({}, "stop", last), told)
    else:
        yield Frame(chunk({}, "stop"), state)
    if answer.style in {"final", "zeros", "each", "hidden"}:
        yield Frame(_data({**head, "choices": [], "usage": last}), told)
    if answer.style == "zeros":
        nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        yield Frame(_data({**head, "choices": [], "usage": nothing}), told)
    yield Frame(b"data: [DONE]\n\n", State(answer.counts(), state.written, whole=True))


def _response(answer: Answer, status: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": answer.text, "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "status": status, "content": [text]}
    found = {"id": "r", "object": "response", "created_at": 1, "status": status, "model": "m"}
    if answer.tier:
        found["service_tier"] = answer.tier
    if status == "incomplete":
        found["incomplete_details"] = {"reason": "max_output_tokens"}
    done = status in {"completed", "incomplete"}
    usage = None if not done or answer.style == "none" else _openai(answer, _RESPONSES)
    return {**found, "output": [item] if done else [], "usage": usage}


def _responses(answer: Answer) -> dict[str, Any]:
    return _response(answer, "incomplete" if answer.style == "incomplete" else "completed")


def _responses_stream(answer: Answer) -> Iterator[Frame]:
    numbers = iter(range(10_000))

    def event(name: str, **fields: Any) -> bytes:
        return _event({"type": f"response.{name}", "sequence_number": next(numbers), **fields})

    state = State({}, 0)
    at = {"item_id": "i", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "i", "role": "assistant", "status": "in_progress"}
    yield Frame(event("created", response=_response(answer, "in_progress")), state)
    empty = {**item, "content": []}
    yield Frame(event("output_item.added", output_index=0, item=empty), state)
    part = {"type": "output_text", "text": "", "annotations": []}
    yield Frame(event("content_part.added", **at, part=part), state)
    for piece in answer.pieces:
        state = State({}, state.written + len(piece))
        yield Frame(event("output_text.delta", **at, delta=piece), state)
    whole = _responses(answer)
    (done,) = whole["output"]
    yield Frame(event("output_text.done", **at, text=answer.text), state)
    yield Frame(event("content_part.done", **at, part=done["content"][0]), state)
    yield Frame(event("output_item.done", output_index=0, item=done), state)
    told = State(answer.counts(), state.written, whole=True)
    yield Frame(event(whole["status"], response=whole), told)


def _anthropic(answer: Answer, output: int) -> dict[str, Any]:
    tokens = answer.tokens
    short, long = tokens.input_cache_write_5m, tokens.input_cache_write_1h
    usage: dict[str, Any] = {"input_tokens": tokens.input, "output_tokens": output}
    if tokens.input_cache_read:
        usage["cache_read_input_tokens"] = tokens.input_cache_read
    if short or long:
        usage["cache_creation_input_tokens"] = short + long
    if long:
        each = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
        usage["cache_creation"] = each
    if tokens.reasoning and output == tokens.output:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage | _speed(answer)


def _speed(answer: Answer) -> dict[str, str]:
    if answer.tier in {"", "default"}:
        return {"service_tier": "standard"} if answer.tier else {}
    return {"speed": answer.tier} if answer.tier == "fast" else {"service_tier": answer.tier}


def _message(usage: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    said = [] if text is None else [{"type": "text", "text": text}]
    found = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": said}
    reason = None if text is None else "end_turn"
    return {**found, "stop_reason": reason, "stop_sequence": None, "usage": usage}


def _messages(answer: Answer) -> dict[str, Any]:
    told = {} if answer.style == "none" else _anthropic(answer, answer.tokens.output)
    return _message(told, answer.text)


def _messages_stream(answer: Answer) -> Iterator[Frame]:
    final = _anthropic(answer, answer.tokens.output)
    first, state = _anthropic(answer, 1), State(_upto(answer, 1), 0)
    last: dict[str, Any] = {"output_tokens": answer.tokens.output}
    if "output_tokens_details" in final:
        last["output_tokens_details"] = final["output_tokens_details"]
    match answer.style:
        case "none":
            first, last, final, state = {}, {}, {}, State({}, 0)
        case "late":
            zeros = {"input_tokens": 0, "output_tokens": 0}
            first, last, state = zeros, final, State({"input": 0, "output": 0}, 0)
        case "repeated":
            last = final
        case "zeros":
            nothing = {"input_tokens": 0, "cache_read_input_tokens": 0}
            last = {**last, **nothing, "cache_creation_input_tokens": 0}
    start = {"type": "message_start", "message": _message(first, None)}
    yield Frame(_event(start), state)
    block = {"type": "text", "text": ""}
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    yield Frame(_event(begin), state)
    yield Frame(_event({"type": "ping"}), state)
    for piece in answer.pieces:
        state = State(state.counts, state.written + len(piece))
        delta = {"type": "text_delta", "text": piece}
        yield Frame(_event({"type": "content_block_delta", "index": 0, "delta": delta}), state)
    yield Frame(_event({"type": "content_block_stop", "index": 0}), state)
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    told = State(answer.counts(), state.written)
    yield Frame(_event({"type": "message_delta", "delta": end, "usage": last}), told)
    yield Frame(_event({"type": "message_stop"}), State(told.counts, told.written, whole=True))


def _by_medium(image: int, audio: int) -> list[dict[str, Any]]:
    media = (("IMAGE", image), ("AUDIO", audio))
    return [{"modality": name, "tokenCount": count} for name, count in media if count]


def _google(answer: Answer, output: int | None) -> dict[str, Any]:
    tokens = answer.tokens
    usage: dict[str, Any] = {"promptTokenCount": tokens.read}
    if tokens.input_cache_read:
        usage["cachedContentTokenCount"] = tokens.input_cache_read
    details = _by_medium(tokens.image, tokens.audio)
    if details:
        usage["promptTokensDetails"] = details
    if output is None:
        usage["candidatesTokenCount"] = tokens.output - tokens.reasoning
        made = _by_medium(tokens.output_image, tokens.output_audio)
        if made:
            usage["candidatesTokensDetails"] = made
        if tokens.reasoning:
            usage["thoughtsTokenCount"] = tokens.reasoning
    elif output:
        usage["candidatesTokenCount"] = output
    if answer.tier:
        usage["serviceTier"] = answer.tier
    return usage


def _candidate(text: str, finish: str | None) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"content": content, "index": 0, **({"finishReason": finish} if finish else {})}


def _gemini(answer: Answer) -> dict[str, Any]:
    usage = {} if answer.style == "none" else {"usageMetadata": _google(answer, None)}
    return {"candidates": [_candidate(answer.text, "STOP")], "modelVersion": "m", **usage}


def _gemini_stream(answer: Answer) -> Iterator[Frame]:
    state = State({}, 0)
    for number, piece in enumerate(answer.pieces):
        found: dict[str, Any] = {"candidates": [_candidate(piece, None)], "modelVersion": "m"}
        counts: Counts = {}
        if answer.style == "each":
            said = answer.tokens.output - answer.tokens.reasoning
            output = said * number // len(answer.pieces)
            found["usageMetadata"] = _google(answer, output)
            counts = _upto(answer, output)
            if not output:
                counts = {name: count for name, count in counts.items() if name != "output"}
        state = State(counts, state.written + len(piece))
        yield Frame(_data(found), state)
    last = _gemini(answer) | {"candidates": [_candidate("", "STOP")]}
    yield Frame(_data(last), State(answer.counts(), state.written, whole=True))


_WHOLE: Final = {
    "chat_completions": _chat,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
}
_STREAMS: Final = {
    "chat_completions": _chat_stream,
    "responses": _responses_stream,
    "messages": _messages_stream,
    "gemini": _gemini_stream,
}
