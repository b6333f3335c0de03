"""A reply as it will be performed, step by step, and what can be asked to go wrong with it.

Values only: ``server`` alone performs the steps, ``breaks`` and ``refusals`` hold the faults,
``faults`` the names under which they are asked for.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gatewayctl.simulator.problems import Problem, Vendor
from gatewayctl.simulator.wire import Frame, Made, Wire

SSE_TYPE: Final = "text/event-stream; charset=utf-8"
JSON_TYPE: Final = "application/json"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Step: send the status line and the headers."""


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Step: send a frame of the body."""

    frame: Frame


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """Step: send bytes as they are, in place of a status line and headers."""

    data: bytes


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Step: say nothing for some seconds."""

    seconds: float


class Hang(msgspec.Struct, frozen=True, kw_only=True):
    """Step: say nothing until the caller goes away."""


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """Step: close the connection (FIN) with the reply unfinished."""


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Step: reset the connection (RST)."""


Step = Head | Send | Raw | Wait | Hang | Close | Reset


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """One reply as it will be performed. ``steps`` can be run through once.

    ``streams`` says whether it is a stream of events rather than one JSON object.
    """

    status: int
    content_type: str
    steps: Iterator[Step]
    headers: tuple[tuple[str, str], ...] = ()
    streams: bool = False


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault as it was asked for: ``NAME=ARG*TIMES``.

    ``times`` is for how many calls of a model it holds, None for all of them.
    """

    name: str
    arg: str = ""
    times: int | None = None

    def number(self, default: float) -> float:
        """Return the argument as a number, ``default`` where there is none."""
        return float(self.arg) if self.arg else default


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """The call that a fault befalls: its protocol, its answer, and seconds since the first such."""

    wire: Wire
    made: Made
    age: float


Change = Callable[[Play, Fault, Occasion], Play]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that can be asked for: what it does, in a line, and what its argument is.

    ``argument`` is empty where there is none. An argument is a number unless ``choices`` names
    what it can be.
    """

    change: Change
    meaning: str
    argument: str = ""
    choices: tuple[str, ...] = ()


def play(
    frames: Iterator[Frame], *, content_type: str, status: int = 200, streams: bool = False
) -> Play:
    """Return the faultless performance of some frames."""

    def steps() -> Iterator[Step]:
        yield Head()
        for frame in frames:
            yield Send(frame=frame)

    return Play(status=status, content_type=content_type, steps=steps(), streams=streams)


def body(data: bytes, *, status: int = 200, content_type: str = JSON_TYPE) -> Play:
    """Return the performance of a reply whose body is this."""
    frames = (Frame(data=data),) if data else ()
    return play(iter(frames), content_type=content_type, status=status)


def refusal(wire: Wire, problem: Problem) -> Play:
    """Return the performance of an error reply."""
    data = wire.error(problem) if problem.body is None else problem.body
    refused = body(data, status=problem.status)
    if not problem.retry_after or wire.VENDOR is Vendor.GOOGLE:  # which says it in the body
        return refused
    return msgspec.structs.replace(refused, headers=(("retry-after", problem.retry_after),))
