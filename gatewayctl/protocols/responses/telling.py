"""Tells one output item of an upstream as events of the IR, each part of it once.

In which order items are told is the business of ``reading``.
"""

from typing import Any, Final

import msgspec

from gatewayctl.core.events import (
    CallBegun,
    CallDelta,
    Event,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    TokenProbability,
)
from gatewayctl.protocols import tool_names
from gatewayctl.protocols.responses import seals
from gatewayctl.protocols.sse import BadFrame

_MESSAGE: Final = "message"
_REASONING: Final = "reasoning"
_CALL: Final = "function_call"
_CUSTOM: Final = "custom_tool_call"

_TEXT, _REFUSAL, _SUMMARY, _CONTENT, _ARGUMENTS = "text", "refusal", "summary", "content", "args"
_PIECES: Final = {
    "output_text": (_MESSAGE, _TEXT, "text"),
    "refusal": (_MESSAGE, _REFUSAL, "refusal"),
    "reasoning_summary_text": (_REASONING, _SUMMARY, "text"),
    "reasoning_summary": (_REASONING, _SUMMARY, "text"),
    "reasoning_text": (_REASONING, _CONTENT, "text"),
    "reasoning": (_REASONING, _CONTENT, "text"),
    "function_call_arguments": (_CALL, _ARGUMENTS, "arguments"),
}
"""What each pair of events (``.delta``, ``.done``) adds to: the item's kind, the part's, and the
field of the second that holds all of it."""

_LARGE: Final = 1e9  # no logarithm of a probability
_PARTS: Final = {"content_part.done", "reasoning_summary_part.done"}
_ITEMS: Final = {"output_item.added", "output_item.done"}


class Read(msgspec.Struct):
    """What is read of an event; any field may be of any form."""

    type: Any = None
    output_index: Any = None
    item_id: Any = None
    content_index: Any = None
    summary_index: Any = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    name: Any = None
    logprobs: Any = None
    part: Any = None
    item: Any = None
    response: Any = None


