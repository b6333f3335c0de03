"""The turns of the IR as messages of a Chat Completions request.

Texts go out as text, not as lists of parts, which many servers of this protocol do not take.
Results of tools are messages of their own here, right behind the calls; what they hold besides
text follows in the user's next message, since a ``tool`` message has no place for it.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
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
    Refusal,
    Result,
    Role,
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import data_urls, provenance, tool_names
from gatewayctl.protocols.chat_completions import thoughts
from gatewayctl.protocols.losses import Loss, Losses, refused

_BETWEEN: Final = "\n\n"
_LONGEST_ID: Final = 40  # characters of a call's id that OpenAI takes
_SHORT: Final = 9
_SHORT_ID: Final = re.compile("[a-zA-Z0-9]{9}")
_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_JSON = msgspec.json.Decoder(Any)

Medium = Image | Document | Audio
Said = Text | Medium


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What servers want otherwise than others.

    ``reasoning`` is the field in which a model's own thoughts go back, None where it has none;
    ``reasoning_required``: the model's messages are refused without it. ``short_ids``: ids of calls
    are nine letters and digits.
    """

    reasoning: str | None = "reasoning_content"
    reasoning_required: bool = False
    short_ids: bool = False

    def id(self, call_id: str) -> str:
        """Return a call's id as it is taken: this one, or always the same for it."""
        fits = len(call_id) <= _LONGEST_ID
        if self.short_ids:
            fits = _SHORT_ID.fullmatch(call_id) is not None
        if fits:
            return call_id
        digest = hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()
        return digest[:_SHORT] if self.short_ids else f"call_{digest[:32]}"


def written(
    turns: Sequence[Message], origin: str, form: Form, losses: Losses
) -> list[dict[str, Any]]:
    """Return the messages for the model ``origin``; ``losses`` is told what they cannot hold.

    Raises ``RequestInvalid`` for what cannot be said and may not be dropped.
    """
    found: list[dict[str, Any]] = []
    for role, group in groupby(turns, key=lambda turn: turn.role):
        match role:
            case Role.SYSTEM | Role.DEVELOPER:
                found += (_system(turn, losses) for turn in group)
            case Role.USER:
                found += _users(tuple(group), form, losses)
            case Role.ASSISTANT:
                found += _assistants(group, _Answer(origin, form, losses))
            case _:
                assert_never(role)
    return found


def _system(turn: Message, losses: Losses) -> dict[str, Any]:
    """Return a message of the role that every server knows; newer ones take it for theirs."""
    said = _said(turn, losses)
    if any(not isinstance(part, Text) for part in said):
        losses.add(*(_word(part) for part in said if not isinstance(part, Text)))
    texts = (part.text for part in said if isinstance(part, Text))
    return _named(turn, {"role": "system", "content": _BETWEEN.join(texts)})


def _users(turns: tuple[Message, ...], form: Form, losses: Losses) -> Iterable[dict[str, Any]]:
    """Yield the user's messages: first every result of theirs, then what the user says."""
    media: list[Medium] = []
    for turn in turns:
        for part in turn.parts:
            if isinstance(part, Result):
                yield _result(part, form, losses)
                media += (it for it in part.content if not isinstance(it, Text))
    for turn in turns:
        said = _said(turn, losses)
        if said or not any(isinstance(part, Result) for part in turn.parts):
            yield _named(turn, {"role": "user", "content": _content((*media, *said), losses)})
            media = []
    if media:
        yield {"role": "user", "content": _content(media, losses)}


def _result(result: Result, form: Form, losses: Losses) -> dict[str, Any]:
    if result.failed:
        losses.add(Loss.IS_ERROR)
    if result.cache is not None or any(
        part.cache is not None for part in result.content if not isinstance(part, Audio)
    ):
        losses.add(Loss.CACHE)
    texts = (part.text for part in result.content if isinstance(part, Text))
    return {"role": "tool", "tool_call_id": form.id(result.id), "content": _BETWEEN.join(texts)}


def _said(turn: Message, losses: Losses) -> list[Said]:
    """Return what a turn says that is no result, no call and no thought."""
    found = [part for part in turn.parts if isinstance(part, Said)]
    if any(part.cache is not None for part in found if not isinstance(part, Audio)):
        losses.add(Loss.CACHE)
    return found


def _named(turn: Message, message: dict[str, Any]) -> dict[str, Any]:
    return message if turn.name is None else {**message, "name": turn.name}


def _content(said: Sequence[Said], losses: Losses) -> str | list[dict[str, Any]]:
    if all(isinstance(part, Text) for part in said):
        return _BETWEEN.join(part.text for part in said if isinstance(part, Text))
    return [_part(part, losses) for part in said]


def _part(part: Said, losses: Losses) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            return _image(part)
        case Document():
            return _document(part, losses)
        case Audio():
            return _audio(part)
    assert_never(part)


