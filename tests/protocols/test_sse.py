"""The push parser and the writer of server-sent events."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.protocols import sse
from gatewayctl.protocols.sse import BadFrame, SseEvent, SseParser

LIMIT = 1 << 20

PIECES = st.sampled_from(
    b"\n|\r|\r\n|\n\n|data: {}|data:x|data|event: a|: note|id: 1|\xef\xbb\xbf|\xff|:| ".split(b"|")
)
STREAMS = st.lists(PIECES, max_size=30).map(b"".join)


def parsed(*chunks: bytes, limit: int = LIMIT) -> tuple[list[SseEvent], bytes]:
    """Feed the chunks and return all events and the tail."""
    parser = SseParser(limit)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events, parser.tail


def joined(events: list[SseEvent]) -> list[SseEvent]:
    """Return the events with each run of comments and blank lines as one.

    Those go to the client as they come, so where the network cuts between two of them shows.
    """
    runs: list[SseEvent] = []
    for event in events:
        if runs and is_idle(event) and is_idle(runs[-1]):
            runs[-1] = SseEvent(raw=runs[-1].raw + event.raw)
        else:
            runs.append(event)
    return runs


def is_idle(event: SseEvent) -> bool:
    """Tell whether an event is of comments and blank lines alone."""
    return re.fullmatch(rb"(:[^\r\n]*|[\r\n])*", event.raw) is not None


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at the given offsets."""
    bounds = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


@given(STREAMS, st.lists(st.integers(0, 120), max_size=20))
def test_any_chunking_gives_the_same_events_and_keeps_every_byte(
    stream: bytes, places: list[int]
) -> None:
    """Where the network cuts a stream changes nothing, and nothing is lost or added."""
    events, tail = parsed(stream)
    assert b"".join(event.raw for event in events) + tail == stream
    for chunks in (cut(stream, places), [bytes([byte]) for byte in stream]):
        others, rest = parsed(*chunks)
        assert (joined(others), rest) == (joined(events), tail)


@given(STREAMS, st.integers(1, 12), st.lists(st.integers(0, 120), max_size=20))
def test_an_oversize_event_is_refused_however_it_is_cut(
    stream: bytes, limit: int, places: list[int]
) -> None:
    """An event over the limit never comes out, and those before it always do."""

    def upto_refusal(chunks: list[bytes]) -> list[SseEvent]:
        parser = SseParser(limit)
        events: list[SseEvent] = []
        try:
            for chunk in [*chunks, b""]:
                events += parser.feed(chunk)
        except BadFrame:
            return events
        return events

    events = upto_refusal([stream])
    assert joined(upto_refusal(cut(stream, places))) == joined(events)
    assert all(len(event.raw) <= limit for event in events)


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("line", [b"", b": note"])
@pytest.mark.parametrize("before", [b"", b"data: 1\n\n"])
def test_a_flood_of_what_means_nothing_is_one_event(before: bytes, line: bytes, eol: bytes) -> None:
    """So that it costs no time for each; what follows it is read as ever."""
    flood = (line + eol + eol if line else eol) * 10_000
    stream = before + flood + b"data: 2\n\n"
    *others, last = [event for event in parsed(stream)[0] if event.raw != before]
    assert b"".join(event.raw for event in others) == flood
    assert len(others) == 1
    assert last == SseEvent(raw=b"data: 2\n\n", data=b"2")


def test_a_flood_is_handed_on_in_pieces_no_longer_than_the_limit() -> None:
    """What is legal as many events is not refused as one."""
    raws = [event.raw for event in parsed(b"data: 1\n\n" + b"\n" * 25, limit=10)[0]]
    assert raws == [b"data: 1\n\n", b"\n" * 10, b"\n" * 10, b"\n" * 5]


def test_comments_before_an_events_fields_are_no_part_of_its_meaning() -> None:
    """Also when there are very many."""
    stream = b":\r\n: data: 0\n:\r" * 1000 + b"data: 1\n\n"
    assert parsed(stream) == ([SseEvent(raw=stream, data=b"1")], b"")


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_all_line_endings_end_an_event(eol: bytes) -> None:
    """LF, CRLF and CR streams give the same names and data."""
    lines = [
        b"event: a",
        b"data: 1",
        b"data:2",
        b"data:  3",
        b"",
        b": note",
        b"",
        b"data",
        b"",
        b"",
    ]
    events, tail = parsed(eol.join(lines) + (b"x" if eol == b"\r" else b""))
    assert [(event.event, event.data) for event in events] == [
        ("a", b"1\n2\n 3"),
        ("", b""),
        ("", b""),
    ] + [("", b"")] * (len(events) - 3)
    assert tail in {b"", b"x", eol}


@pytest.mark.parametrize(
    ("stream", "raws", "tail"),
    [
        (b"data: 1\n\ndata: 2\n\n", [b"data: 1\n\n", b"data: 2\n\n"], b""),
        (b"data: 1\n\n\n\ndata: 2", [b"data: 1\n\n", b"\n\n"], b"data: 2"),
        (b"data: 1\r\n\r\n", [b"data: 1\r\n\r\n"], b""),
        (b"data: 1\r\n\r", [], b"data: 1\r\n\r"),
        (b"data: 1\r\n\rdata: 2\r\n\n", [b"data: 1\r\n\r", b"data: 2\r\n\n"], b""),
        (b"data: 1\r\rdata: 2\r\r", [b"data: 1\r\r", b"data: 2\r\r"], b""),
        (b"data: 1\r\r\ndata: 2\n\n", [b"data: 1\r\r", b"\ndata: 2\n\n"], b""),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"\xef\xbb\xbfdata: 1\n\n"], b""),
        (b"data: 1\n", [], b"data: 1\n"),
    ],
)
def test_events_end_at_blank_lines_and_nowhere_else(
    stream: bytes, raws: list[bytes], tail: bytes
) -> None:
    """Each event's bytes include the blank line; what is unfinished is no event."""
    events, rest = parsed(stream)
    assert ([event.raw for event in events], rest) == (raws, tail)


def test_a_byte_order_mark_is_kept_but_not_read() -> None:
    """The first line's field is found behind the mark, whose bytes still go to the client."""
    stream = b"\xef\xbb\xbfdata: 1\n\n"
    assert parsed(stream) == ([SseEvent(raw=stream, data=b"1")], b"")


def test_an_oversize_event_after_whole_ones_is_refused_at_the_next_feed() -> None:
    """Events before the bad one are not lost to it."""
    parser = SseParser(10)
    assert len(parser.feed(b"data: 1\n\ndata: 123456789\n\n")) == 1
    with pytest.raises(BadFrame, match="longer than 10 bytes"):
        parser.feed(b"")


@pytest.mark.parametrize(
    ("event", "data", "raw"),
    [
        ("", b"{}", b"data: {}\n\n"),
        ("error", b"{}", b"event: error\ndata: {}\n\n"),
        ("", b"a\nb", b"data: a\ndata: b\n\n"),
    ],
)
def test_what_is_written_reads_back(event: str, data: bytes, raw: bytes) -> None:
    """The writer gives one whole event that the parser understands."""
    assert sse.write(event, data) == raw
    assert parsed(raw) == ([SseEvent(raw=raw, event=event, data=data)], b"")
