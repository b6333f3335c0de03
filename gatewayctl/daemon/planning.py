"""Planning in the daemon: reads a body, finds its session, and decides as finely as needed.

What a plan is belongs to ``core.routing``; here are the counters, the sessions and the counting
process that it is fed from. Attempts are ``pipeline``'s business.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import TypeVar

import msgspec

from gatewayctl.core.anchors import Added, Anchored
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.core.estimate import Counted, vocabulary_name
from gatewayctl.core.health import weathered
from gatewayctl.core.routing.affinity import remembers
from gatewayctl.core.routing.decision import Candidate, Decision, Node
from gatewayctl.core.routing.estimates import Estimates, estimates
from gatewayctl.core.routing.session import Session
from gatewayctl.core.routing.staged import Answer, Count, Measure, Recall, Sized, Step, decide
from gatewayctl.core.routing.world import Request, World
from gatewayctl.core.shape import Measured
from gatewayctl.daemon.health import Board
from gatewayctl.daemon.permitted import Client
from gatewayctl.daemon.recalling import Recaller
from gatewayctl.daemon.sessions import Sessions
from gatewayctl.daemon.standing import Standings
from gatewayctl.protocols.catalog import name_of
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.reading import Reading, read, read_whole
from gatewayctl.tokenizers.counter import Counter

T = TypeVar("T")

log = logging.getLogger("gatewayctl.requests")

LARGE = 512 * 1024
"""Bytes of a body from which it is read in the counting process: that many take about 3 ms."""

LONG = 256 * 1024
"""Bytes of a body from which it is measured there: that many take 2 ms in ASCII."""

LONG_BEYOND_ASCII = 128 * 1024
"""The same where not all of it is ASCII, which takes up to 20 ms per MB."""

MANY = 1500
"""Objects in a body from which it is measured in the counting process: each takes some 3 us."""

_MANY_FROM = 32 * 1024  # bytes; fewer cannot hold so many of those that cost
_REMEMBERED = 4096


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be planned: what it asks for, and what the plan may depend on.

    ``headers`` are looked up in lower case. ``seed`` None draws by chance; ``session`` names the
    session in place of what the request says. ``client`` is None where no keys were given out.
    """

    name: str
    reader: Reader
    body: bytes
    reading: Reading
    headers: Mapping[str, str] = {}
    seed: int | None = None
    session: str | None = None
    client: Client | None = None

    def __repr__(self) -> str:
        return f"Question(name={self.name!r}, …)"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was made, and the session it belongs to.

    ``digests`` tell the conversation after each message, None where nobody asked for them.
    """

    sized: Sized
    session: Session | None
    digests: tuple[bytes, ...] | None = None

    @property
    def degraded(self) -> str | None:
        """What fell short in it, None when nothing did."""
        missing = ", ".join(sorted(map(vocabulary_name, self.sized.missing)))
        return f"counted by ratio, not by {missing}" if missing else None


class Planner:
    """Plans requests. Holds the round-robin counters and what sessions remember."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a collaborator
        self,
        world: World,
        counter: Counter,
        sessions: Sessions,
        board: Board,
        recaller: Recaller,
        standings: Standings,
        chance: Callable[[], int],
    ) -> None:
        self._world = world
        self._board = board
        self._counter = counter
        self._recaller = recaller
        self._standings = standings
        self._sessions = sessions
        self._chance = chance
        self._counters: dict[str, int] = {}
        self._remembers: dict[str, bool] = {}

    @property
    def degraded(self) -> str | None:
        """Say what does not work as it should, None when all does."""
        return self._counter.degraded

    async def read(
        self, reader: Reader, body: bytes, *, counting: bool = False, apart: bool = False
    ) -> Reading:
        """Return what is read of a body; raise ``RequestInvalid``.

        A large one is read in the counting process, and one that is to be read ``apart``, since
        one call of a decoder would hold up every other request; when that cannot be had, it is
        read here all the same, in a thread.
        """
        if apart or len(body) >= LARGE:
            try:
                return await self._counter.read(
                    name_of(reader), body, counting=counting, secret=self._recaller.key
                )
            except CountUnavailable as error:
                log.warning("a body of %d bytes is read in the daemon: %s", len(body), error)
            key = self._recaller.key
            return await asyncio.to_thread(read_whole, reader, body, counting=counting, key=key)
        return read(reader, body, counting=counting)

    async def plan(
        self, question: Question, *, coarse: bool = False, exact: bool = False
    ) -> Planned:
        """Return the decision. No await stands between the last plan and the return of it."""
        session = self._session(question)
        request = self._request(question)
        standing = self._standings.of(request, question.client)
        request = msgspec.structs.replace(request, session=session, standing=standing)
        steps = decide(question.name, request, self._world, coarse=coarse, exact=exact)
        answers = _Answers(self, question)
        sized = await answers.driven(steps)
        cooling = self._board.cooling(sized.decision.attempts, question.headers)
        if cooling:
            decision = weathered(sized.decision, cooling, 0.0)
            sized = msgspec.structs.replace(sized, decision=decision)
        if sized.decision.error is not None and question.client is not None:
            decision = _forbidden(sized.decision, question.client)
            sized = msgspec.structs.replace(sized, decision=decision)
        return Planned(sized=sized, session=session, digests=answers.digests)

    async def estimate(
        self, names: Sequence[str], question: Question, world: World, *, exact: bool
    ) -> Estimates:
        """Return how large a request is at each model behind the names, in a world of choice."""
        steps = estimates(names, self._request(question), world, exact=exact)
        return await _Answers(self, question).driven(steps)

    def attempted(self, planned: Planned, candidate: Candidate, moved: set[str]) -> None:
        """Advance the counters whose head this attempt is, and keep what the session picked.

        Synchronous, and called before an attempt is awaited: so two requests at once never take
        the same turn. ``moved`` are the counters that this request advanced before.
        """
        self._advance(candidate, moved)
        if planned.session is not None and candidate.picks:
            self._sessions.remember(planned.session.key, candidate.picks)

    def passed_over(
        self, decision: Decision, cooling: Mapping[str, float], moved: set[str]
    ) -> None:
        """Advance the counters whose head is not attempted because it cools.

        They go past whoever takes its turn, too: else that one would begin the next request as
        well, and have two turns for each of the others' one.
        """
        for candidate in decision.attempts:
            if candidate.model in cooling and candidate is not decision.attempts[0]:
                for alloy in candidate.turns:
                    cold = _leading(decision.tree, alloy, cooling)
                    self._move(alloy, moved, cold + 1)

    def _advance(self, candidate: Candidate, moved: set[str]) -> None:
        for alloy in candidate.turns:
            self._move(alloy, moved, 1)

    def _move(self, alloy: str, moved: set[str], turns: int) -> None:
        if alloy not in moved:
            moved.add(alloy)
            self._counters[alloy] = self._counters.get(alloy, 0) + turns

    def _request(self, question: Question) -> Request:
        now = datetime.now(UTC)
        return Request(
            shape=question.reading.shape,
            seed=self._chance() if question.seed is None else question.seed,
            counters=self._counters,
            today=now.date().isoformat(),
            at=now.timestamp(),
            headers=question.headers,
            client=None if question.client is None else question.client.name,
        )

    async def measured(self, question: Question) -> tuple[Measured, tuple[bytes, ...] | None]:
        """Return the measure of a request, made in the counting process where it takes long.

        With it come the digests of its prefixes, where they came about on the way.
        """
        reader, body, reading = question.reader, question.body, question.reading
        if reading.measured is None and _takes_long(body):
            # The body was found to be complete before; only what takes long is wanted.
            reading = await self.read(reader, body, counting=True, apart=True)
        measured = reading.measured
        return (reader.measure(body) if measured is None else measured), reading.prefixes

    def digests(self, question: Question) -> tuple[bytes, ...]:
        """Return the digests of the prefixes of a request that is not long."""
        return self._recaller.digests(question.reader, question.body)

    async def recalled(
        self,
        question: Question,
        measured: Measured,
        digests: tuple[bytes, ...],
        models: Iterable[str],
    ) -> Mapping[str, Anchored]:
        """Return by model what its replies to earlier turns say of a request."""
        reader, body = question.reader, question.body
        found = self._recaller.found(digests, measured.messages, models)
        return await self._recaller.anchored(reader, body, found, apart=_takes_long(body))

    async def latest(self, question: Question) -> Added:
        """Return the measure of a request's last turn: the model's own, and what came after it."""
        reader, body = question.reader, question.body
        return await self._recaller.added(reader, body, None, apart=_takes_long(body))

    async def counted(
        self, question: Question, vocabularies: frozenset[str]
    ) -> Mapping[str, Counted]:
        """Return exact counts by vocabulary, without those that cannot be had."""
        try:
            reader = name_of(question.reader)
            return await self._counter.count(reader, question.body, vocabularies)
        except CountUnavailable as error:
            log.warning("not counted exactly: %s", error)
            return {}

    def _session(self, question: Question) -> Session | None:
        if not self._affine(question.name):
            return None
        conversation = question.reading.conversation
        if conversation is None:
            conversation = question.reader.conversation(question.body, question.reading.layout)
        if question.session is not None:
            return self._sessions.named(question.session, conversation)
        return self._sessions.find(question.headers, conversation)

    def _affine(self, name: str) -> bool:
        known = self._remembers.get(name)
        if known is None:
            if len(self._remembers) >= _REMEMBERED:
                del self._remembers[next(iter(self._remembers))]
            self._remembers[name] = known = remembers(name, self._world)
        return known


