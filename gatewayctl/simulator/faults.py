"""Faults on demand: each is a small function that changes how one reply is played.

A reply is a ``Play``: status, headers and a sequence of steps. Faults are pure functions from a
play to a play, looked up in ``FAULTS`` by name; ``server`` alone performs the steps. A fault is
named in a request header (``x-sim-fault: cut=120``), after ``!`` in the model (``small!cut=120``)
or in a script; several are joined by commas or by more ``!``.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gatewayctl.simulator.problems import Problem, invalid
from gatewayctl.simulator.wire import Frame, Wire

HEADER: Final = "x-sim-fault"
SSE_TYPE: Final = "text/event-stream; charset=utf-8"
JSON_TYPE: Final = "application/json"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Step: send the status line and the headers."""


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Step: send a frame of the body."""

    frame: Frame


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Step: say nothing for some seconds."""

    seconds: float


class Hang(msgspec.Struct, frozen=True, kw_only=True):
    """Step: say nothing until the caller goes away."""


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """Step: close the connection (FIN) with the body unfinished."""


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Step: reset the connection (RST)."""


Step = Head | Send | Wait | Hang | Close | Reset


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """One reply as it will be performed. ``steps`` can be run through once."""

    status: int
    content_type: str
    steps: Iterator[Step]
    headers: tuple[tuple[str, str], ...] = ()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault as it was asked for; ``arg`` is what stood after ``=``, or empty."""

    name: str
    arg: str = ""


def play(frames: Iterator[Frame], *, content_type: str, status: int = 200) -> Play:
    """Return the faultless performance of some frames."""

    def steps() -> Iterator[Step]:
        yield Head()
        for frame in frames:
            yield Send(frame=frame)

    return Play(status=status, content_type=content_type, steps=steps())


def refusal(wire: Wire, problem: Problem) -> Play:
    """Return the performance of an error reply."""
    body = Frame(data=wire.error(problem))
    refused = play(iter([body]), content_type=JSON_TYPE, status=problem.status)
    return msgspec.structs.replace(refused, headers=problem.headers)


def parse(text: str) -> tuple[Fault, ...]:
    """Read fault names; raise ``Refused`` for one that does not exist or a bad argument."""
    faults = []
    for part in filter(None, (part.strip() for part in text.replace("!", ",").split(","))):
        name, _, arg = part.partition("=")
        if name not in FAULTS and name != WORDS:
            raise invalid(f"unknown fault {name!r}; there are {', '.join(sorted(FAULTS))}")
        if arg:
            _number(Fault(name=name, arg=arg), 0)
        faults.append(Fault(name=name, arg=arg))
    return tuple(faults)


def words(faults: tuple[Fault, ...]) -> int | None:
    """Return how long an answer the faults ask for, in words; None for the usual sentence."""
    return next((int(_number(fault, 100)) for fault in faults if fault.name == WORDS), None)


def apply(play: Play, faults: tuple[Fault, ...], wire: Wire) -> Play:
    """Return the play with every fault in it, in the order they were asked for."""
    for fault in faults:
        change = FAULTS.get(fault.name)
        if change is not None:
            play = change(play, fault, wire)
    return play


def _number(fault: Fault, default: float) -> float:
    if not fault.arg:
        return default
    try:
        return max(0.0, float(fault.arg))
    except ValueError:
        raise invalid(f"fault {fault.name}: {fault.arg!r} is not a number") from None


def _status(status: int, message: str, code: str | None = None) -> "Change":
    """Make a fault that answers with an error; its argument is a ``retry-after`` in seconds."""

    def change(_play: Play, fault: Fault, wire: Wire) -> Play:
        headers = (("retry-after", fault.arg),) if fault.arg else ()
        return refusal(wire, Problem(status=status, message=message, code=code, headers=headers))

    return change


def _instead(*steps: Step) -> "Change":
    """Make a fault whose steps replace all of the reply's."""

    def change(play: Play, _fault: Fault, _wire: Wire) -> Play:
        return msgspec.structs.replace(play, steps=iter(steps))

    return change


def _on_steps(
    rewrite: Callable[[Iterator[Step], float, Wire], Iterator[Step]], default: float
) -> "Change":
    """Make a fault that rewrites the steps as they come; ``default`` is its argument's."""

    def change(play: Play, fault: Fault, wire: Wire) -> Play:
        steps = rewrite(play.steps, _number(fault, default), wire)
        return msgspec.structs.replace(play, steps=steps)

    return change