def _image(image: Image) -> dict[str, Any]:
    match image.source:
        case Inline():
            url = data_urls.written(image.source)
        case Linked():
            url = image.source.url
        case Uploaded():
            raise refused(Demand.UPLOADED, "$.messages")
        case _:
            assert_never(image.source)
    detail = {} if image.detail is None else {"detail": image.detail}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _document(document: Document, losses: Losses) -> dict[str, Any]:
    match document.source:
        case None:
            if document.name is not None:
                losses.add(Loss.DOCUMENT_NAME)
            return {"type": "text", "text": document.text or ""}
        case Inline():
            name = document.name or f"document.{_extension(document.source.media_type)}"
            data = data_urls.written(document.source)
            return {"type": "file", "file": {"filename": name, "file_data": data}}
        case Linked():
            raise refused(Demand.DOCUMENT_URL, "$.messages")
        case Uploaded():
            raise refused(Demand.UPLOADED, "$.messages")
    assert_never(document.source)


def _extension(media_type: str) -> str:
    """Return how a file's name ends, which servers want to see."""
    kind = media_type.partition("/")[2]
    return "txt" if kind == "plain" else kind if kind.isalnum() else "bin"


def _audio(audio: Audio) -> dict[str, Any]:
    if not isinstance(audio.source, Inline):
        raise refused(Demand.AUDIO, "$.messages")
    kind = audio.source.media_type.partition("/")[2]
    form = _FORMATS.get(kind, kind)
    return {"type": "input_audio", "input_audio": {"data": audio.source.data, "format": form}}


def _word(part: Medium) -> Loss:
    match part:
        case Image():
            return Loss.IMAGE
        case Document():
            return Loss.DOCUMENT
        case Audio():
            return Loss.AUDIO
    assert_never(part)


def _assistants(turns: Iterable[Message], answer: "_Answer") -> list[dict[str, Any]]:
    """Return the model's messages: one for all that it said before the user's next turn.

    Every call must stand in the message before the results.
    """
    for turn in turns:
        answer.take(turn)
    return answer.messages()


class _Answer:
    """The model's turns in the making, as messages."""

    def __init__(self, origin: str, form: Form, losses: Losses) -> None:
        self._origin = origin
        self._form = form
        self._losses = losses
        self._texts: list[str] = []  # one for each turn
        self._refusals: list[str] = []
        self._reasoning: list[str] = []
        self._details: list[Any] = []
        self._calls: list[dict[str, Any]] = []
        self._extra: Any = None  # what stands beside the next call
        self._name: str | None = None

    def take(self, turn: Message) -> None:
        """Take one more turn."""
        self._name = turn.name or self._name
        texts = []
        for part in turn.parts:
            match part:
                case Text():
                    texts.append(part.text)
                    self._marked(part.cache)
                case Refusal():
                    self._refusals.append(part.text)
                case Thought():
                    self._thought(part)
                case Call():
                    self._call(part)
                case Image() | Document() | Audio():
                    self._losses.add(Loss.IMAGE_OF_ASSISTANT)
                case Result():
                    continue  # a model has no results
                case _:
                    assert_never(part)
        if texts:
            self._texts.append("".join(texts))

    def messages(self) -> list[dict[str, Any]]:
        """Return the message, none where nothing is said: some servers refuse thoughts alone."""
        message: dict[str, Any] = {"role": "assistant"}
        text = _BETWEEN.join(self._texts)
        message["content"] = text or (None if self._calls else "")
        if self._refusals:
            message["refusal"] = _BETWEEN.join(self._refusals)
        if self._form.reasoning is not None and self._reasoning:
            message[self._form.reasoning] = _BETWEEN.join(self._reasoning)
        if self._details:
            message[thoughts.FIELD] = self._details
        if self._calls:
            message["tool_calls"] = self._calls
        if self._name is not None:
            message["name"] = self._name
        if not (text or self._refusals or self._calls):
            if self._reasoning or self._details:
                self._losses.add(Loss.REASONING_ALONE)
            return []
        if self._form.reasoning is not None and self._form.reasoning_required:
            message.setdefault(self._form.reasoning, thoughts.BLANK)
        return [message]

    def _marked(self, cache: str | None) -> None:
        if cache is not None:
            self._losses.add(Loss.CACHE)

    def _thought(self, thought: Thought) -> None:
        seal = thought.seal
        if seal is None or not provenance.returns(
            seal, WireProtocol.CHAT_COMPLETIONS, self._origin
        ):
            self._losses.add(Loss.REASONING_OF_ANOTHER)
        elif seal.form == thoughts.SEALED:
            value = _decoded(seal.data)
            self._details += value if isinstance(value, list) else []
        elif seal.form == thoughts.CALLED:
            self._extra = _decoded(seal.data)
        elif thought.text and self._form.reasoning is None:
            self._losses.add(Loss.REASONING_IN_HISTORY)
        elif thought.text:
            self._reasoning.append(thought.text)

    def _call(self, call: Call) -> None:
        self._marked(call.cache)
        extra, self._extra = self._extra, None
        if call.seal is not None:
            own = provenance.returns(call.seal, WireProtocol.CHAT_COMPLETIONS, self._origin)
            if own and call.seal.form == thoughts.CALLED:
                extra = _decoded(call.seal.data)
            elif not own:
                self._losses.add(Loss.REASONING_OF_ANOTHER)
        beside = {} if extra is None else {"extra_content": extra}
        self._calls.append(
            {
                "id": self._form.id(call.id),
                "type": "function",
                "function": {
                    "name": tool_names.fitting(call.name),
                    "arguments": call.arguments,
                },
                **beside,
            }
        )


def _decoded(data: str) -> Any:
    """Return the JSON of a seal, None where it is none: a client may send anything as a tag."""
    try:
        return _JSON.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
