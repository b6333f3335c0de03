"""Measuring text: counts of characters by class, per segment of a request.

Which strings of a body count, and in which segment, belongs to each protocol's ``measured``
module; what a count means in tokens belongs to ``core.estimate``. No single operation works on
more than 256 KB, so that counting a large request never holds up others for long.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gatewayctl.core.shape import Measured, Segment, TextStats
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.sink import Sink

_WINDOW = 64 * 1024  # code points, so at most 256 KB of UTF-8
_SPACE = b" \t\n\r\x0b\x0c"


def _class_of(byte: int) -> int:
    """Return the letter that stands for a byte's class: only first bytes of code points count."""
    if byte in _SPACE:
        return b" "[0]
    if byte < 0x80:  # noqa: PLR2004 - ASCII
        return b"l"[0] if chr(byte).isalpha() else b"m"[0]
    if byte < 0xC0:  # noqa: PLR2004 - a continuation byte
        return b"."[0]
    if byte < 0xE0:  # noqa: PLR2004 - the first of two
        return b"2"[0]
    if byte < 0xE2:  # noqa: PLR2004 - the first of three, up to U+1FFF
        return b"i"[0]
    return b"3"[0] if byte < 0xF0 else b"4"[0]  # noqa: PLR2004 - of three, of four


_CLASSES = bytes(_class_of(byte) for byte in range(256))
_ALNUM = bytes(b"x"[0] if chr(b).isalnum() and b < 0x80 else b" "[0] for b in range(256))  # noqa: PLR2004 - ASCII
_OPAQUE = b"x" * 32  # letters and digits in a row, from which on it is no word of any language
_OPAQUE_RUN = re.compile(b"x{32,}+")
_WORDS = bytes(b" "[0] if byte in _SPACE else b"x"[0] for byte in range(256))

_FIELDS = TextStats.__struct_fields__  # in the order in which ``_count`` finds them
_CHARS, _LETTERS = _FIELDS.index("chars"), _FIELDS.index("letters")

SYSTEM_ROLES = ("system", "developer")
"""Whose messages count as the system's; a tuple, since what stands as a role may be anything."""

# Inside values of unknown form: labels, and data of images and files, which are no text.
_NOT_TEXT = frozenset(
    {"type", "id", "call_id", "tool_call_id", "tool_use_id", "signature", "cache_control"}
    | {"data", "file_data", "url", "image_url", "file_url", "file_id", "encrypted_content"}
)


def compact(value: Any) -> str:
    """Return the JSON text that a value counts by; raise ``RequestInvalid`` for endless nesting."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as error:
        raise request_body.invalid("$", "the body is nested too deeply.") from error


def strings_in(value: Any, opaque: Callable[[Any], None]) -> Iterator[str]:
    """Yield all strings inside a value in order, but no labels and no data of images or files.

    ``opaque`` is given what is encrypted. Without recursion: how deep a body nests is its
    sender's choice.
    """
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text:
                yield text
            case dict() as members:
                if "encrypted_content" in members:
                    opaque(members["encrypted_content"])
                inside = [inner for key, inner in members.items() if key not in _NOT_TEXT]
                pending += reversed(inside)
            case list() as elements:
                pending += reversed(elements)
            case _:
                continue


def measured_by(walk: Callable[[bytes, Sink], None], body: bytes) -> Measured:
    """Return the measure that a protocol's walk over a request gives."""
    tally = Tally()
    walk(body, tally)
    return tally.done()


class Tally:
    """A ``Sink`` that counts one request piece by piece; ``done`` makes the value of it."""

    def __init__(self) -> None:
        self._segments: dict[Segment, list[int]] = {}
        self.messages = 0
        self.tools = 0
        self.images = 0
        self.documents = 0
        self.audios = 0

    def message(self, segment: Segment) -> None:  # noqa: ARG002
        """Count a message."""
        self.messages += 1

    def text(self, segment: Segment, text: str) -> None:
        """Count a text."""
        if not text:
            return
        counts = self._counts(segment)
        in_word = False
        for start in range(0, len(text), _WINDOW):
            in_word = _count(text[start : start + _WINDOW], counts, in_word=in_word)

    def name(self, segment: Segment, name: Any) -> None:
        """Count a name."""
        if isinstance(name, str):
            self.text(segment, name)

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        """Count a tool call: its name, and its arguments as they stand or as compact JSON."""
        self.name(segment, name)
        if isinstance(arguments, str):
            self.text(segment, arguments)
        else:
            self.json(segment, arguments)

    def tool(self, definition: Any) -> None:
        """Count a tool definition by its compact text."""
        self.tools += 1
        self.json(Segment.TOOLS, definition)

    def image(self, data: Any, media_type: Any, detail: Any) -> None:  # noqa: ARG002
        """Count an image."""
        self.images += 1

    def document(self, data: Any, media_type: Any) -> None:  # noqa: ARG002
        """Count a document."""
        self.documents += 1

    def audio(self, data: Any, media_type: Any) -> None:  # noqa: ARG002
        """Count a clip of sound."""
        self.audios += 1

    def json(self, segment: Segment, value: Any) -> None:
        """Count a JSON value by its compact text (none for null), not its white space."""
        if value is not None:
            self.text(segment, compact(value))

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Count encrypted text by its length: base64 has four characters for three bytes."""
        if isinstance(base64, str):
            size = len(base64) * 3 // 4
            counts = self._counts(segment)
            counts[_CHARS] += size
            counts[_LETTERS] += size

    def strings(self, segment: Segment, value: Any) -> None:
        """Count all strings inside a value of unknown form, but no data of images or files."""
        for text in strings_in(value, lambda data: self.opaque(segment, data)):
            self.text(segment, text)

    def done(self) -> Measured:
        """Return what was counted."""
        segments = {
            segment: TextStats(**dict(zip(_FIELDS, counts, strict=True)))
            for segment, counts in self._segments.items()
        }
        return Measured(
            segments=segments,
            messages=self.messages,
            tools=self.tools,
            images=self.images,
            documents=self.documents,
            audio=self.audios,
        )

    def _counts(self, segment: Segment) -> list[int]:
        return self._segments.setdefault(segment, [0] * len(_FIELDS))


def _count(text: str, counts: list[int], *, in_word: bool) -> bool:
    """Add one window's counts, in the order of ``_FIELDS``; tell whether it ends in a word."""
    data = text.encode(errors="surrogatepass")
    words = data.translate(_WORDS)
    classes = data.translate(_CLASSES)
    chars = len(text)
    letters, spaces = classes.count(b"l"), classes.count(b" ")
    narrow = indic = wide = astral = 0
    if len(data) != chars:
        narrow, indic = classes.count(b"2"), classes.count(b"i")
        wide, astral = classes.count(b"3"), classes.count(b"4")
    starts = words.count(b" x") + (words[:1] == b"x" and not in_word)
    opaque, of_letters = _opaque(data, classes)
    letters -= of_letters
    marks = chars - letters - spaces - narrow - indic - wide - astral - opaque
    found = (chars, starts, letters, spaces, marks, narrow, indic, wide, astral, opaque)
    for index, count in enumerate(found):
        counts[index] += count
    return words.endswith(b"x")


def _opaque(data: bytes, classes: bytes) -> tuple[int, int]:
    """Return how many characters stand in opaque runs, and how many of those are letters."""
    runs = data.translate(_ALNUM)
    if _OPAQUE not in runs:
        return 0, 0
    size = letters = 0
    for run in _OPAQUE_RUN.finditer(runs):
        size += run.end() - run.start()
        letters += classes.count(b"l", run.start(), run.end())
    return size, letters
