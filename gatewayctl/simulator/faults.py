"""The names under which faults are asked for, and the language in which they are.

``NAME``, ``NAME=ARGUMENT`` or ``NAME=ARGUMENT*TIMES``, several joined by commas or ``!``: in a
request header (``x-sim-fault: cut=120``), after ``!`` in the model (``small!cut=120``) or in a
script. What each fault does is in ``breaks`` and ``refusals``.
"""

from collections.abc import Mapping
from typing import Final

from gatewayctl.simulator.brain import Wishes
from gatewayctl.simulator.breaks import BREAKS
from gatewayctl.simulator.limits import LIMITS
from gatewayctl.simulator.plays import Fault, Kind, Occasion, Play
from gatewayctl.simulator.problems import invalid
from gatewayctl.simulator.refusals import REFUSALS
from gatewayctl.simulator.tally import Tally
from gatewayctl.simulator.wire import Made, Wire

HEADER: Final = "x-sim-fault"


def _unchanged(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
    return play


FILTERED: Final = "filtered"
FAULTS: Final[dict[str, Kind]] = (
    REFUSALS
    | BREAKS
    | {
        FILTERED: Kind(
            change=_unchanged,
            meaning="a filter stops the answer half way: the finish or stop reason says so",
        )
    }
)
"""Every fault by name."""

TAG: Final = "tag"
WISHES: Final[dict[str, Kind]] = LIMITS | {
    "words": Kind(
        change=_unchanged,
        meaning="an answer of so many words, 100 unless told",
        argument="words",
    ),
    "calls": Kind(
        change=_unchanged,
        meaning="so many calls of a tool at once, 2 unless told, where there are tools; "
        "after a text, if words is asked for too",
        argument="calls",
    ),
    "thinks": Kind(
        change=_unchanged,
        meaning="so many words of thought first, 20 unless told",
        argument="words",
    ),
    "hidden": Kind(change=_unchanged, meaning="what is thought is sealed and not told"),
    "declines": Kind(change=_unchanged, meaning="the model says that it does not answer"),
    "cached": Kind(
        change=_unchanged,
        meaning="so many tokens of the input, 100 unless told, are told to come from a cache",
        argument="tokens",
    ),
    "mixed": Kind(
        change=_unchanged,
        meaning="several calls are told side by side where the protocol is chat completions",
    ),
    "broken-arguments": Kind(
        change=_unchanged,
        meaning="the arguments of calls do not end, where the protocol writes them as text",
    ),
    "no-ids": Kind(change=_unchanged, meaning="calls have no ids where the protocol is gemini"),
    "strict": Kind(
        change=_unchanged,
        meaning="refuse unknown fields, and whatever else the strictest provider refuses",
    ),
    TAG: Kind(
        change=_unchanged,
        meaning="tells calls of one model apart, in counts and in the journal",
        argument="number",
    ),
}
"""What is asked for in the same way and is no fault: obeyed where the answer is made."""

_ALL: Final = FAULTS | WISHES


def parse(text: str) -> tuple[Fault, ...]:
    """Read faults; raise ``Refused`` for one that does not exist or a bad argument."""
    parts = (part.strip() for part in text.replace("!", ",").split(","))
    return tuple(_parsed(part) for part in parts if part)


def _parsed(part: str) -> Fault:
    rest, star, times = part.partition("*")
    name, equals, arg = rest.partition("=")
    kind = _ALL.get(name)
    if kind is None:
        raise invalid(f"unknown fault {name!r}; there are {', '.join(sorted(_ALL))}")
    if star and not (times.isascii() and times.isdigit()):
        raise invalid(f"fault {name}: {times!r} is not a number of calls")
    if equals:
        _check(name, kind, arg)
    return Fault(name=name, arg=arg, times=int(times) if star else None)


def _check(name: str, kind: Kind, arg: str) -> None:
    if not kind.argument:
        raise invalid(f"fault {name} takes no argument")
    if kind.choices:
        if arg not in kind.choices:
            raise invalid(f"fault {name}: {arg!r} is none of {', '.join(kind.choices)}")
        return
    whole, _, decimals = arg.partition(".")
    if not (f"{whole}{decimals}".isascii() and whole.isdigit() and (decimals or "0").isdigit()):
        raise invalid(f"fault {name}: {arg!r} is not a number")


InForce = tuple[tuple[Fault, float], ...]
"""The faults that hold for a call, each with the seconds since the model's first call with it."""


def in_force(faults: tuple[Fault, ...], model: str, tally: Tally, now: float) -> InForce:
    """Count a call of a ``model``, as it was asked for, with these faults; return what holds."""
    tags = "".join(fault.arg for fault in faults if fault.name == TAG)
    found = []
    for fault in faults:
        seen = tally.call(model, tags, fault.name, fault.arg, now=now)
        if fault.times is None or seen.count <= fault.times:
            found.append((fault, seen.age))
    return tuple(found)


def wishes(faults: InForce) -> Wishes:
    """Return what is wanted of the answer itself."""
    wanted = {fault.name: fault for fault, _ in faults}

    def number(name: str, default: int) -> int | None:
        fault = wanted.get(name)
        return None if fault is None else int(fault.number(default))

    return Wishes(
        words=number("words", 100),
        filtered=FILTERED in wanted,
        calls=number("calls", 2),
        thoughts=number("thinks", 20),
        hidden="hidden" in wanted,
        declined="declines" in wanted,
        cached=number("cached", 100) or 0,
        mixed="mixed" in wanted,
        broken="broken-arguments" in wanted,
        nameless="no-ids" in wanted,
        strict="strict" in wanted,
    )


def apply(play: Play, faults: InForce, wire: Wire, made: Made) -> Play:
    """Return the play with every fault in it, in the order they were asked for."""
    for fault, age in faults:
        occasion = Occasion(wire=wire, made=made, age=age)
        play = _ALL[fault.name].change(play, fault, occasion)
    return play


def described() -> str:
    """Return the list of faults for people: a line each, the argument in angle brackets."""
    return _lines(FAULTS)


def described_wishes() -> str:
    """Return the same list of what is no fault."""
    return _lines(WISHES)


def _lines(kinds: Mapping[str, Kind]) -> str:
    width = max(map(len, map(form, kinds)))
    return "\n".join(f"  {form(name):<{width}}  {kind.meaning}" for name, kind in kinds.items())


def form(name: str) -> str:
    """Return how a fault is written: ``cut=<bytes>``."""
    argument = _ALL[name].argument
    return f"{name}=<{argument}>" if argument else name
