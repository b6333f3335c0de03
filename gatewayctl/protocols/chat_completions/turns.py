"""The messages of a Chat Completions request as turns of the IR.

All that stands beside the messages is read in ``prompts``, the thoughts of a turn in ``thoughts``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

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
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import data_urls, losses
from gatewayctl.protocols.body import convert, invalid, optional
from gatewayctl.protocols.chat_completions import thoughts
from gatewayctl.protocols.losses import Losses

_ROLES: Final = {
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}
_PDF: Final = "application/pdf"
# What a message may hold and what is read of it, or only says again what is known.
_KNOWN: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "refusal",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "cache_control",
        "annotations",
        "audio",
        "id",
    }
)
VIDEO: Final = ("video_url", "input_video", "video")
"""Types of parts that are neither text, image, document nor sound."""


class Turns:
    """Reads messages one after another; ``losses`` is told what has no place in a turn."""

    def __init__(self, told: Losses) -> None:
        self._losses = told
        self._turns: list[Message] = []
        self._results = False  # the last turn is of results, and the next result joins it
        self._functions: list[tuple[str, str]] = []  # ids and names of calls in the older form

    def read(self, messages: Any) -> tuple[Message, ...]:
        """Return the turns; raise ``RequestInvalid`` with the JSON path at fault."""
        for index, message in enumerate(convert(messages, list[Any], "$.messages")):
            path = f"$.messages[{index}]"
            if not isinstance(message, dict):
                raise invalid(path, "expected an object.")
            self._read(message, path)
        return tuple(self._turns)

    def _read(self, message: dict[str, Any], path: str) -> None:
        role = message.get("role")
        for field, value in message.items():
            if field not in _KNOWN and value not in (None, [], {}, ""):
                self._losses.add(f"messages.{field}")
        if role in ("tool", "function"):
            self._result(message, path)
            return
        if not isinstance(role, str) or role not in _ROLES:
            raise invalid(f"{path}.role", "no such role.")
        parts = self._content(message.get("content"), f"{path}.content")
        if role == "assistant":
            parts = self._assistant(message, parts, path)
        parts = _marked(parts, message)
        name = optional(message.get("name"), str, f"{path}.name")
        self._turns.append(Message(role=_ROLES[role], parts=tuple(parts), name=name))
        self._results = False

    def _result(self, message: dict[str, Any], path: str) -> None:
        name = optional(message.get("name"), str, f"{path}.name")
        if message["role"] == "tool":
            call = convert(message.get("tool_call_id"), str, f"{path}.tool_call_id")
        else:
            call = self._function_id(name)
        content = self._content(message.get("content"), f"{path}.content")
        result = Result(
            id=call,
            content=tuple(it for it in content if isinstance(it, Text | Image | Document | Audio)),
            name=name,
            cache=_cache(message),
        )
        if self._results:
            last = self._turns[-1]
            self._turns[-1] = msgspec.structs.replace(last, parts=(*last.parts, result))
        else:
            self._turns.append(Message(role=Role.USER, parts=(result,)))
        self._results = True

    def _function_id(self, name: str | None) -> str:
        """Return the id of the latest call of a function: the older form has none."""
        called = [call for call, known in self._functions if known == name]
        return called[-1] if called else "call_function_0"

    def _assistant(self, message: dict[str, Any], parts: list[Part], path: str) -> list[Part]:
        if message.get("audio") is not None and not parts:
            raise losses.refused(Demand.STATE, f"{path}.audio")
        refusal = optional(message.get("refusal"), str, f"{path}.refusal")
        calls = self._calls(message, path)
        found = thoughts.read(message, frozenset(call.id for call in calls))
        return [
            *found.thoughts,
            *parts,
            *([Refusal(text=refusal)] if refusal else []),
            *(msgspec.structs.replace(it, seal=found.seals.get(it.id)) for it in calls),
        ]

    def _calls(self, message: dict[str, Any], path: str) -> list[Call]:
        given = optional(message.get("tool_calls"), list[Any], f"{path}.tool_calls")
        calls = [
            _call(call, f"{path}.tool_calls[{index}]") for index, call in enumerate(given or ())
        ]
        older = message.get("function_call")
        if older is not None:
            at = f"{path}.function_call"
            name, arguments = _called(older, "arguments", at)
            call = Call(id=f"call_function_{len(self._functions)}", name=name, arguments=arguments)
            self._functions.append((call.id, call.name))
            calls.append(call)
        return calls

    def _content(self, content: Any, path: str) -> list[Part]:
        match content:
            case None:
                return []
            case str():
                return [Text(text=content)] if content else []
            case list():
                found = (self._part(part, f"{path}[{index}]") for index, part in enumerate(content))
                return [part for part in found if part is not None]
            case _:
                raise invalid(path, "expected a text or a list of parts.")

    def _part(self, part: Any, path: str) -> Part | None:
        if isinstance(part, str):
            return Text(text=part) if part else None
        if not isinstance(part, dict):
            raise invalid(path, "expected an object.")
        if part.get("prompt_cache_breakpoint") is not None:
            self._losses.add("prompt_cache_breakpoint")
        kind = part.get("type")
        if isinstance(kind, str) and kind in _PARTS:
            return _PARTS[kind](part, path)
        if kind in VIDEO:
            raise losses.refused(Demand.MODALITY, path)
        self._losses.add(losses.item("content", str(kind)))
        return None


def _text(part: dict[str, Any], path: str) -> Text | None:
    text = convert(part.get("text"), str, f"{path}.text")
    return Text(text=text, cache=_cache(part)) if text else None


def _refusal(part: dict[str, Any], path: str) -> Refusal:
    return Refusal(text=convert(part.get("refusal"), str, f"{path}.refusal"))


def _thinking(part: dict[str, Any], _path: str) -> Thought:
    return Thought(text=thoughts.text_of(part.get("thinking")))


def _marked(parts: list[Part], message: dict[str, Any]) -> list[Part]:
    """Return the parts with the message's own cache marker on the last that can have one."""
    cache = _cache(message)
    if cache is not None and parts and isinstance(parts[-1], Text | Image | Document | Call):
        parts[-1] = msgspec.structs.replace(parts[-1], cache=cache)
    return parts


