"""Server-sent events: a push parser that keeps every byte, and a writer.

The parser turns bytes into whole events without changing one of them: what a client is sent is
``SseEvent.raw``. What an event means belongs to each protocol's ``stream`` module. Fields follow
the WHATWG description of the event stream format: lines end in LF, CRLF or CR, a blank line ends
an event, a byte order mark at the start is no part of the first line.
"""

import re

import msgspec

_BOM = b"\xef\xbb\xbf"
_CR = 13

# An event's end: two line endings in a row. After a line that ended in LF or CRLF, a lone CR may
# be the first half of a CRLF, so it counts only once the byte after it is known; after a line
# that ended in CR alone it counts at once, so that CR-only streams are not held back.
_END = re.compile(rb"(?:\r\n|\n)(?:\r\n|\n|\r(?=[^\n]))|\r\r")
_LEADING_BLANK = re.compile(rb"\r\n|\n|\r(?=[^\n])")
# Whole lines of comments and blank lines, nothing else.
_IDLE = re.compile(rb"(?:(?::[^\r\n]*+)?+[\r\n])++")
# As many events of those alone as follow each other, each as _LEADING_BLANK and _END would end it.
# An LF after CR CR is theirs only where one of them goes on.
_IDLE_RUN = re.compile(
    rb"""(?:
        (?:(?<=\r\r)\n)?+
        (?:
            \n++ | (?:\r\n)++ | \r+(?=[^\n])
            | (?::[^\r\n]*+(?:\r\n|\n|\r))++ (?:(?<=\n)(?:\r\n|\n|\r(?=[^\n])) | (?<=\r)\r)
        )
    )++""",
    re.VERBOSE,
)
_IDLE_STARTS = b":\r\n"
_COMMENTS = re.compile(rb"(?::[^\r\n]*+[\r\n]++)++")
# How far before the end of what was searched an unfinished end of event may begin: CR LF CR.
_OVERLAP = 3


class BadFrame(Exception):
    """An upstream's bytes that are not of the protocol: the reply is bad from here on."""


class SseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One whole event. ``raw`` is its bytes as they came, blank line included.

    ``event`` is the name, empty when there is none; ``data`` the data lines joined by LF. Both
    are empty for an event of comments or blank lines alone, of which a run may be one event.
    """

    raw: bytes
    event: str = ""
    data: bytes = b""


class SseParser:
    """Bytes in, whole events out; any chunking of the same bytes gives the same events.

    Comments and blank lines keep a stream alive, so they are never held back: those that come
    together and mean nothing are one event, however many, and so their number alone may differ.
    The ``raw`` of all events and then ``tail`` are exactly the bytes that were fed. An event
    longer than ``max_event_bytes`` raises ``BadFrame``: at once, or at the next ``feed`` when
    whole events stood before it in the same chunk. Nothing is parsed after that.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._limit = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0  # no event ends before this offset of the buffer
        self._first = True  # a byte order mark may stand before the first event
        self._after_cr = False  # the last event ended in CR CR: an LF next belongs to that ending
        self._too_long = False

    @property
    def tail(self) -> bytes:
        """What was fed and is not part of a whole event: never an event by itself."""
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that this chunk makes whole, in order."""
        if self._buffer or self._first or self._after_cr or self._too_long or b"\r" in chunk:
            return self._feed_any(chunk)
        events: list[SseEvent] = []
        start = 0
        while start < len(chunk):
            if chunk[start] in _IDLE_STARTS and (
                run := _IDLE_RUN.match(chunk, start, start + self._limit)
            ):
                events.append(SseEvent(raw=run.group()))
                start = run.end()
                continue
            end = chunk.find(b"\n\n", start) + 2
            if end == 1 or end - start > self._limit:
                break
            events.append(_parse(chunk[start:end]))
            start = end
        if start < len(chunk):
            self._buffer += chunk[start:]
            self._check_limit(events)
        return events

    def _feed_any(self, chunk: bytes) -> list[SseEvent]:
        """Do the same for any line ending and leftover, in time linear in the bytes fed."""
        buffer = self._buffer
        buffer += chunk
        events: list[SseEvent] = []
        start = 0
        while not self._too_long:
            end = self._end_of_event(start)
            if end is None:
                self._searched = max(self._searched, len(buffer) - _OVERLAP)
                break
            if end - start > self._limit:
                self._too_long = True
                break
            raw = bytes(buffer[start:end])
            if raw[0] in _IDLE_STARTS and _IDLE.fullmatch(raw):
                run = _IDLE_RUN.match(buffer, end, start + self._limit)
                if run:
                    raw += run.group()
                    end = run.end()
                events.append(SseEvent(raw=raw))
            else:
                events.append(_parse(raw.removeprefix(_BOM) if self._first else raw, raw))
            self._first = False
            self._after_cr = raw.endswith(b"\r\r")
            start = end
            self._searched = end
        del buffer[:start]
        self._searched = max(self._searched - start, 0)
        self._check_limit(events)
        return events

    def _end_of_event(self, start: int) -> int | None:
        """Return the offset after the event that begins at ``start``, None while unfinished."""
        buffer = self._buffer
        first_line = start
        if self._first and buffer.startswith(_BOM):
            first_line += len(_BOM)
        elif self._after_cr and buffer[start : start + 1] == b"\n":
            first_line += 1
        blank = _LEADING_BLANK.match(buffer, first_line)
        found = blank or _END.search(buffer, max(first_line, self._searched))
        return found.end() if found else None

    def _check_limit(self, events: list[SseEvent]) -> None:
        if len(self._buffer) > self._limit:
            self._too_long = True
        if self._too_long and not events:
            raise BadFrame(f"a stream event is longer than {self._limit} bytes")


def _parse(lines: bytes, raw: bytes | None = None) -> SseEvent:
    """Read the fields of one event; ``raw`` where it has bytes that are no part of its lines."""
    if raw is None:
        raw = lines
    if lines.startswith(b"data: ") and lines.find(b"\n") == len(lines) - 2 and _CR not in lines:
        return SseEvent(raw=raw, data=lines[6:-2])  # the usual event: one line of data
    comments = _COMMENTS.match(lines)  # there may be very many
    fields = lines[comments.end() :] if comments else lines
    name = b""
    data: list[bytes] = []
    for line in fields.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return SseEvent(raw=raw, event=name.decode(errors="replace"), data=b"\n".join(data))


def write(event: str, data: bytes) -> bytes:
    """Return one event; ``event`` empty leaves the name out, each line of data gets its field."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
