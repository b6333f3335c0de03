"""Messages of the IR written as the contents of a Gemini request.

All that stands beside the contents is written in ``requests``.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, assert_never

import msgspec

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Image,
    Inline,
    Linked,
    Message,
    Part,
    Refusal,
    Result,
    Role,
    Source,
    Text,
    Thought,
    Uploaded,
    named,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import provenance
from gatewayctl.protocols.gemini import media, signatures
from gatewayctl.protocols.losses import Loss, Losses, refused

Content = dict[str, Any]

_ARGUMENTS = msgspec.json.Decoder(dict[str, Any])
_SYSTEM: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})
_ROLES: Final = {
    Role.SYSTEM: "user",
    Role.DEVELOPER: "user",
    Role.USER: "user",
    Role.ASSISTANT: "model",
}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The instructions' parts, and the turns."""

    instructions: list[Content]
    contents: list[Content]


class Writer:
    """Writes the messages of one request for the model ``origin``, named ``model`` upstream."""

    def __init__(self, losses: Losses, origin: str, model: str) -> None:
        self._losses = losses
        self._origin = origin
        self._model = model

    def write(self, messages: tuple[Message, ...]) -> Written:
        """Return instructions and turns; raise ``RequestInvalid`` for what cannot be said."""
        first = next(
            (place for place, it in enumerate(messages) if it.role not in _SYSTEM), len(messages)
        )
        if first == len(messages):
            first = 0  # there must be a turn
        instructions = [part for message in messages[:first] for part in self._plain(message.parts)]
        contents: list[Content] = []
        for role, group in _grouped(named(messages[first:])):
            for message in group:
                if message.role in _SYSTEM:
                    self._losses.add(Loss.ROLE_OF_LATER_SYSTEM)
                if message.name is not None:
                    self._losses.add(Loss.NAME_OF_SPEAKER)
            parts = self._own(group) if role == "model" else self._users(group)
            if parts:
                contents.append({"role": role, "parts": parts})
        return Written(instructions=instructions, contents=contents)

    def _users(self, group: Sequence[Message]) -> list[Content]:
        """Return the parts of a turn that is not the model's: what tools told comes first."""
        parts = [part for message in group for part in message.parts]
        results = [part for part in parts if isinstance(part, Result)]
        shown = [inner for part in results for inner in part.content if not _is_text(inner)]
        others = [part for part in parts if not isinstance(part, Result)]
        return [*map(self._result, results), *self._plain(shown), *self._plain(others)]

    def _own(self, group: Sequence[Message]) -> list[Content]:
        """Return the parts of the model's own turn, each with the signature it came with."""
        found: list[Content] = []
        signed = _Signed()
        for message in group:
            signed.begin()
            for part in message.parts:
                match part:
                    case Call():
                        written = self._call(part)
                        found.append(written)
                        signed.call(written)
                    case Thought():
                        found += self._thought(part, signed)
                    case _:
                        plain = self._plain((part,))
                        found += plain
                        signed.said(plain)
            found += signed.end()
        signed.place()
        stand_in = signatures.unsigned(self._model)
        if stand_in is not None and signed.calls:
            signed.calls[0].setdefault("thoughtSignature", stand_in)
        return found

    def _thought(self, thought: Thought, signed: "_Signed") -> list[Content]:
        seal = thought.seal
        if seal is None or not provenance.returns(seal, WireProtocol.GEMINI, self._origin):
            self._losses.add(Loss.REASONING_OF_ANOTHER)
            return []
        number = signatures.number_of(seal)
        if number is not None:
            signed.wait(number, seal.data)
            return []
        match seal.form:
            case signatures.TEXT:
                signed.sign_text(seal.data)
                return []
            case signatures.EMPTY:
                return [{"text": "", "thoughtSignature": seal.data}]
            case signatures.THOUGHT:
                return [
                    {"text": thought.text, "thought": True, "thoughtSignature": seal.data},
                ]
        return [{"text": thought.text, "thought": True}] if thought.text else []

    def _plain(self, parts: Iterable[Part]) -> list[Content]:
        """Return parts that are neither calls nor what came of them."""
        found: list[Content] = []
        for part in parts:
            if _cache(part) is not None:
                self._losses.add(Loss.CACHE)
            found += self._shown(part)
        return found

    def _shown(self, part: Part) -> list[Content]:
        match part:
            case Text(text=text) | Refusal(text=text):
                if isinstance(part, Refusal):
                    self._losses.add(Loss.REFUSAL)
                return [{"text": text}] if text else []
            case Image(source=source):
                if part.detail not in {None, "auto"}:
                    self._losses.add(Loss.IMAGE_DETAIL)
                return [_data(source)]
            case Audio(source=source):
                return [_data(source)]
            case Document():
                return self._document(part)
            case Thought():
                self._losses.add(Loss.REASONING_OF_ANOTHER)
                return []
            case Call() | Result():
                self._losses.add("tool calls in a turn that is not the model's")
                return []
        assert_never(part)

    def _document(self, document: Document) -> list[Content]:
        if document.name is not None:
            self._losses.add(Loss.DOCUMENT_NAME)
        if document.source is not None:
            return [_data(document.source)]
        return [{"text": document.text}] if document.text else []

    def _call(self, call: Call) -> Content:
        if call.cache is not None:
            self._losses.add(Loss.CACHE)
        written: Content = {"id": call.id} if call.id else {}
        written |= {"name": call.name, "args": _arguments(call.arguments)}
        part: Content = {"functionCall": written}
        if call.seal is not None:
            if provenance.returns(call.seal, WireProtocol.GEMINI, self._origin):
                part["thoughtSignature"] = call.seal.data
            else:
                self._losses.add(Loss.REASONING_OF_ANOTHER)
        return part

    def _result(self, result: Result) -> Content:
        if result.cache is not None or any(_cache(part) for part in result.content):
            self._losses.add(Loss.CACHE)
        texts = [_text(part) for part in result.content if _is_text(part)]
        key = "error" if result.failed else "output"
        written: Content = {"id": result.id} if result.id else {}
        written |= {"name": result.name or result.id, "response": {key: "\n".join(texts)}}
        return {"functionResponse": written}