def _cache(holder: dict[str, Any]) -> str | None:
    """Return the life that a marker asks for, as routers to Anthropic's models know them."""
    marker = holder.get("cache_control")
    if not isinstance(marker, dict):
        return None
    life = marker.get("ttl")
    return life if isinstance(life, str) else "5m"


def _call(call: Any, path: str) -> Call:
    if not isinstance(call, dict):
        raise invalid(path, "expected an object.")
    name_of = convert(call.get("id"), str, f"{path}.id")
    if isinstance(call.get("custom"), dict):
        name, text = _called(call["custom"], "input", f"{path}.custom")
        arguments = msgspec.json.encode({"input": text}).decode()
    else:
        name, arguments = _called(call.get("function"), "arguments", f"{path}.function")
    return Call(id=name_of, name=name, arguments=arguments, cache=_cache(call))


def _called(called: Any, field: str, path: str) -> tuple[str, str]:
    """Return the name and the arguments of a call; some clients send these as an object."""
    if not isinstance(called, dict):
        raise invalid(path, "expected an object.")
    name = convert(called.get("name"), str, f"{path}.name")
    arguments = called.get(field)
    if isinstance(arguments, str):
        return name, arguments if arguments.strip() or field != "arguments" else "{}"
    return name, json(arguments, f"{path}.{field}").decode() if arguments is not None else "{}"


def json(value: Any, path: str) -> bytes:
    """Return decoded JSON as bytes; raise ``RequestInvalid`` for what is nested too deeply."""
    try:
        return msgspec.json.encode(value)
    except RecursionError as error:
        raise invalid(path, "nested too deeply.") from error


def _image(part: dict[str, Any], path: str) -> Image:
    image = part.get("image_url")
    detail = part.get("detail")
    at = f"{path}.image_url"
    if isinstance(image, dict):
        detail = image.get("detail", detail)
        image = image.get("url")
        at = f"{at}.url"
    source = data_urls.source(convert(image, str, at), at)
    if isinstance(source, Inline) and not source.media_type.startswith("image/"):
        raise invalid(at, "this data URL does not say what kind of image it is.")
    return Image(
        source=source,
        detail=detail if isinstance(detail, str) else None,
        cache=_cache(part),
    )


def _audio(part: dict[str, Any], path: str) -> Audio:
    sound = part.get("input_audio")
    path = f"{path}.input_audio"
    if not isinstance(sound, dict):
        raise invalid(path, "expected an object.")
    data = convert(sound.get("data"), str, f"{path}.data")
    form = convert(sound.get("format", "wav"), str, f"{path}.format")
    if data[:5].lower() == "data:":
        return Audio(source=data_urls.source(data, f"{path}.data"))
    media_type = "audio/mpeg" if form == "mp3" else f"audio/{form}"
    return Audio(source=Inline(media_type=media_type, data=data))


def _document(part: dict[str, Any], path: str) -> Document:
    file = part.get("file")
    path = f"{path}.file"
    if not isinstance(file, dict):
        raise invalid(path, "expected an object.")
    name = optional(file.get("filename"), str, f"{path}.filename")
    uploaded = optional(file.get("file_id"), str, f"{path}.file_id")
    if uploaded is not None:
        return Document(source=Uploaded(id=uploaded), name=name, cache=_cache(part))
    data = convert(file.get("file_data"), str, f"{path}.file_data")
    return Document(source=_file(data, name, f"{path}.file_data"), name=name, cache=_cache(part))


def _file(data: str, name: str | None, path: str) -> Inline | Linked:
    """Return the source of a file: a data URL, an address, or base64 that says no more."""
    if data[:5].lower() == "data:" or data.startswith(("http://", "https://")):
        found = data_urls.source(data, path)
        if isinstance(found, Linked) or found.media_type:
            return found
        data = found.data
    plain = name is not None and name.lower().endswith((".txt", ".md"))
    return Inline(media_type="text/plain" if plain else _PDF, data=data)


_PARTS: Final[Mapping[str, Callable[[dict[str, Any], str], Part | None]]] = {
    "text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "input_audio": _audio,
    "file": _document,
}
