"""What ``estimate`` and ``route-explain`` are asked about, and how they get their answers.

Reads a file or standard input, and drives the pure planning of ``core.routing`` in this process:
what it wants measured or counted is done here. Nothing here prints a result.
"""

import sys
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec

from gatewayctl.cli import render
from gatewayctl.core.anchors import Anchored
from gatewayctl.core.errors import CountUnavailable, GatewayctlError, RequestInvalid
from gatewayctl.core.estimate import Counted
from gatewayctl.core.routing.affinity import remembers
from gatewayctl.core.routing.decision import Barred, SkipReason
from gatewayctl.core.routing.estimates import Estimates, estimates
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.render import Json
from gatewayctl.core.routing.session import Session
from gatewayctl.core.routing.staged import Answer, Count, Measure, Recall, Step, decide
from gatewayctl.core.routing.world import Request, World
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols.dialect import Dialect
from gatewayctl.protocols.given import Given, given
from gatewayctl.protocols.models_list import unvia
from gatewayctl.protocols.prefix import recalled
from gatewayctl.storage.knowledge import Known as Learned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayctl.core.routing.decision import Decision
    from gatewayctl.daemon.permitted import Client
    from gatewayctl.protocols.dropping import Flags

T = TypeVar("T")

STDIN = "-"
_WHOLE = "$"
_AS_TEXT = "--protocol text"

LARGEST = 256 * 1024 * 1024
"""Bytes that are read at most: four times what the daemon takes by default."""


class Unreadable(GatewayctlError):
    """The input cannot be opened or understood; the message says where."""


def data(source: str | None) -> bytes:
    """Return what a file holds (``-`` or None: standard input), at most ``LARGEST`` bytes."""
    name = _name(source)
    try:
        if source in {None, STDIN}:
            found = _stdin().read(LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                found = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreadable(f"cannot read {name}: {reason}") from error
    if len(found) > LARGEST:
        raise Unreadable(f"{name} is larger than {LARGEST:,} bytes")
    return found


def read(
    found: bytes, dialect: Dialect | None, source: str | None = None
) -> tuple[Given, RequestShape]:
    """Read the request in what ``source`` held; raise ``Unreadable`` with the place at fault."""
    try:
        asked = given(found, dialect)
        return asked, asked.reader.shape(asked.body, counting=True)
    except RequestInvalid as error:
        raise Unreadable(f"{_name(source)}: {error}{_place(error, dialect)}") from error


def _place(error: RequestInvalid, dialect: Dialect | None) -> str:
    """Say where it is that a body is at fault, or that it may be none."""
    if error.path == _WHOLE:
        return "" if dialect or _AS_TEXT in str(error) else f" (plain text? {_AS_TEXT})"
    return f" at {error.path}" if error.path and error.path not in str(error) else ""


def explain(
    name: str,
    asked: Given,
    shape: RequestShape,
    world: World,
    *,
    seed: int,
    session: str | None = None,
    client: "Client | None" = None,
    max_output: int | None = None,
    learned: Learned | None = None,
    flags: "Flags",
) -> Json:
    """Plan a request that asks for ``name``, and return the decision as ``--json`` prints it.

    ``flags`` returns a provider's; ``client`` is whose key it comes with.
    ``learned`` is what replies taught, where anything is to be recalled of the conversation.
    """
    name = unvia(name)
    kept = _session(name, asked, world, session)
    budget = shape.output_budget if max_output is None else max_output
    now = datetime.now(UTC)
    request = Request(
        shape=msgspec.structs.replace(shape, model=name, output_budget=budget),
        seed=seed,
        today=now.date().isoformat(),
        at=now.timestamp(),
        session=kept,
        client=None if client is None else client.name,
        standing=None if client is None else _Standing(client),
    )
    planned = _driven(decide(name, request, world, coarse=False), asked, learned)
    decision = planned.decision
    return explained(decision, kept, _left_out(decision, asked, flags))


class _Standing:
    """What a client key may use; what is left of it, only the daemon knows."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def barred(self, asked: str, provider: str, model: str) -> Barred | None:
        """Tell why a model may not be used; a route is permitted under the name asked for."""
        _ = provider
        why = self._client.barred(model, (asked,))
        return None if why is None else Barred(reason=SkipReason.NOT_ALLOWED, detail=why)

    def sees(self, name: str) -> bool:
        """Tell whether the key may know of a name."""
        return self._client.sees(name)


def _left_out(
    decision: "Decision", asked: Given, flags: "Flags"
) -> "Mapping[str, tuple[str, ...]]":
    """Return what translations leave out; the codecs are loaded where one is needed."""
    protocol = decision.shape.protocol
    if all(candidate.protocol is protocol for candidate in decision.attempts):
        return {}
    from gatewayctl.protocols.dropping import dropped

    return dropped(protocol, asked.body, decision.attempts, flags)


def estimate(
    names: Iterable[str],
    asked: Given,
    shape: RequestShape,
    world: World,
    *,
    exact: bool,
    learned: Learned | None = None,
) -> Estimates:
    """Size a request for every model behind ``names``; ``learned`` as for ``explain``."""
    sizing = estimates(tuple(map(unvia, names)), Request(shape=shape), world, exact=exact)
    return _driven(sizing, asked, learned)


def _session(name: str, asked: Given, world: World, told: str | None) -> Session | None:
    """Return the session as one that the daemon sees for the first time: nothing is kept here."""
    if not remembers(name, world):
        return None
    conversation = asked.reader.conversation(asked.body)
    key = told or conversation.session
    if key is None and conversation.opening is None:
        return None
    return Session(key=key or "", inferred=key is None, turn=conversation.turn)


def _driven(steps: Generator[Step, Answer, T], asked: Given, learned: Learned | None) -> T:
    """Return what a planning ends with, everything that it asks for done in this process."""
    try:
        step = next(steps)
        while True:
            match step:
                case Measure():
                    step = steps.send(asked.reader.measure(asked.body))
                case Recall(models=models):
                    step = steps.send(_recalled(asked, models, learned))
                case Count(vocabularies=wanted):
                    step = steps.send(_counted(asked, wanted))
    except StopIteration as stop:
        done: T = stop.value
        return done


def _recalled(asked: Given, models: Iterable[str], learned: Learned | None) -> dict[str, Anchored]:
    """Return what each model's replies to earlier turns say of this one."""
    if learned is None:
        return {}
    return recalled(asked.reader, asked.body, learned.secret, models, learned.anchor)


def _counted(asked: Given, vocabularies: Iterable[str]) -> dict[str, Counted]:
    from gatewayctl.tokenizers.count import count

    found = {}
    for vocabulary in vocabularies:
        try:
            found[vocabulary] = count(asked.reader.protocol, asked.body, vocabulary)
        except CountUnavailable as error:
            render.tell(str(error))
    return found


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise Unreadable("standard input is closed; name a file, or give the request on it")
    if sys.stdin.isatty():
        render.tell("reading a request body or text from this terminal; Ctrl-D ends it")
    return sys.stdin.buffer


def _name(source: str | None) -> str:
    return "standard input" if source in {None, STDIN} else str(source)
