"""The stream contract in every pair of protocols: cut anywhere, a stream never looks complete."""

from collections.abc import Iterator

import pytest
from support import strict, translating, verdicts
from support.translating import PROTOCOLS, Answered

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.sse import BadFrame, SseEvent, SseParser
from gatewayctl.protocols.translation import Passage, Translated, Verbatim

CASES = [
    case
    for case in translating.replies()
    if case.title in ("text and a call", "a thought and an answer")
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "-"))
every_client = pytest.mark.parametrize("client", PROTOCOLS)
every_upstream = pytest.mark.parametrize("upstream", PROTOCOLS)
ERROR = ApiError(kind=ErrorKind.UPSTREAM_FAILED, message="the upstream broke off")


def passage(upstream: WireProtocol, client: WireProtocol) -> Passage:
    """Return a stream's way to its client, as the daemon makes it."""
    codec = CODECS[upstream]
    watcher = codec.watcher(usage_requested=True)
    seen: list[bytes] = []
    if upstream is client:
        return Verbatim(codec, watcher, seen.append)
    context = translating.context(client, stream=True)
    return Translated(CODECS[client], codec, watcher, context)


def told(way: Passage, events: list[SseEvent]) -> bytes:
    """Return what the client gets of these events."""
    for event in events:
        way.watcher.see(event)
        way.take(event)
    return way.release()


def over(way: Passage) -> bytes:
    """Return what the client gets when the upstream's body ends where it may."""
    if way.watcher.complete:
        way.finish()
    return way.release()


@every_upstream
@every_client
@every_case
def test_a_stream_cut_at_any_byte_never_looks_complete(
    case: Answered, client: WireProtocol, upstream: WireProtocol
) -> None:
    """A byte at a time: only the last one, which ends the terminal frame, makes it complete."""
    whole = case.streams[upstream]
    way, parser = passage(upstream, client), SseParser(1 << 20)
    received = b""
    for offset in range(len(whole)):
        received += told(way, parser.feed(whole[offset : offset + 1]))
        if offset == len(whole) - 1:
            received += over(way)
        assert verdicts.looks_complete(client, received) is (offset == len(whole) - 1)


@every_upstream
@every_client
@every_case
def test_what_breaks_off_ends_in_the_clients_own_error(
    case: Answered, client: WireProtocol, upstream: WireProtocol
) -> None:
    """Behind every event from the first content on: whole valid events, then a typed error."""
    frames = translating.frames(case.streams[upstream])
    watcher = CODECS[upstream].watcher(usage_requested=True)
    phases = [watcher.see(frame) for frame in frames]
    last = phases.index(Phase.TERMINAL) if Phase.TERMINAL in phases else len(phases) - 1
    for end in range(phases.index(Phase.CONTENT) + 1, last):
        way = passage(upstream, client)
        received = told(way, frames[:end]).replace(b"\r\n", b"\n") + way.error(ERROR)
        verdicts.broken(client, received, torn=client is WireProtocol.GEMINI)


@every_upstream
@every_client
@every_case
def test_signs_of_life_harm_no_stream(
    case: Answered, client: WireProtocol, upstream: WireProtocol
) -> None:
    """One behind every event from the first content on: the stream is as valid as without."""
    frames = translating.frames(case.streams[upstream])
    watcher = CODECS[upstream].watcher(usage_requested=True)
    begin = [watcher.see(frame) for frame in frames].index(Phase.CONTENT) + 1
    way = passage(upstream, client)
    received = told(way, frames[:begin])
    for frame in frames[begin:]:
        received += way.keepalive(None) + told(way, [frame])
    received += over(way)
    if upstream is client is WireProtocol.RESPONSES:
        return  # its own events are numbered by the upstream, which nothing may change
    strict.events(client, received.replace(b"\r\n", b"\n"))


@every_upstream
@every_client
@every_case
def test_events_that_are_missing_or_told_twice_or_out_of_order_break_nothing(
    case: Answered, client: WireProtocol, upstream: WireProtocol
) -> None:
    """Each in turn: the stream is bad, or whole events reach the client; never another error.

    And only an upstream's own end makes it complete.
    """
    frames = translating.frames(case.streams[upstream])
    for wrong in _mixed_up(frames):
        way = passage(upstream, client)
        received, phase = b"", Phase.LIFECYCLE
        try:
            for frame in wrong:
                phase = way.watcher.see(frame)
                way.take(frame)
                received += way.release()
                if phase is Phase.TERMINAL:
                    break
            received += over(way)
        except BadFrame:
            continue
        assert not received or received.endswith((b"\n\n", b"\r\n\r\n"))
        whole = phase is Phase.TERMINAL or way.watcher.complete
        if upstream is client is WireProtocol.GEMINI and not whole:
            continue  # its frames went out as they came: the error behind them tells the client
        assert verdicts.looks_complete(client, received) is whole


def _mixed_up(frames: list[SseEvent]) -> Iterator[list[SseEvent]]:
    for place in range(len(frames)):
        before, at, after = frames[:place], frames[place], frames[place + 1 :]
        yield [*before, *after]
        yield [*before, at, at, *after]
        yield [*before, *after[:1], at, *after[1:]]


@pytest.mark.parametrize("client", [WireProtocol.RESPONSES, WireProtocol.GEMINI])
def test_a_stream_without_end_is_bad_before_it_fills_the_memory(client: WireProtocol) -> None:
    """What a dialect tells once more at the end is held, and so there is a limit to it."""
    way = passage(WireProtocol.CHAT_COMPLETIONS, client)
    piece = {"index": 0, "delta": {"content": "x" * (8 << 20)}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    body = translating.streamed("chat_completions", [{**chunk, "choices": [piece]}])
    frame, _ = translating.frames(body)
    for _ in range(8):
        way.take(frame)
        way.release()
    with pytest.raises(BadFrame, match="67108864 characters at most"):
        way.take(frame)