class _Answers:
    """Answers what the planning of one request asks for. ``digests`` are kept once they are had."""

    def __init__(self, planner: Planner, question: Question) -> None:
        self._planner = planner
        self._question = question
        self.digests: tuple[bytes, ...] | None = None
        self._measured: Measured | None = None

    async def driven(self, steps: Generator[Step, Answer, T]) -> T:
        """Answer until the planning is done."""
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._answer(step))
        except StopIteration as done:
            found: T = done.value
            return found

    async def _answer(self, step: Step) -> Answer:
        planner, question = self._planner, self._question
        match step:
            case Measure():
                self._measured, self.digests = await planner.measured(question)
                return self._measured
            case Recall(models=models) if self._measured is not None:
                if self.digests is None:
                    self.digests = planner.digests(question)
                return await planner.recalled(question, self._measured, self.digests, models)
            case Recall():
                return {}
            case Count(vocabularies=wanted):
                return await planner.counted(question, wanted)


def _forbidden(decision: Decision, client: Client) -> Decision:
    """Return a refusal in the client's own terms where its key may use nothing of what it wants."""
    error = client.forbidden(decision.requested)
    return decision if error is None else msgspec.structs.replace(decision, error=error)


def _leading(node: Node | None, alloy: str, cooling: Mapping[str, float]) -> int:
    """Return how many of an alloy's constituents cool ahead of the first that does not."""
    if node is None:
        return 0
    if node.id == alloy:
        cold = takewhile(lambda each: each.kind == "model" and each.id in cooling, node.children)
        return len(list(cold))
    return max((_leading(each, alloy, cooling) for each in node.children), default=0)


def _takes_long(body: bytes) -> bool:
    """Tell whether to measure a body would hold up others: by its length, script and objects."""
    size = len(body)
    if size >= LONG or (size >= LONG_BEYOND_ASCII and not body.isascii()):
        return True
    return size >= _MANY_FROM and body.count(b"{") >= MANY