class _Signed:
    """Finds the part that each signature came with, in one turn of the model's."""

    def __init__(self) -> None:
        self.calls: list[Content] = []
        self._first = 0
        self._text: Content | None = None
        self._waiting: list[tuple[int, int, str]] = []
        self._early: list[str] = []

    def begin(self) -> None:
        """Begin a message: its calls are counted from here."""
        self._first = len(self.calls)
        self._text = None

    def end(self) -> list[Content]:
        """End a message; return a part for each signature whose text is not there."""
        early, self._early = self._early, []
        return [{"text": "", "thoughtSignature": signature} for signature in early]

    def call(self, written: Content) -> None:
        """Take note of a call."""
        self.calls.append(written)

    def said(self, written: list[Content]) -> None:
        """Take note of text: a signature that came before it is its own, the next one else."""
        self._text = written[-1] if written and "text" in written[-1] else None
        if self._text is not None and self._early:
            self._text["thoughtSignature"] = self._early.pop(0)

    def sign_text(self, signature: str) -> None:
        """Sign the text said last, else the next: some clients tell all thoughts first."""
        if self._text is None or "thoughtSignature" in self._text:
            self._early.append(signature)
        else:
            self._text["thoughtSignature"] = signature

    def wait(self, number: int, signature: str) -> None:
        """Keep a call's signature until the calls are known: the one of its number, or the next."""
        self._waiting.append((self._first + number, len(self.calls), signature))

    def place(self) -> None:
        """Sign the calls."""
        for number, following, signature in self._waiting:
            places = (*self.calls[number : number + 1], *self.calls[following:])
            for call in places:
                if "thoughtSignature" not in call:
                    call["thoughtSignature"] = signature
                    break


def _grouped(messages: Iterable[Message]) -> Iterable[tuple[str, list[Message]]]:
    """Return the messages by turns: those of one role that follow each other are one."""
    found: list[tuple[str, list[Message]]] = []
    for message in messages:
        role = _ROLES[message.role]
        if found and found[-1][0] == role:
            found[-1][1].append(message)
        else:
            found.append((role, [message]))
    return found


def _is_text(part: Part) -> bool:
    return isinstance(part, Text) or (isinstance(part, Document) and part.source is None)


def _text(part: Part) -> str:
    return (part.text or "") if isinstance(part, Text | Document) else ""


def _cache(part: Part) -> str | None:
    found: str | None = getattr(part, "cache", None)
    return found


def _arguments(text: str) -> msgspec.Raw | dict[str, str]:
    """Return a call's arguments as they are; a text that is no object stands in one."""
    try:
        _ARGUMENTS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"arguments": text} if text.strip() else {}
    return msgspec.Raw(text.encode())


def _data(source: Source) -> Content:
    match source:
        case Inline(media_type=media_type, data=data):
            return {"inlineData": {"mimeType": media_type, "data": data}}
        case Linked(url=url, media_type=said):
            found = said or media.type_of(url)
            return {"fileData": {"fileUri": url} | ({"mimeType": found} if found else {})}
        case Uploaded():
            raise refused(Demand.UPLOADED, "$")
    assert_never(source)
