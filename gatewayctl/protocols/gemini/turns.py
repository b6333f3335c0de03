"""The turns of a Gemini request read as messages of the IR.

All that stands beside the turns is read in ``prompts``.
"""

from collections.abc import Iterator
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
    Result,
    Role,
    Seal,
    Source,
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.core.model import Capability
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.body import invalid
from gatewayctl.protocols.gemini import media, signatures
from gatewayctl.protocols.gemini.names import either
from gatewayctl.protocols.gemini.request import as_list
from gatewayctl.protocols.losses import Losses, item, refused
from gatewayctl.protocols.measure import compact

_ROLES: Final = {
    None: Role.USER,
    "": Role.USER,
    "user": Role.USER,
    "function": Role.USER,
    "tool": Role.USER,
    "model": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_HINTS: Final = frozenset({"videoMetadata", "partMetadata"})
_DETAILS: Final = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_MEDIUM": "auto",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "high",
}
_SAID: Final = ("output", "result")
_ERROR: Final = "error"


class Turns:
    """Reads turns one after another; ``losses`` is told what has no place in one.

    Calls and results without ids are matched by the function's name, in order.
    """

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._known: set[str] = set()
        self._open: list[tuple[str, str]] = []  # calls without an id of their own: id and name
        self._made = 0

    def read(self, contents: Any, path: str) -> Iterator[Message]:
        """Yield the turns; raise ``RequestInvalid`` with the JSON path at fault."""
        several = isinstance(contents, list)
        for index, content in enumerate(as_list(contents)):
            at = f"{path}[{index}]" if several else path
            if not isinstance(content, dict):
                raise invalid(at, "an object is expected.")
            role = content.get("role")
            if not isinstance(role, str | None) or role not in _ROLES:
                raise invalid(f"{at}.role", "user or model is expected.")
            parts = tuple(self._parts(content.get("parts"), f"{at}.parts"))
            if parts:
                yield Message(role=_ROLES[role], parts=parts)

    def instructions(self, system: Any, path: str) -> tuple[Text, ...]:
        """Return the text of the system instruction, which may be of several parts."""
        if not isinstance(system, dict):
            raise invalid(path, "an object is expected.")
        found = []
        for part in self._parts(system.get("parts"), f"{path}.parts"):
            if isinstance(part, Text):
                found.append(part)
            else:
                self._losses.add(item("systemInstruction", type(part).__name__.lower()))
        return tuple(found)

    def _parts(self, parts: Any, path: str) -> Iterator[Part]:
        """Yield parts; thoughts that stand in a later part's signature are not told twice."""
        found: list[Part] = []
        last_call = 0
        for index, part in enumerate(as_list(parts)):
            at = f"{path}[{index}]" if isinstance(parts, list) else path
            if not isinstance(part, dict):
                raise invalid(at, "an object is expected.")
            read = self._part(part, at)
            told = found[last_call:]
            found[last_call:last_call] = (each for each in read.earlier if each not in told)
            found += read.parts
            if read.parts and isinstance(read.parts[-1], Call):
                last_call = len(found)
        foreign = any(map(_is_foreign, found))
        for each in found:
            if not (foreign and isinstance(each, Thought) and each.seal is None):
                yield each

    def _part(self, part: dict[str, Any], path: str) -> "_Read":
        text = part.get("text")
        if len(part) == 1 and text and isinstance(text, str):  # as most are
            return _Read(parts=[Text(text=text)])
        signature = either(part, "thought_signature")
        if not isinstance(text, str | None):
            raise invalid(f"{path}.text", "a text is expected.")
        if part.get("thought") is True:
            return _thoughts(text or "", signatures.proof(signature, signatures.THOUGHT))
        if (called := either(part, "function_call")) is not None:
            return self._call(called, signature, f"{path}.functionCall")
        if (response := either(part, "function_response")) is not None:
            return _Read(parts=[self._result(response, f"{path}.functionResponse")])
        shown: list[Part] = [*self._shown(part, path)]
        form = signatures.TEXT if text else signatures.EMPTY
        proven = _thoughts("", signatures.proof(signature, form)).parts
        if text is not None and not shown:
            shown = [Text(text=text)] if text else []
        ahead = any(map(_is_foreign, proven))
        return _Read(parts=[*proven, *shown] if ahead else [*shown, *proven])

    def _shown(self, part: dict[str, Any], path: str) -> Iterator[Image | Document | Audio]:
        """Yield what a part holds that is no text; what is not known is recorded by its name."""
        for name in ("inline_data", "file_data"):
            data = either(part, name)
            if data is not None:
                yield _medium(data, _detail(part), f"{path}.{name}")
        for name, value in part.items():
            if name in _READ or name in _HINTS or value in (None, {}, [], "", False):
                continue
            self._losses.add(item("parts", name))

    def _call(self, called: Any, signature: Any, path: str) -> "_Read":
        if not isinstance(called, dict):
            raise invalid(path, "an object is expected.")
        name, arguments = called.get("name"), called.get("args")
        if not isinstance(name, str) or not name:
            raise invalid(f"{path}.name", "this field is required.")
        if not isinstance(arguments, dict | None):
            raise invalid(f"{path}.args", "an object is expected.")
        given = _id(called, path)
        if not given:
            given = self._new_id()
            self._open.append((given, name))
        self._known.add(given)
        seal = signatures.proof(signature, f"{signatures.CALL}.0")
        call = Call(id=given, name=name, arguments=compact(arguments or {}))
        if seal is not None and signatures.number_of(seal) is not None:
            return _Read(parts=[msgspec.structs.replace(call, seal=seal)])
        proven = _thoughts("", seal)
        return _Read(parts=[*proven.parts, call], earlier=proven.earlier)

    def _result(self, response: Any, path: str) -> Result:
        if not isinstance(response, dict):
            raise invalid(path, "an object is expected.")
        name = response.get("name")
        if not isinstance(name, str | None):
            raise invalid(f"{path}.name", "a text is expected.")
        for field in ("scheduling", "willContinue", "will_continue"):
            if response.get(field):
                self._losses.add(item("functionResponse", field))
        content, failed = _said(response.get("response"))
        more: list[Text | Image | Document | Audio] = []
        for index, part in enumerate(as_list(response.get("parts"))):
            at = f"{path}.parts[{index}]"
            if not isinstance(part, dict):
                raise invalid(at, "an object is expected.")
            more += self._shown(part, at)
        return Result(
            id=self._answered(_id(response, path), name),
            content=(*content, *more),
            name=name or None,
            failed=failed,
        )

    def _answered(self, given: str, name: str | None) -> str:
        """Return the id of the call that is answered: the one named, else the first by name."""
        if given in self._known:
            return given
        for place, (call, function) in enumerate(self._open):
            if name is None or function == name:
                del self._open[place]
                return call
        return given or self._new_id()

    def _new_id(self) -> str:
        while True:
            made = f"call_{self._made}"
            self._made += 1
            if made not in self._known:
                return made


