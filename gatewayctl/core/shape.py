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
    """Counts of a text that token ratios are taken over. ``chars`` is code points.

    ``words`` are runs between white space; the rest are disjoint classes of code points:
    ``letters`` (ASCII), ``spaces`` (ASCII white space), ``marks`` (every other ASCII character:
    digits, punctuation), ``narrow`` (two UTF-8 bytes: accents, Cyrillic, Arabic …), ``indic``
    (three, up to U+1FFF: Indic, Thai, Georgian …), ``wide`` (the other three: CJK, Hangul …),
    ``astral`` (four: emoji …), and ``opaque``: ASCII letters and digits in runs so long that they
    are no words (base64, hashes). The classes add up to ``chars``.
    """

    chars: int = 0
    words: int = 0
    letters: int = 0
    spaces: int = 0
    marks: int = 0
    narrow: int = 0
    indic: int = 0
    wide: int = 0
    astral: int = 0
    opaque: int = 0

    def __add__(self, other: "TextStats") -> "TextStats":
        return TextStats(
            chars=self.chars + other.chars,
            words=self.words + other.words,
            letters=self.letters + other.letters,
            spaces=self.spaces + other.spaces,
            marks=self.marks + other.marks,
            narrow=self.narrow + other.narrow,
            indic=self.indic + other.indic,
            wide=self.wide + other.wide,
            astral=self.astral + other.astral,
            opaque=self.opaque + other.opaque,
        )


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A request's text by segment, and what is not text.

    ``messages`` counts turns, for per-message overhead; ``images``, ``documents`` and ``audio``
    count parts whose data is not counted as text.
    """

    segments: dict[Segment, TextStats]
    messages: int = 0
    tools: int = 0
    images: int = 0
    documents: int = 0
    audio: int = 0


class RequestShape(msgspec.Struct, frozen=True, kw_only=True):
    """A request as routing sees it.

    ``output_budget`` is the request's own limit on output tokens, None when it names none;
    ``thinking_budget`` the reasoning part of it; ``body_bytes`` the decompressed body's length;
    ``remote`` counts inputs that the body only points to (image URLs, file ids, earlier responses).
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
