"""Server-sent events: a push parser that keeps every byte, and a writer."""

import msgspec


class SseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One whole event. ``raw`` is its bytes as they came, blank line included."""

    raw: bytes
    event: str = ""
    data: bytes = b""
