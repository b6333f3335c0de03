"""Faults below the level of an answer: silence, slowness, broken connections, broken bytes.

Each rewrites the steps of a reply as they come. Replies that are refusals instead are
``refusals``'.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gatewayctl.simulator.plays import (
    Change,
    Close,
    Fault,
    Hang,
    Head,
    Kind,
    Occasion,
    Play,
    Raw,
    Reset,
    Send,
    Step,
    Wait,
    body,
)
from gatewayctl.simulator.problems import Problem
from gatewayctl.simulator.wire import Frame

Rewrite = Callable[[Iterator[Step], float], Iterator[Step]]

_HALF_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-ty"
_PAGE: Final = b"<!doctype html><title>Simulator</title><p>Please sign in to the network.</p>"
_NO_GZIP: Final = b"this is not gzip " * 8
_OVERLOADED: Final = Problem(status=529, message="The simulator is overloaded.")


def _instead(*steps: Step) -> Change:
    """Make a fault whose steps replace all of the reply's."""

    def change(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
        return msgspec.structs.replace(play, steps=iter(steps))

    return change


def _on_steps(rewrite: Rewrite, default: float) -> Change:
    """Make a fault that rewrites the steps as they come; ``default`` is its argument's."""

    def change(play: Play, fault: Fault, _occasion: Occasion) -> Play:
        return msgspec.structs.replace(play, steps=rewrite(play.steps, fault.number(default)))

    return change


def _slow(steps: Iterator[Step], seconds: float) -> Iterator[Step]:
    """Wait once, before the first content (or the body of a reply that is not streamed)."""
    waited = False
    for step in steps:
        if isinstance(step, Send) and step.frame.content and not waited:
            waited = True
            yield Wait(seconds=seconds)
        yield step


def _pace(steps: Iterator[Step], seconds: float) -> Iterator[Step]:
    """Wait before every frame."""
    for step in steps:
        if isinstance(step, Send):
            yield Wait(seconds=seconds)
        yield step


def _after_bytes(last: Step) -> Rewrite:
    """Make a rewriting that ends the body after so many bytes with ``last``."""

    def rewrite(steps: Iterator[Step], count: float) -> Iterator[Step]:
        left = int(count)
        for step in steps:
            if isinstance(step, Send):
                if len(step.frame.data) >= left:
                    yield Send(frame=Frame(data=step.frame.data[:left]))
                    break
                left -= len(step.frame.data)
            yield step
        yield last

    return rewrite


def _after(last: Step, *, content: bool) -> Rewrite:
    """Make a rewriting that lets so many frames pass, then does ``last``.

    With ``content`` only frames that carry some are counted, and those between them pass.
    """

    def rewrite(steps: Iterator[Step], count: float) -> Iterator[Step]:
        left = int(count)
        for step in steps:
            if isinstance(step, Send) and (step.frame.content or not content):
                if left == 0:
                    break
                left -= 1
            yield step
        yield last

    return rewrite


def _after_tokens(last: Step) -> Change:
    """Make a fault that lets so many tokens pass, or half of a reply that is not streamed."""
    streamed = _after(last, content=True)

    def change(play: Play, fault: Fault, _occasion: Occasion) -> Play:
        rewrite = streamed if play.streams else _halved(last)
        return msgspec.structs.replace(play, steps=rewrite(play.steps, fault.number(2)))

    return change


def _halved(last: Step) -> Rewrite:
    def rewrite(steps: Iterator[Step], _count: float) -> Iterator[Step]:
        for step in steps:
            if isinstance(step, Send):
                yield Send(frame=Frame(data=step.frame.data[: len(step.frame.data) // 2]))
                break
            yield step
        yield last

    return rewrite


def _before_content(steps: Iterator[Step], _arg: float) -> Iterator[Step]:
    """Let headers and lifecycle frames pass, then reset."""
    for step in steps:
        if isinstance(step, Send) and step.frame.content:
            break
        yield step
    yield Reset()


def _malformed(*, content: bool) -> Change:
    """Make a fault that breaks the JSON of the frame after so many, and goes on."""

    def rewrite(steps: Iterator[Step], count: float) -> Iterator[Step]:
        left = int(count)
        for step in steps:
            if isinstance(step, Send) and (step.frame.content or not content):
                left -= 1
                if left == -1:
                    yield Send(frame=Frame(data=_broken(step.frame.data)))
                    continue
            yield step

    def change(play: Play, fault: Fault, _occasion: Occasion) -> Play:
        count = fault.number(1) if play.streams else 0
        return msgspec.structs.replace(play, steps=rewrite(play.steps, count))

    return change


def _broken(data: bytes) -> bytes:
    """Drop the last closing brace: an event keeps its form, its JSON does not end."""
    head, brace, tail = data.rpartition(b"}")
    return head + tail if brace else b"data: {\n\n"


def _no_terminal(steps: Iterator[Step], _arg: float) -> Iterator[Step]:
    """End the reply properly, but without its terminal frame."""
    return (step for step in steps if not (isinstance(step, Send) and step.frame.terminal))


def _error_inside(*, content: bool, failed: bool) -> Change:
    """Make a fault that ends a stream with an error after so many frames.

    Not streamed, the body of the 200 is the error. ``failed``: where the protocol has a terminal
    frame for failure (``response.failed``), that is sent in place of a bare error.
    """

    def change(play: Play, fault: Fault, occasion: Occasion) -> Play:
        wire = occasion.wire
        if not play.streams:
            return body(wire.error(_OVERLOADED))
        if failed:
            frame = wire.failed_frame(occasion.made, _OVERLOADED)
        else:
            frame = wire.error_frame(occasion.made, _OVERLOADED)
        rewrite = _after(Send(frame=frame), content=content)
        return msgspec.structs.replace(play, steps=rewrite(play.steps, fault.number(1)))

    return change


def _typed(content_type: str) -> Change:
    def change(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
        return msgspec.structs.replace(play, content_type=content_type)

    return change


def _no_gzip(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
    garbage = body(_NO_GZIP, content_type=play.content_type)
    return msgspec.structs.replace(garbage, headers=(("content-encoding", "gzip"),))


def _empty(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
    return body(b"", content_type=play.content_type)


def _page(_play: Play, _fault: Fault, _occasion: Occasion) -> Play:
    return body(_PAGE, content_type="text/html")


_EVENTS: Final = "events"
_TOKENS: Final = "tokens"
_SECONDS: Final = "seconds"
_BYTES: Final = "bytes"

BREAKS: Final[dict[str, Kind]] = {
    "reset": Kind(
        change=_instead(Reset()), meaning="reset the connection before a byte of the reply"
    ),
    "close": Kind(
        change=_instead(Close()), meaning="close the connection before a byte of the reply"
    ),
    "cut-head": Kind(
        change=_instead(Raw(data=_HALF_HEAD), Close()),
        meaning="close the connection in the middle of the headers",
    ),
    "silence": Kind(change=_instead(Hang()), meaning="take the request and say nothing"),
    "headers-then-nothing": Kind(
        change=_instead(Head(), Hang()), meaning="send the headers and nothing after them"
    ),
    "empty": Kind(change=_empty, meaning="a 200 with an empty body"),
    "slow": Kind(
        change=_on_steps(_slow, 1),
        meaning="wait before the first token, 1 second unless told",
        argument=_SECONDS,
    ),
    "pace": Kind(
        change=_on_steps(_pace, 0.05),
        meaning="wait before every event, 0.05 seconds unless told",
        argument=_SECONDS,
    ),
    "cut": Kind(
        change=_on_steps(_after_bytes(Close()), 0),
        meaning="close after so many bytes of the body, 0 unless told",
        argument=_BYTES,
    ),
    "cut-reset": Kind(
        change=_on_steps(_after_bytes(Reset()), 0),
        meaning="reset after so many bytes of the body, 0 unless told",
        argument=_BYTES,
    ),
    "cut-events": Kind(
        change=_on_steps(_after(Close(), content=False), 1),
        meaning="close after so many events, 1 unless told",
        argument=_EVENTS,
    ),
    "cut-tokens": Kind(
        change=_after_tokens(Close()),
        meaning="close after so many tokens, 2 unless told; not streamed, after half of the body",
        argument=_TOKENS,
    ),
    "reset-before-content": Kind(
        change=_on_steps(_before_content, 0), meaning="reset before the first token"
    ),
    "reset-tokens": Kind(
        change=_after_tokens(Reset()),
        meaning="reset after so many tokens, 2 unless told; not streamed, after half of the body",
        argument=_TOKENS,
    ),
    "stall": Kind(
        change=_on_steps(_after(Hang(), content=False), 2),
        meaning="say nothing more after so many events, 2 unless told",
        argument=_EVENTS,
    ),
    "stall-tokens": Kind(
        change=_after_tokens(Hang()),
        meaning="say nothing more after so many tokens, 2 unless told; not streamed, after half",
        argument=_TOKENS,
    ),
    "malformed": Kind(
        change=_malformed(content=False),
        meaning="break the JSON of the event after so many, 1 unless told, or of the body",
        argument=_EVENTS,
    ),
    "malformed-tokens": Kind(
        change=_malformed(content=True),
        meaning="break the JSON of the event after so many tokens, 1 unless told",
        argument=_TOKENS,
    ),
    "no-terminal": Kind(
        change=_on_steps(_no_terminal, 0),
        meaning="end a stream properly, but without its terminal event",
    ),
    "stream-error": Kind(
        change=_error_inside(content=False, failed=False),
        meaning="an error inside a 200, after so many events, 1 unless told",
        argument=_EVENTS,
    ),
    "stream-error-tokens": Kind(
        change=_error_inside(content=True, failed=False),
        meaning="an error inside a 200, after so many tokens, 1 unless told",
        argument=_TOKENS,
    ),
    "failed": Kind(
        change=_error_inside(content=False, failed=True),
        meaning="as stream-error, but as response.failed where the protocol is responses",
        argument=_EVENTS,
    ),
    "failed-tokens": Kind(
        change=_error_inside(content=True, failed=True),
        meaning="as stream-error-tokens, but as response.failed where the protocol is responses",
        argument=_TOKENS,
    ),
    "wrong-type": Kind(change=_typed("text/html"), meaning="the right reply, labelled as HTML"),
    "page": Kind(change=_page, meaning="a 200 with an HTML page"),
    "gzip-garbage": Kind(change=_no_gzip, meaning="a body that is labelled gzip and is none"),
}
"""Every such fault by name."""