_READ: Final = frozenset(
    {"text", "thought", "thoughtSignature", "thought_signature", "inlineData", "inline_data"}
    | {"fileData", "file_data", "mediaResolution", "media_resolution"}
)


def _is_foreign(part: Part) -> bool:
    """Tell whether a part is a thought of a model that does not speak this protocol."""
    seal = part.seal if isinstance(part, Thought) else None
    return seal is not None and not seal.form.startswith("gemini.")


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of the body holds, and thoughts that belong before what was said earlier."""

    parts: list[Part]
    earlier: tuple[Thought, ...] = ()


def _thoughts(text: str, seal: Seal | None) -> _Read:
    """Return what a thought or a signature stands for; a part without either for nothing."""
    if seal is not None and (held := signatures.held_in(seal)) is not None:
        return _Read(parts=[*held.thoughts], earlier=held.earlier)
    return _Read(parts=[Thought(text=text, seal=seal)] if text or seal is not None else [])


def _id(holder: dict[str, Any], path: str) -> str:
    given = holder.get("id")
    if not isinstance(given, str | None):
        raise invalid(f"{path}.id", "a text is expected.")
    return given or ""


def _said(response: Any) -> tuple[tuple[Text, ...], bool]:
    """Return what a function's result says, and whether that is an error.

    Google's own key for either is taken off; anything else is the result as JSON.
    """
    failed = False
    if isinstance(response, dict) and len(response) == 1:
        (key,) = response
        failed = key == _ERROR
        if failed or key in _SAID:
            response = response[key]
    if response is None or response == {}:
        return (), failed
    text = response if isinstance(response, str) else compact(response)
    return ((Text(text=text),) if text else ()), failed


def _detail(part: dict[str, Any]) -> str | None:
    found = either(part, "media_resolution")
    level = found.get("level") if isinstance(found, dict) else found
    return _DETAILS.get(level) if isinstance(level, str) else None


def _medium(data: Any, detail: str | None, path: str) -> Image | Document | Audio:
    if not isinstance(data, dict):
        raise invalid(path, "an object is expected.")
    media_type = either(data, "mime_type")
    uri = either(data, "file_uri")
    name = either(data, "display_name")
    content = data.get("data")
    for value in (media_type, uri, name, content):
        if not isinstance(value, str | None):
            raise invalid(path, "texts are expected.")
    if uri is None and content is None:
        raise invalid(path, "there are no data and no address of any.")
    medium = media.capability(media_type or media.type_of(uri or "") or "")
    if media.is_film(media_type or ""):
        raise refused(Demand.MODALITY, path)
    source: Source
    if uri is None:
        source = Inline(media_type=media_type or "", data=content or "")
    elif media.is_uploaded(uri) or medium is Capability.AUDIO:
        source = Uploaded(id=uri)
    else:
        source = Linked(url=uri, media_type=media_type)
    if medium is Capability.IMAGES:
        return Image(source=source, detail=detail)
    if medium is Capability.AUDIO:
        return Audio(source=source)
    return Document(source=source, name=name or None)