def _slow(steps: Iterator[Step], seconds: float, _wire: Wire) -> Iterator[Step]:
    """Wait once, before the first content (or the body of a reply that is not streamed)."""
    waited = False
    for step in steps:
        if isinstance(step, Send) and step.frame.content and not waited:
            waited = True
            yield Wait(seconds=seconds)
        yield step


def _pace(steps: Iterator[Step], seconds: float, _wire: Wire) -> Iterator[Step]:
    """Wait before every frame."""
    for step in steps:
        if isinstance(step, Send):
            yield Wait(seconds=seconds)
        yield step


def _cut_bytes(last: Step) -> Callable[[Iterator[Step], float, Wire], Iterator[Step]]:
    """Make a rewriting that ends the body after so many bytes with ``last``."""

    def rewrite(steps: Iterator[Step], count: float, _wire: Wire) -> Iterator[Step]:
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


def _after_events(last: Step) -> Callable[[Iterator[Step], float, Wire], Iterator[Step]]:
    """Make a rewriting that lets so many whole frames pass, then does ``last``."""

    def rewrite(steps: Iterator[Step], count: float, _wire: Wire) -> Iterator[Step]:
        left = int(count)
        for step in steps:
            if isinstance(step, Send):
                if left == 0:
                    break
                left -= 1
            yield step
        yield last

    return rewrite


def _before_content(steps: Iterator[Step], _arg: float, _wire: Wire) -> Iterator[Step]:
    """Let headers and lifecycle frames pass, then reset."""
    for step in steps:
        if isinstance(step, Send) and step.frame.content:
            break
        yield step
    yield Reset()


def _malformed(steps: Iterator[Step], count: float, _wire: Wire) -> Iterator[Step]:
    """Break the JSON of the frame after so many, and go on."""
    left = int(count)
    for step in steps:
        if isinstance(step, Send):
            if left == 0:
                yield Send(frame=Frame(data=_broken(step.frame.data)))
                left -= 1
                continue
            left -= 1
        yield step


def _broken(data: bytes) -> bytes:
    """Drop the last closing brace: an event keeps its form, its JSON does not end."""
    head, brace, tail = data.rpartition(b"}")
    return head + tail if brace else b"data: {\n\n"


def _no_terminal(steps: Iterator[Step], _arg: float, _wire: Wire) -> Iterator[Step]:
    """End the reply properly, but without its terminal frame."""
    return (step for step in steps if not (isinstance(step, Send) and step.frame.terminal))


def _stream_error(play: Play, fault: Fault, wire: Wire) -> Play:
    """Let so many frames pass, then end with an error; not streamed, the 200's body is one."""
    problem = Problem(status=529, message="The simulator is overloaded.")
    if play.content_type != SSE_TYPE:
        body = Frame(data=wire.error(problem))
        return msgspec.structs.replace(play, steps=iter((Head(), Send(frame=body))))
    last = Send(frame=wire.error_frame(problem))
    return _on_steps(_after_events(last), 1)(play, fault, wire)


def _wrong_type(play: Play, _fault: Fault, _wire: Wire) -> Play:
    return msgspec.structs.replace(play, content_type="text/html")


Change = Callable[[Play, Fault, Wire], Play]

WORDS: Final = "words"
"""Not a fault: asks for an answer of so many words. ``brain`` obeys it."""

FAULTS: Final[dict[str, Change]] = {
    "400": _status(400, "The simulator did not like this request."),
    "401": _status(401, "Incorrect API key provided.", "invalid_api_key"),
    "429": _status(429, "Rate limit reached; try again later.", "rate_limit_exceeded"),
    "500": _status(500, "The simulator failed on purpose."),
    "503": _status(503, "The simulator is unavailable on purpose."),
    "529": _status(529, "Overloaded"),
    "cut": _on_steps(_cut_bytes(Close()), 0),
    "cut-events": _on_steps(_after_events(Close()), 1),
    "cut-reset": _on_steps(_cut_bytes(Reset()), 0),
    "headers-then-nothing": _instead(Head(), Hang()),
    "malformed": _on_steps(_malformed, 1),
    "no-terminal": _on_steps(_no_terminal, 0),
    "pace": _on_steps(_pace, 0.05),
    "reset": _instead(Reset()),
    "reset-before-content": _on_steps(_before_content, 0),
    "silence": _instead(Hang()),
    "slow": _on_steps(_slow, 1),
    "stall": _on_steps(_after_events(Hang()), 2),
    "stream-error": _stream_error,
    "wrong-type": _wrong_type,
}
"""Every fault by name. Arguments: seconds, bytes or events; for a status, ``retry-after``."""
