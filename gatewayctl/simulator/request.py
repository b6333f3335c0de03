"""A request as the simulator understands it, and what of it counts as input.

Each wire file makes an ``Ask`` of its own body with the readers here; nothing here knows a
dialect. What is answered is ``brain``'s business.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from gatewayctl.simulator.problems import invalid

MEDIA_TOKENS: Final = 85
"""What an image, a document or a recording costs, whatever its size."""

TURN_TOKENS: Final = 4
"""What a message costs besides its text."""

_MEDIA: Final = frozenset(
    {"image", "image_url", "input_image", "document", "file", "input_file", "input_audio"}
)
_UNCOUNTED: Final = frozenset(
    {
        "cache_control",
        "call_id",
        "encrypted_content",
        "id",
        "role",
        "signature",
        "status",
        "thoughtSignature",
        "thought_signature",
        "tool_call_id",
        "tool_use_id",
        "type",
    }
)

_FILES: Final = ("inlineData", "inline_data", "fileData", "file_data")
"""Where a Gemini part keeps what is no text."""

_JSON: Final = frozenset(
    {
        "args",
        "arguments",
        "input",
        "input_schema",
        "parameters",
        "parametersJsonSchema",
        "response",
        "schema",
    }
)
"""Fields whose objects stand in a prompt as JSON."""


class Choice(StrEnum):
    """Whether a tool may, must or must not be called."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class Thinking(StrEnum):
    """Whether the model is to think first, and whether its thoughts are told or kept hidden."""

    NONE = "none"
    HIDDEN = "hidden"
    TOLD = "told"


class OfferedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the request offers; ``schema`` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an answer.

    ``counted`` is every part of the body that counts as input. ``prompt`` is the last text the
    user wrote since the assistant's last turn, ``results`` the tool results since then, as text.
    ``max_output`` is in tokens, None when the request sets no limit; ``json_schema`` is the form a
    structured reply must have; ``parallel`` allows several calls at once; ``logprobs`` is how many
    likely tokens are told beside each, None for no probabilities at all; ``listed`` wants a stream
    as a JSON array; ``echo`` holds fields that the reply repeats.
    """

    model: str
    stream: bool
    counted: tuple[object, ...]
    turns: int
    prompt: str
    results: tuple[str, ...] = ()
    tools: tuple[OfferedTool, ...] = ()
    choice: Choice = Choice.AUTO
    forced: str | None = None
    max_output: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    json_schema: Mapping[str, Any] | None = None
    include_usage: bool = False
    parallel: bool = True
    thinking: Thinking = Thinking.NONE
    logprobs: int | None = None
    listed: bool = False
    echo: Mapping[str, Any] = {}


class Body:
    """Typed reads from a decoded JSON object; each raises ``Refused`` naming the field."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    def text(self, name: str) -> str:
        """Return a string field that must be there."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise invalid(f"{name}: a string is required", name)
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean field, False when it is absent or null."""
        value = self.fields.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise invalid(f"{name}: a boolean is required", name)

    def positive(self, name: str) -> int | None:
        """Return an integer field of at least 1, None when it is absent or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(f"{name}: an integer of at least 1 is required", name)
        return value

    def natural(self, name: str) -> int | None:
        """Return an integer field of at least 0, None when it is absent or null."""
        return 0 if self.fields.get(name) == 0 else self.positive(name)

    def objects(self, name: str, *, required: bool = False) -> list[Mapping[str, Any]]:
        """Return a list of objects, empty when it is absent or null and not ``required``."""
        value = self.fields.get(name)
        if value is None and not required:
            return []
        if not isinstance(value, list) or (required and not value):
            raise invalid(f"{name}: a non-empty array is required", name)
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise invalid(f"{name}[{index}]: an object is required", f"{name}[{index}]")
        return value

    def object(self, name: str) -> Mapping[str, Any]:
        """Return an object field, empty when it is absent or null."""
        value = self.fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise invalid(f"{name}: an object is required", name)
        return value


def texts_of(content: object) -> list[str]:
    """Return the texts of a message's content: a string, or parts that have a ``text``."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return [text for text in parts if isinstance(text, str)]


def strings(values: object) -> tuple[str, ...]:
    """Return stop sequences or names, given as one string or as a list of them."""
    if isinstance(values, str):
        return (values,)
    listed = values if isinstance(values, list) else ()
    return tuple(value for value in listed if isinstance(value, str))


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as input: ``texts``, and how many ``media`` parts there are besides."""

    texts: list[str]
    media: int


def gather(values: Iterable[object]) -> Gathered:
    """Collect all names and texts from decoded JSON; media and opaque fields are left out."""
    return _gathered(values, names=True, as_json=frozenset())


def rendered(values: Iterable[object]) -> Gathered:
    """Collect texts as a prompt is made of them: schemas and arguments as JSON, no field names.

    Media and opaque fields are left out as in ``gather``.
    """
    return _gathered(values, names=False, as_json=_JSON)


def _gathered(values: Iterable[object], *, names: bool, as_json: frozenset[str]) -> Gathered:
    texts: list[str] = []
    media = 0
    pending = list(values)
    while pending:
        match pending.pop():
            case str() as text:
                texts.append(text)
            case {"type": str(kind), **_rest} if kind in _MEDIA:
                media += 1
            case dict() as fields if any(name in fields for name in _FILES):
                media += 1
            case dict() as fields:
                for name, value in fields.items():
                    if name in as_json and isinstance(value, (dict, list)):
                        texts.append(msgspec.json.encode(value).decode())
                    elif name not in _UNCOUNTED:
                        texts += [name] if names else []
                        pending.append(value)
            case list() as items:
                pending.extend(items)
            case _:
                continue
    return Gathered(texts=texts, media=media)
