"""The IR of a request: what a client asks, in terms that belong to no wire protocol.

Each protocol's codec translates between its bodies and a ``Prompt``, both ways. Here are values
alone: how a body is read or written is ``gatewayctl.protocols``' business, what can be said in
which protocol is ``core.translation``'s. The IR of a reply is in ``core.events``.
"""

from enum import StrEnum

import msgspec

from gatewayctl.core.model import WireProtocol


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider gave along with a thought or a call, to be sent back as it came.

    ``form`` says what it is, in the words of whoever made it (``"messages.signature"``,
    ``"responses.encrypted"``, ``"gemini.thought"``); ``data`` is opaque. ``origin`` is the full id
    of the model that it is of, empty where it came without one: then it is of some model that
    speaks ``form``'s protocol. A thought that was written in plain text, with nothing to prove it,
    has the form ``"text"``.
    """

    form: str
    data: str
    origin: str = ""


class Inline(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Data in the body: base64, and its media type (``image/png``)."""

    media_type: str
    data: str


class Linked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Data at an address that the provider fetches; its media type where the body says one."""

    url: str
    media_type: str | None = None


class Uploaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A file that is known to one provider alone, by its id there."""

    id: str


Source = Inline | Linked | Uploaded


class Text(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Text. ``cache`` is the life that a marker behind it asks for (``"5m"``, ``"1h"``)."""

    text: str
    cache: str | None = None


class Image(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An image, and how closely it is to be looked at (``low``, ``high``, ``auto`` …)."""

    source: Source
    detail: str | None = None
    cache: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A document: a file, or plain ``text`` in place of one."""

    source: Source | None = None
    text: str | None = None
    name: str | None = None
    cache: str | None = None


class Audio(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A clip of sound (``audio/wav``)."""

    source: Source


class Thought(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a model thought: text (empty where it is hidden), and what proves it, if anything.

    ``id`` is what its protocol calls the item, where it has a name.
    """

    text: str = ""
    seal: Seal | None = None
    id: str | None = None


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a model thought before a call, each with its seal, and the seal on the call itself.

    It is kept for clients that do not send it back.
    """

    thoughts: tuple[Thought, ...] = ()
    seal: Seal | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A model's words for why it does not answer."""

    text: str


class Call(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A model's call of a tool.

    ``arguments`` are a JSON object as text, as the model wrote it (which need not be valid).
    ``seal`` proves the thought behind it, where a protocol puts it here.
    """

    id: str
    name: str
    arguments: str = "{}"
    seal: Seal | None = None
    cache: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What came of a call: ``content`` in order, ``failed`` where the tool says so itself.

    ``name`` is the tool's, None where the body does not repeat it (see ``named``).
    """

    id: str
    content: tuple[Text | Image | Document | Audio, ...] = ()
    name: str | None = None
    failed: bool = False
    cache: str | None = None


Part = Text | Image | Document | Audio | Thought | Refusal | Call | Result


class Role(StrEnum):
    """Who speaks. Results of tools are the user's; ``developer`` is OpenAI's newer ``system``."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. ``name`` tells apart speakers of the same role."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the client runs; ``parameters`` are a JSON schema as bytes, None for none."""

    name: str
    description: str | None = None
    parameters: bytes | None = None
    strict: bool | None = None
    cache: str | None = None


class Mode(StrEnum):
    """Whether a tool is called."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools may or must be called; ``names`` empty: any of them."""

    mode: Mode
    names: tuple[str, ...] = ()


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """The answer must be JSON: any object, or one after a ``schema`` (JSON, as bytes)."""

    schema: bytes | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model may think: by ``effort`` in words, by a ``budget`` in tokens, or both.

    ``off`` switches it off. ``adaptive``: as much as the model likes. ``visible`` says whether what
    was thought is told, None where nothing was said of it; ``detail`` how long a summary is to be
    (``auto``, ``concise``, ``detailed``).
    """

    effort: str | None = None
    budget: int | None = None
    off: bool = False
    adaptive: bool = False
    visible: bool | None = None
    detail: str | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is drawn; None leaves it to the model."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an answer.

    ``output_budget`` is in tokens; ``logprobs`` how many alternatives to tell of each token, 0 for
    its own probability alone; ``parallel`` False wants one call at a time. ``include_usage``: a
    chat stream is to tell its usage. ``tier`` is a service tier in OpenAI's words (``auto``,
    ``default``, ``flex``, ``priority``), ``fast`` the speed of the Messages protocol. ``dropped``
    names, by JSON path or in a word, what the body says and this cannot hold. ``legacy_functions``:
    the client knows a call of a tool only in the form that Chat Completions had before tools.
    """

    protocol: WireProtocol
    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    legacy_functions: bool = False
    parallel: bool | None = None
    format: Format | None = None
    thinking: Thinking | None = None
    verbosity: str | None = None
    output_budget: int | None = None
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    n: int = 1
    logprobs: int | None = None
    tier: str | None = None
    fast: bool = False
    user: str | None = None
    metadata: dict[str, str] = {}
    store: bool | None = None
    dropped: tuple[str, ...] = ()


def named(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the messages with every result under the name of the tool that was called."""
    names: dict[str, str] = {}
    found = []
    for message in messages:
        parts: list[Part] = []
        for part in message.parts:
            match part:
                case Call():
                    names[part.id] = part.name
                    parts.append(part)
                case Result(name=None) if part.id in names:
                    parts.append(msgspec.structs.replace(part, name=names[part.id]))
                case _:
                    parts.append(part)
        found.append(msgspec.structs.replace(message, parts=tuple(parts)))
    return tuple(found)
