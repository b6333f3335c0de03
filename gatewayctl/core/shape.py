"""All that routing may look at in a request: sizes, needs and budgets, never the words.

A shape is made by a protocol's codec (``protocols.*.request``) and read by ``core.estimate`` and
``core.routing``. No text of the request is kept here, so a shape can be logged and explained.
"""

from enum import StrEnum

import msgspec

from gatewayctl.core.model import Capability, WireProtocol


class Segment(StrEnum):
    """The parts of a request that are counted apart, as ``estimate`` shows them."""

    SYSTEM = "system"
    MESSAGES = "messages"
    TOOLS = "tools"
    OTHER = "other"


class TextStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a text from which tokens are estimated: see ``core.text``, which makes them.

    ``chars`` is code points; all else counts bytes of UTF-8 or places between them. ``words`` are
    runs between white space, ``letters`` those of ASCII, ``runs`` the runs of letters of all
    scripts, ``foreign`` those that begin beyond ASCII, and ``long_letters`` the ones of ASCII with
    at least four before them in their run. ``digit_runs`` and ``long_digits`` (with three before
    them) are the same of digits. ``lines`` are runs of line ends, ``marked_lines`` those right
    after punctuation, ``gaps`` runs of more than one blank and blanks before a digit. ``digits``
    and ``blanks`` are simply how many there are, ``mark_runs`` the runs of marks, ``kana`` and
    ``hangul`` the characters of these scripts, ``extra`` the bytes beyond one for each character.
    ``weight`` sums the weights of ASCII letters, marks and line ends, in twentieths of a token;
    ``beyond`` what all other characters cost, in fiftieths; ``repeated`` and ``repeated_beyond``
    the parts of them that may be next to nothing, one character over and over.
    """

    chars: int = 0
    words: int = 0
    letters: int = 0
    runs: int = 0
    foreign: int = 0
    long_letters: int = 0
    digit_runs: int = 0
    long_digits: int = 0
    lines: int = 0
    marked_lines: int = 0
    gaps: int = 0
    digits: int = 0
    blanks: int = 0
    mark_runs: int = 0
    kana: int = 0
    hangul: int = 0
    extra: int = 0
    weight: int = 0
    beyond: int = 0
    repeated: int = 0
    repeated_beyond: int = 0

    def __add__(self, other: "TextStats") -> "TextStats":
        return TextStats(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )


class Detail(StrEnum):
    """How closely an image is to be looked at."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    ORIGINAL = "original"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image's size in pixels, 0 where it is unknown, and the detail that is asked for."""

    width: int = 0
    height: int = 0
    detail: Detail = Detail.AUTO


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is no text: bytes (0: the body only points to it) and pages (0: unknown)."""

    size: int = 0
    pages: int = 0


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """A clip of sound: bytes (0: the body only points to it) and length (0: unknown)."""

    size: int = 0
    milliseconds: int = 0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A request's text by segment, and what is not text, by kind and size with how many there are.

    ``messages`` counts turns, for per-message overhead; ``server_tools`` those of ``tools`` that
    are only named and that the provider defines itself. ``thought`` is the characters of what the
    model thought in earlier turns, which are in the text as well. ``tokens`` are those that the
    body lists by number, in place of a text.
    """

    segments: dict[Segment, TextStats]
    messages: int = 0
    tools: int = 0
    server_tools: int = 0
    thought: int = 0
    tokens: int = 0
    images: tuple[tuple[Image, int], ...] = ()
    documents: tuple[tuple[Document, int], ...] = ()
    audio: tuple[tuple[Audio, int], ...] = ()

    def __add__(self, other: "Measured") -> "Measured":
        every = [*self.segments.items(), *other.segments.items()]
        segments = dict.fromkeys((segment for segment, _ in every), TextStats())
        for segment, stats in every:
            segments[segment] += stats
        return Measured(
            segments=segments,
            messages=self.messages + other.messages,
            tools=self.tools + other.tools,
            server_tools=self.server_tools + other.server_tools,
            thought=self.thought + other.thought,
            tokens=self.tokens + other.tokens,
            images=self.images + other.images,
            documents=self.documents + other.documents,
            audio=self.audio + other.audio,
        )


class Demand(StrEnum):
    """What not every protocol can say, and what a request cannot do without.

    The words stand in explanations and refusals.
    """

    ANSWERS = "more than one answer (n > 1)"
    STOP = "stop sequences"
    JSON_OBJECT = "JSON without a schema"
    ALLOWED_TOOLS = "a choice among some of the tools"
    AUDIO = "sound in the input"
    DOCUMENT_URL = "the address of a document"
    STATE = "state that the provider keeps (an earlier response, a stored prompt, a cache)"
    UPLOADED = "a file uploaded to the provider"
    HOSTED_TOOL = "a call of a tool that the provider runs"
    MODALITY = "an answer, or an input, that is neither text, image, document nor sound"
    FORM = "a form of answer that only this protocol knows"
    ENDPOINT = "this endpoint"


class RequestShape(msgspec.Struct, frozen=True, kw_only=True):
    """A request as routing sees it.

    ``output_budget`` is the request's own limit on output tokens, None when it names none;
    ``thinking_budget`` the reasoning part of it; ``body_bytes`` the decompressed body's length;
    ``remote`` counts inputs that the body only points to (image URLs, file ids, earlier responses).
    ``demands`` is what cannot be said in every protocol and would change the meaning if it were
    dropped (``core.translation``).
    """

    protocol: WireProtocol
    model: str
    stream: bool
    body_bytes: int
    output_budget: int | None = None
    thinking_budget: int = 0
    n: int = 1
    needs: frozenset[Capability] = frozenset()
    remote: int = 0
    demands: frozenset[Demand] = frozenset()


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one conversation from another, and how far it has come; read only where needed.

    ``session`` is the session that the body itself names (Claude Code's ``metadata.user_id``).
    ``opening`` is a digest of the first user message and of the system prompt without the lines
    that change each turn, None when there is no user message. ``turn`` counts the genuine user
    messages: those that are no tool results; ``continues`` tells that such results came after the
    last of them, so that the turn is still the model's.
    """

    session: str | None = None
    opening: bytes | None = None
    turn: int = 0
    continues: bool = False
