"""Measuring a request: the sink that counts what a protocol's walk over it tells.

Which strings of a body count, and in which segment, belongs to each protocol's ``measured``
module; how text is counted to ``core.text``; what a count means in tokens to ``core.estimate``.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gatewayctl.core.shape import Audio, Document, Image, Measured, Segment
from gatewayctl.core.text import TextCounter
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import heads
from gatewayctl.protocols.sink import Sink

SYSTEM_ROLES = ("system", "developer")
"""Whose messages count as the system's; a tuple, since what stands as a role may be anything."""

# Inside values of unknown form: labels, and data of images and files, which are no text.
_NOT_TEXT = frozenset(
    {"type", "id", "call_id", "tool_call_id", "tool_use_id", "signature", "cache_control"}
    | {"data", "file_data", "url", "image_url", "file_url", "file_id", "encrypted_content"}
)

# A tool that has none of these is only named: the provider defines it.
_DEFINED = frozenset(
    {"function", "custom", "parameters", "input_schema", "description", "format"}
    | {"functionDeclarations"}
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


def think(sink: Sink, segment: Segment, value: Any) -> None:
    """Tell ``sink`` every string of a value of unknown form as something that a model thought."""
    for text in strings_in(value, lambda data: sink.opaque(segment, data)):
        sink.thinking(segment, text)


class Tally:
    """A ``Sink`` that counts one request piece by piece; ``done`` makes the value of it."""

    def __init__(self) -> None:
        self._counters: dict[Segment, TextCounter] = {}
        self.messages = 0
        self.tools = 0
        self.server_tools = 0
        self._thought = 0
        self._tokens = 0
        self._images: Counter[Image] = Counter()
        self._documents: Counter[Document] = Counter()
        self._audio: Counter[Audio] = Counter()

    def message(self, segment: Segment) -> None:  # noqa: ARG002
        """Count a message."""
        self.messages += 1

    def text(self, segment: Segment, text: str) -> None:
        """Count a text."""
        if text:
            self._counter(segment).add(text)

    def thinking(self, segment: Segment, text: str) -> None:
        """Count what a model thought, as text and apart."""
        self._thought += len(text)
        self.text(segment, text)

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
        self.server_tools += isinstance(definition, dict) and _DEFINED.isdisjoint(definition)
        self.json(Segment.TOOLS, definition)

    def image(self, data: Any, media_type: Any, detail: Any) -> None:  # noqa: ARG002
        """Count an image by its pixels; its data says more truly what it is than its type."""
        self._images[heads.image(data, detail)] += 1

    def document(self, data: Any, media_type: Any) -> None:  # noqa: ARG002
        """Count a document by its pages."""
        self._documents[heads.document(data)] += 1

    def audio(self, data: Any, media_type: Any) -> None:  # noqa: ARG002
        """Count a clip of sound by its length."""
        self._audio[heads.audio(data)] += 1

    def json(self, segment: Segment, value: Any) -> None:
        """Count a JSON value by its compact text (none for null), not its white space."""
        if value is not None:
            self.text(segment, compact(value))

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Count encrypted thinking by its length: base64 has four characters for three bytes."""
        if isinstance(base64, str):
            self._thought += len(base64) * 3 // 4
            self._counter(segment).add_opaque(len(base64) * 3 // 4)

    def listed(self, count: int) -> None:
        """Count tokens."""
        self._tokens += count

    def strings(self, segment: Segment, value: Any) -> None:
        """Count all strings inside a value of unknown form, but no data of images or files."""
        for text in strings_in(value, lambda data: self.opaque(segment, data)):
            self.text(segment, text)

    def done(self) -> Measured:
        """Return what was counted."""
        segments = {segment: counter.done() for segment, counter in self._counters.items()}
        return Measured(
            segments=segments,
            messages=self.messages,
            tools=self.tools,
            server_tools=self.server_tools,
            thought=self._thought,
            tokens=self._tokens,
            images=tuple(self._images.items()),
            documents=tuple(self._documents.items()),
            audio=tuple(self._audio.items()),
        )

    def _counter(self, segment: Segment) -> TextCounter:
        counter = self._counters.get(segment)
        if counter is None:
            counter = self._counters[segment] = TextCounter()
        return counter
