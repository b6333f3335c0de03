"""The order of a stream's events in each protocol, which no vendor's type says.

What is opened is closed, once; pieces are of the kind that was opened, and amount to what is told
whole; numbers count; ids stay the same. Every function takes a stream's events as the vendor's
types, pings left out, and fails with what is wrong.
"""

from typing import Any

import msgspec
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletionChunk

_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set[str](),
    "tool_use": {"input_json_delta"},
}
_CLOSED_BY = {
    "output_text": "response.output_text.done",
    "refusal": "response.refusal.done",
    "reasoning_text": "response.reasoning_text.done",
    "summary_text": "response.reasoning_summary_text.done",
}


def chat_completions(chunks: list[ChatCompletionChunk]) -> None:
    """One head on every chunk; each choice begins with its role and ends with its reason."""
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    open_choices: dict[int, bool] = {}
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.index not in open_choices:
                assert choice.delta.role == "assistant"
                open_choices[choice.index] = True
            else:
                assert choice.delta.role is None, "a role told twice"
            assert open_choices[choice.index], "a delta after the finish reason"
            open_choices[choice.index] = choice.finish_reason is None
            known = calls.setdefault(choice.index, [])
            for call in choice.delta.tool_calls or ():
                if call.index == len(known):
                    assert call.id, "a call begins without an id"
                    assert call.type == "function"
                    assert call.function
                    assert call.function.name, "a call begins without a name"
                    known.append(call.id)
                else:
                    assert call.index < len(known), "a call out of order"
                    assert call.id is None, "a call told twice"
            assert len(set(known)) == len(known), "two calls of one id"
    assert open_choices, "no choice at all"
    assert not any(open_choices.values()), "a choice never finished"
    assert all(not chunk.choices for chunk in chunks if chunk.usage), "usage beside a choice"


def messages(parsed: list[Any]) -> None:
    """One start, one end, and blocks one after another, with pieces of their own kind."""
    assert parsed[0].type == "message_start"
    assert parsed[0].message.content == []
    assert [event.type for event in parsed[-2:]] == ["message_delta", "message_stop"]
    opened = None
    blocks: list[Any] = []
    pieces: list[str] = []
    for event in parsed[1:-2]:
        match event.type:
            case "content_block_start":
                assert opened is None, "a block inside a block"
                assert event.index == len(blocks)
                opened, pieces = event.index, []
                blocks.append(event.content_block)
            case "content_block_delta":
                assert event.index == opened
                assert event.delta.type in _DELTAS[blocks[-1].type], "a piece of another kind"
                assert "signature_delta" not in pieces, "a thought goes on behind its signature"
                pieces.append(event.delta.type)
            case "content_block_stop":
                assert event.index == opened
                signed = blocks[-1].type != "thinking" or "signature_delta" in pieces
                assert signed, "a thought without a signature"
                opened = None
            case other:
                raise AssertionError(f"{other} in the middle of the stream")
    assert opened is None, "a block was never closed"
    ids = [block.id for block in blocks if block.type == "tool_use"]
    assert len(set(ids)) == len(ids), "two calls of one id"


def gemini(parsed: list[GenerateContentResponse]) -> None:
    """One head on every frame; each candidate ends with its reason, and its calls have names."""
    assert len({(frame.response_id, frame.model_version) for frame in parsed}) == 1
    open_candidates: dict[int, bool] = {}
    ids: list[str] = []
    for frame in parsed:
        for candidate in frame.candidates or ():
            index = candidate.index or 0
            assert open_candidates.get(index, True), "a candidate goes on behind its end"
            open_candidates[index] = candidate.finish_reason is None
            parts = (candidate.content.parts if candidate.content else None) or ()
            for call in (part.function_call for part in parts if part.function_call):
                assert call.name, "a call without a name"
                ids += [call.id] if call.id else []
    blocked = [frame.prompt_feedback for frame in parsed if frame.prompt_feedback]
    assert open_candidates or blocked, "no candidate at all"
    assert not any(open_candidates.values()), "a candidate never finished"
    assert len(set(ids)) == len(ids), "two calls of one id"


def responses(parsed: list[Any]) -> None:
    """Numbers from 0; items one after another, and at the end as they were told."""
    assert [event.sequence_number for event in parsed] == list(range(len(parsed)))
    assert [event.type for event in parsed[:2]] == ["response.created", "response.in_progress"]
    last = parsed[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert len({event.response.id for event in (*parsed[:2], last)}) == 1
    assert last.type == f"response.{last.response.status}"
    items = _Items()
    for event in parsed[2:-1]:
        if event.type != "response.in_progress":
            items.take(event)
    assert items.item is None, "an item was never done"
    assert items.done == last.response.output
    assert len({item.id for item in items.done}) == len(items.done), "two items of one id"


class _Items:
    """The items of a response as its events tell them: one at a time, and one part at a time."""

    def __init__(self) -> None:
        self.item: Any = None
        self.done: list[Any] = []
        self._part: Any = None
        self._parts: list[Any] = []
        self._texts: list[str] = []
        self._last = ""

    def take(self, event: Any) -> None:
        """Take one more event."""
        kind = event.type
        if kind == "response.output_item.added":
            assert self.item is None, "an item inside an item"
            self.item, self._parts, self._texts = event.item, [], []
        assert self.item is not None, f"{kind} outside of an item"
        assert event.output_index == len(self.done)
        assert getattr(event, "item_id", self.item.id) == self.item.id
        if kind.endswith("part.added"):
            assert self._part is None, "a part inside a part"
            assert _index(event) == len(self._parts)
            self._part, self._texts = event.part, []
        elif kind.endswith(".delta"):
            assert self._part is not None or kind == "response.function_call_arguments.delta"
            self._texts.append(event.delta)
        elif kind.endswith("part.done"):
            assert self._last == _CLOSED_BY[self._part.type], "a part's text was never done"
            assert event.part.type == self._part.type
            assert _text(event.part) == "".join(self._texts), "a part is not its pieces"
            self._part = None
            self._parts.append(event.part)
        elif kind == "response.output_item.done":
            self._item_done(event.item)
        elif kind.endswith(".done"):
            whole = next(
                value
                for name in ("text", "refusal", "arguments")
                if (value := getattr(event, name, None)) is not None
            )
            assert whole == "".join(self._texts), "a text is not its pieces"
        self._last = kind

    def _item_done(self, item: Any) -> None:
        assert self._part is None, "a part was never done"
        assert (item.id, item.type) == (self.item.id, self.item.type)
        match item.type:
            case "function_call":
                assert self._last == "response.function_call_arguments.done"
                assert item.arguments == "".join(self._texts)
                assert (item.call_id, item.name) == (self.item.call_id, self.item.name)
            case "reasoning":
                said = [*item.summary, *(item.content or ())]
                assert [_said(part) for part in said] == [_said(part) for part in self._parts]
            case _:
                assert item.content == self._parts
        assert len(msgspec.json.encode(item.id)) > 2, "an empty id"
        self.done.append(item)
        self.item = None


def _index(event: Any) -> int:
    found = getattr(event, "content_index", None)
    return int(event.summary_index if found is None else found)


def _said(part: Any) -> tuple[str, str]:
    """Return what a part is and says: the same thing has several classes."""
    return part.type, _text(part)


def _text(part: Any) -> str:
    return str(part.refusal if part.type == "refusal" else part.text)
