"""What a walk over a request tells as it goes: every piece that counts as input, in order.

Each protocol has one walk (``*.measured.walk``); what is made of the pieces is the sink's business:
``measure.Tally`` counts characters, the counting process collects text for a tokenizer. A sink
must take whatever comes: where a type here is ``Any``, the value is decoded JSON, unchecked.
"""

from typing import Any, Protocol

from gatewayctl.core.shape import Segment


class Sink(Protocol):
    """Takes a request's pieces, each exactly once."""

    def message(self, segment: Segment) -> None:
        """Begin a message: what follows, up to the next, belongs to it."""
        ...

    def text(self, segment: Segment, text: str) -> None:
        """Take a text."""
        ...

    def thinking(self, segment: Segment, text: str) -> None:
        """Take what a model thought; providers leave out that of turns that are over."""
        ...

    def name(self, segment: Segment, name: Any) -> None:
        """Take the name of a message's author; anything but a string is none."""
        ...

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        """Take a tool call: its arguments are a string, or JSON that is counted compactly."""
        ...

    def json(self, segment: Segment, value: Any) -> None:
        """Take a JSON value that counts by its compact text; null counts nothing."""
        ...

    def strings(self, segment: Segment, value: Any) -> None:
        """Take a value of unknown form: every string in it counts, but no data of files.

        ``measure.strings_in`` says which those are.
        """
        ...

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Take encrypted text, which counts by its length; anything but a string is none."""
        ...

    def listed(self, count: int) -> None:
        """Take so many tokens that the body lists by number."""
        ...

    def tool(self, definition: Any) -> None:
        """Take a tool definition of any dialect; it counts in ``Segment.TOOLS``."""
        ...

    def image(self, data: Any, media_type: Any, detail: Any) -> None:
        """Take an image: ``data`` is base64, a URL, or None where the body only points to it."""
        ...

    def document(self, data: Any, media_type: Any) -> None:
        """Take a document that is no text (a PDF), its data as an image's."""
        ...

    def audio(self, data: Any, media_type: Any) -> None:
        """Take a clip of sound, its data as an image's; the type may be a bare ``wav``."""
        ...