class Telling:
    """One item as far as it was told.

    ``kind`` is its type, empty while unknown; ``call`` the number of its call, None while it has
    begun none; ``refused`` says that the last that was told of it was a refusal; ``quiet``, that
    the last that came of it says that a part is over.
    """

    def __init__(self) -> None:
        self.kind = ""
        self.call: int | None = None
        self._told = False
        self.refused = False
        self.quiet = False
        self._id: str | None = None
        self._call_id = ""
        self._counts: dict[tuple[str, int], int] = {}
        self._probabilities: dict[int, int] = {}
        self._thinks = ""  # which of its parts tell the thought: summary or content
        self._part = -1
        self._waiting: list[str] = []  # arguments of a call whose name did not come yet

    @staticmethod
    def knows(read: Read) -> bool:
        """Tell whether an event can say anything of an item."""
        name = read.type.removeprefix("response.")
        if name in _ITEMS:
            return isinstance(read.item, dict)
        return name in _PARTS or name.rpartition(".")[0] in _PIECES

    def take(self, read: Read, calls: int, *, is_last: bool) -> list[Event]:
        """Return what an event adds; ``calls`` were begun before.

        ``is_last``: nothing else was told since the last of this item.
        """
        found: list[Event] = []
        name = read.type.removeprefix("response.")
        piece, _, how = name.rpartition(".")
        self.quiet = how == "done"
        if name in _ITEMS:
            self._item(read.item, found, calls, over=how == "done", is_last=is_last)
        elif name in _PARTS:
            index = read.content_index if name == "content_part.done" else read.summary_index
            self._whole_part(read.part, _index(index), found)
        else:
            self._piece(piece, read, found, calls, whole=how == "done")
        self._told = self._told or bool(found)
        return found

    def _piece(
        self, piece: str, read: Read, found: list[Event], calls: int, *, whole: bool
    ) -> None:
        kind, part, field = _PIECES[piece]
        self.kind = self.kind or kind
        index = _index(read.summary_index if part == _SUMMARY else read.content_index)
        text = getattr(read, field) if whole else read.delta
        if part == _ARGUMENTS:
            index = 0
            if isinstance(read.name, str) and self.call is None and self._call_id:
                self._begin_call(self._call_id, read.name, found, calls)
        if part == _TEXT:
            self._text(index, text, read.logprobs, found, whole=whole)
        elif isinstance(text, str):
            self._add(part, index, text, found, whole=whole)

    def _item(
        self, item: dict[str, Any], found: list[Event], calls: int, *, over: bool, is_last: bool
    ) -> None:
        self.kind = self.kind or str(item.get("type"))
        name = item.get("id")
        self._id = name if isinstance(name, str) and name else self._id
        if self.kind in {_CALL, _CUSTOM}:
            self._call(item, found, calls, over=over)
        elif over and self.kind == _REASONING:
            self._reasoning(item, found, is_last=is_last)
        elif over and self.kind == _MESSAGE:
            content = item.get("content")
            if isinstance(content, str):  # as in a request, some servers say it without parts
                content = [{"type": "output_text", "text": content}]
            for index, part in enumerate(content if isinstance(content, list) else ()):
                self._whole_part(part, index, found)

    def _whole_part(self, part: Any, index: int, found: list[Event]) -> None:
        match part:
            case {"type": "output_text" | "text", "text": str() as text}:
                self._text(index, text, part.get("logprobs"), found, whole=True)
            case {"type": "refusal", "refusal": str() as text}:
                self._add(_REFUSAL, index, text, found, whole=True)
            case {"type": "summary_text", "text": str() as text}:
                self._add(_SUMMARY, index, text, found, whole=True)
            case {"type": "reasoning_text", "text": str() as text}:
                self._add(_CONTENT, index, text, found, whole=True)
            case _:
                return

    def _text(
        self, index: int, text: Any, logprobs: Any, found: list[Event], *, whole: bool
    ) -> None:
        """Tell what is new of a text, and of the probabilities of its tokens."""
        told = _probabilities(logprobs)
        known = self._probabilities.get(index, 0)
        if whole:
            told = told[known:]
        self._probabilities[index] = known + len(told)
        rest = self._rest(_TEXT, index, text, whole=whole)
        if rest or told:
            self.refused = False
            found.append(TextDelta(text=rest, logprobs=tuple(told)))

    def _add(self, part: str, index: int, text: str, found: list[Event], *, whole: bool) -> None:
        if part in {_SUMMARY, _CONTENT}:
            if not text or (self._thinks and self._thinks != part):
                return
            self._thinks = part
        rest = self._rest(part, index, text, whole=whole)
        if not rest:
            return
        if part == _REFUSAL:
            self.refused = True
            found.append(RefusalDelta(text=rest))
        elif part == _ARGUMENTS:
            self._arguments(rest, found)
        else:
            begins = self._part not in {-1, index}
            self._part = index
            found.append(ThoughtDelta(text=f"{seals.BETWEEN}{rest}" if begins else rest))

    def _rest(self, part: str, index: int, text: Any, *, whole: bool) -> str:
        """Return what is new of a part: ``text`` is all of it, or more of it."""
        if not isinstance(text, str):
            return ""
        known = self._counts.get((part, index), 0)
        rest = text[known:] if whole else text
        self._counts[part, index] = known + len(rest)
        return rest

    def _reasoning(self, item: dict[str, Any], found: list[Event], *, is_last: bool) -> None:
        """End a thought; one that others were told after is over already."""
        if self._told and not is_last:
            return
        for field, part in (("summary", _SUMMARY), ("content", _CONTENT)):
            given = item.get(field)
            if isinstance(given, str | list):
                for index, text in enumerate(seals.texts(given)):
                    self._add(part, index, text, found, whole=True)
        plain = self._thinks == _CONTENT
        seal = seals.seal(self._id, item.get("encrypted_content"), plain=plain)
        if seal is not None or self._thinks:
            found.append(ThoughtEnded(seal=seal, id=self._id))

    def _call(self, item: dict[str, Any], found: list[Event], calls: int, *, over: bool) -> None:
        given = item.get("call_id")
        self._call_id = given if isinstance(given, str) and given else self._call_id
        name = item.get("name")
        if self.call is None and isinstance(name, str) and name:
            self._begin_call(self._call_id or (self._id or ""), name, found, calls)
        if not over:
            return
        arguments = item.get("arguments")
        if self.kind == _CUSTOM:
            arguments = {"input": item.get("input")}
        if isinstance(arguments, dict):
            arguments = _written(arguments)
        if isinstance(arguments, str):
            self._add(_ARGUMENTS, 0, arguments, found, whole=True)

    def _begin_call(self, call_id: str, name: str, found: list[Event], calls: int) -> None:
        self.call = calls
        found.append(CallBegun(call=calls, id=call_id, name=tool_names.original(name)))
        waiting, self._waiting = "".join(self._waiting), []
        if waiting:
            found.append(CallDelta(call=calls, arguments=waiting))

    def _arguments(self, text: str, found: list[Event]) -> None:
        if self.call is None:
            self._waiting.append(text)
        else:
            found.append(CallDelta(call=self.call, arguments=text))


def _written(arguments: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(arguments).decode()
    except RecursionError as error:
        raise BadFrame("the arguments of a call are nested too deeply") from error


def _index(value: Any) -> int:
    return value if type(value) is int else 0


def _probabilities(value: Any, *, top: bool = True) -> list[TokenProbability]:
    """Return the probabilities of tokens; what has another form is none."""
    found = []
    for each in value if isinstance(value, list) else ():
        match each:
            case {"token": str() as token, "logprob": int() | float() as logprob} if (
                -_LARGE < logprob < _LARGE
            ):
                others = _probabilities(each.get("top_logprobs"), top=False) if top else ()
                found.append(
                    TokenProbability(token=token, logprob=float(logprob), top=tuple(others))
                )
            case _:
                continue
    return found
