"""A stream as one JSON array, for clients that ask for ``streamGenerateContent`` without events.

What is sent is the same frame by frame: each is an element of the array, an error the last one.
"""

from gatewayctl.protocols.sse import SseParser

TYPE = "application/json"
"""The content type of such a stream."""


class ArrayForm:
    """Turns the frames of one stream into the array, in order.

    Keepalives are white space in both forms. ``max_event_bytes`` as in ``SseParser``, whose
    ``BadFrame`` a frame raises that is longer.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._parser = SseParser(max_event_bytes)
        self._begun = False

    def write(self, frames: bytes) -> bytes:
        """Return whole frames as elements, with the bracket or the comma before each."""
        out = []
        for event in self._parser.feed(frames):
            if event.data:
                out.append((b",\n" if self._begun else b"[") + event.data)
                self._begun = True
            else:
                out.append(b"\n")
        return b"".join(out)

    def end(self) -> bytes:
        """Return what closes the array; nothing may follow it."""
        return b"]" if self._begun else b"[]"
