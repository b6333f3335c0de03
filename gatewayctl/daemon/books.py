"""What is written down of requests and attempts: times, outcomes, tokens, money, never a word.

Here the pipeline's happenings become the ledger's records; how they are kept is ``storage``'s
business, how they are shown the command line's.
"""

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import msgspec

from gatewayctl.core import pricing
from gatewayctl.core.attempts import Try
from gatewayctl.core.errors import ErrorKind, Failure
from gatewayctl.core.events import Usage
from gatewayctl.core.routing.decision import Candidate, Decision, Method
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.session import Session
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.planning import Planned
from gatewayctl.daemon.replies import as_json
from gatewayctl.daemon.sessions import named_in
from gatewayctl.protocols.codec import ReplyFacts, StreamWatcher
from gatewayctl.storage.records import Came, Ended, Left, Metered, Outcome, Record, Seen, Started

log = logging.getLogger("gatewayctl.ledger")

CHECKPOINT = 1.0
"""Seconds between two checkpoints of a stream under way."""

_OUTPUT_CHARS = 3.5  # characters a token, where an upstream does not meter what it wrote
_LONGEST_SESSION = 200
_INPUT_BYTES = 4.0  # bytes of a body a token, where it does not meter what it read
_MOST_COST = 2**63 - 1  # pico-dollars: more is in no column, and no cost of one attempt


class Ledger(Protocol):
    """Where records go: never an error, never a wait worth speaking of."""

    @property
    def degraded(self) -> str | None:
        """Say what is not being recorded and why, None when all is."""
        ...

    def note(self, *records: Record) -> None:
        """Take records that outlive this process from the loop's next turn on."""
        ...

    def decided(self, request: str, render: Callable[[], bytes]) -> None:
        """Take the decision on a request, as JSON that is made when there is time."""
        ...


class Entry:
    """One attempt in the books, from its start to its end. ``request`` is the id of its request.

    ``likely`` are the tokens of its input, for an upstream that meters none. It is billed at the
    prices that were known when it was planned, whatever becomes of them meanwhile, and where they
    go by the hour by that of its end. ``at`` is when it began, in seconds since 1970. ``sent`` is
    to be set as soon as its request goes out, ``over`` to what tells whether its stream has come to
    its end.
    """

    def __init__(self, ledger: Ledger, request: str, step: Try, likely: int, at: float) -> None:
        self.watcher: StreamWatcher | None = None
        self.facts: ReplyFacts | None = None
        self.truncated = False
        self.sent = False
        self.over: Callable[[], bool] = _unknown
        self._ledger = ledger
        self._request = request
        self._step = step
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._next = 0.0
        self._first: float | None = None
        self._told = Metered()
        self._outcome: Outcome | None = None
        self._final: Metered | None = None
        self._prices = step.candidate.place.prices
        self._off_peak = step.candidate.place.off_peak
        self._likely = likely
        self._at = at

    @property
    def usage(self) -> Usage | None:
        """What the upstream metered so far, None before its reply."""
        source = self.watcher or self.facts
        return None if source is None else source.usage

    @property
    def cost(self) -> Decimal | None:
        """USD of what was metered or estimated so far; None where that or a price is unknown.

        It is 0 where there is nothing to pay: before a reply, and when one failed before content.
        """
        metered = self._final or self._metered()
        if metered.cost is not None:
            return Decimal(metered.cost).scaleb(-12)
        begun = self.watcher is not None or self.facts is not None
        free = metered.usage == Usage() and (not begun or self._outcome is Outcome.FAILED)
        return Decimal(0) if free else None

    @property
    def tokens(self) -> int:
        """All tokens that were metered or estimated so far."""
        usage = (self._final or self._metered()).usage
        counts = msgspec.structs.replace(usage, **dict.fromkeys(pricing.OUTPUT_PARTS))
        return sum(count for count in msgspec.structs.astuple(counts) if count is not None)

    def guess(self) -> Metered:
        """Return what it takes at least: its input, which may be billed whatever becomes of it."""
        return self._billed(Metered(usage=Usage(input=self._likely, output=0), estimated=True))

    def first(self) -> None:
        """Note the first content."""
        now = self._clock()
        self._first = now - self._began
        self._next = now
        self.progress()

    def progress(self) -> None:
        """Write a checkpoint when the last one is old and something was metered since."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + CHECKPOINT
        metered = self._metered()
        if metered != self._told:
            self._told = metered
            seen = Seen(
                request=self._request,
                number=self._step.number,
                metered=metered,
                first_token=self._first,
            )
            self._ledger.note(seen)

    def ended(self, outcome: Outcome, failure: Failure | None, status: int | None) -> Ended | None:
        """Return the record of its end, None when it was returned before."""
        if self._outcome is not None:
            return None
        self._outcome = outcome
        self._final = self._metered(outcome)
        self.over = _unknown  # which leads to the stream, and the stream back here
        return Ended(
            request=self._request,
            number=self._step.number,
            outcome=outcome,
            duration=self._clock() - self._began,
            failure=None if failure is None else failure.kind.value,
            status=status if failure is None or failure.status is None else failure.status,
            said=None if failure is None else failure.said,
            retry_after=None if failure is None else failure.retry_after,
            metered=self._final,
            first_token=self._first,
            truncated=self.truncated,
        )

    def _metered(self, outcome: Outcome | None = None) -> Metered:
        """Return what was metered, and in the place of what was not (yet) an estimate."""
        source = self.watcher or self.facts
        if source is None:
            # Whoever was sent a request may bill it, whether anybody waits for the answer or not.
            left = self.sent and outcome is Outcome.ABANDONED
            return self.guess() if left else Metered()
        usage, written = source.usage, source.written
        # Whoever leaves a stream that has begun may be billed for it; one that failed is not.
        if not written and usage == Usage() and outcome is not Outcome.ABANDONED:
            return Metered(tier=source.tier)
        whole = outcome is Outcome.ANSWERED or self.watcher is None or self.over()
        guessed: dict[str, int] = {}
        if usage.input is None:
            told = (getattr(usage, each) for each in pricing.READ)
            guessed["input"] = max(0, self._likely - sum(filter(None, told)))
        # Before its end a stream may have metered less than it wrote: message_start says 1.
        output = -int(-written // _OUTPUT_CHARS)
        if usage.output is None or (not whole and usage.output < output):
            guessed["output"] = output
        if guessed:
            usage = msgspec.structs.replace(usage, **guessed)
        return self._billed(Metered(usage=usage, estimated=bool(guessed), tier=source.tier))

    def _billed(self, metered: Metered) -> Metered:
        """Return it with its cost; without one where that fails, which harms no request."""
        try:
            now = self._at + self._clock() - self._began
            tier = pricing.tier_at(metered.tier, self._off_peak, now)
            bill = pricing.bill(self._prices, metered.usage, tier)
            cost = None if bill.cost is None else pricing.pico(bill.cost)
            rates = {dimension: f"{rate:f}" for dimension, rate in bill.rates.items()}
        except Exception:
            log.exception("%s attempt %d has no cost", self._request, self._step.number)
            return metered
        known = cost is not None and abs(cost) <= _MOST_COST
        return msgspec.structs.replace(
            metered, cost=cost if known else None, rates=rates or None, tier=tier
        )


class Book:
    """One request in the books. ``outcome``, ``status`` and ``error`` are what it comes to.

    ``client`` is the name of the client key that it came with, None where it had none. ``dropped``
    is what was left out of it, by the model that it was translated for.
    """

    def __init__(
        self,
        ledger: Ledger,
        asked: Asked,
        planned: Planned,
        at: float,
        client: str | None = None,
    ) -> None:
        self.outcome = Outcome.ABANDONED
        self.status: int | None = None
        self.error: ErrorKind | None = None
        self.model: str | None = None
        self._ledger = ledger
        self._asked = asked
        self._at = at
        self._entries: list[Entry] = []
        decision, session = planned.sized.decision, planned.session
        self._came: Came | None = Came(
            request=asked.request_id,
            at=at,
            protocol=asked.codec.protocol.value,
            asked=asked.name,
            route=decision.route,
            route_kind=decision.route_kind,
            stream=asked.shape.stream,
            session=_session(asked, session),
            client=client,
        )
        self.dropped: dict[str, tuple[str, ...]] = {}
        self._session = session
        self.decided(decision)

    def decided(self, decision: Decision) -> None:
        """Go by a decision from now on, also where another one was written down before."""
        session, dropped = self._session, self.dropped
        # The ledger renders it later: it may hold on to this, and never to the request's body.
        self._render = lambda: as_json(explained(decision, session, dropped))
        if self._came is None:
            self._ledger.decided(self._asked.request_id, self._render)

    @property
    def cost(self) -> Decimal | None:
        """USD of all attempts so far, None where any of it is unknown."""
        costs = [entry.cost for entry in self._entries]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    def started(self, step: Try, credential: str | None = None, at: float | None = None) -> Entry:
        """Write down that an attempt begins; it is on record after the loop's next turn.

        ``credential`` is the label of the one that it is made with. ``at`` is when it counts for
        its client's budgets, in seconds since 1970; None is now.
        """
        candidate, estimate = step.candidate, step.candidate.estimate
        likely = _likely_input(self._asked, candidate)
        at = self._at + self._elapsed() if at is None else at
        entry = Entry(self._ledger, self._asked.request_id, step, likely, at)
        started = Started(
            request=self._asked.request_id,
            number=step.number,
            at=at,
            model=candidate.model,
            provider=candidate.provider,
            protocol_in=self._asked.codec.protocol.value,
            protocol_out=candidate.protocol.value,
            retry=step.retry,
            estimate_low=estimate.low,
            estimate_likely=estimate.likely,
            estimate_high=estimate.high,
            estimate_method=estimate.method.value,
            output_budget=candidate.output_budget,
            credential=credential,
            metered=entry.guess(),
        )
        self._ledger.note(*self._after_arrival(started))
        self._entries.append(entry)
        return entry

    def ended(
        self, outcome: Outcome, failure: Failure | None = None, status: int | None = None
    ) -> None:
        """Write down how the attempt under way ended."""
        if self._entries:
            ended = self._entries[-1].ended(outcome, failure, status)
            if ended is not None:
                self._ledger.note(ended)

    def closed(self) -> None:
        """Write down how the request ended, and the attempt that was still under way with it."""
        last = self._entries[-1].ended(self.outcome, None, self.status) if self._entries else None
        elapsed = self._elapsed()
        left = Left(
            request=self._asked.request_id,
            at=self._at + elapsed,
            outcome=self.outcome,
            attempts=len(self._entries),
            duration=elapsed,
            status=self.status,
            error=None if self.error is None else self.error.value,
            model=self.model,
        )
        self._ledger.note(*self._after_arrival(*((left,) if last is None else (last, left))))

    def _after_arrival(self, *records: Record) -> tuple[Record, ...]:
        """Return records, the request's own before its first."""
        if self._came is not None:
            records = (self._came, *records)
            self._came = None
            self._ledger.decided(self._asked.request_id, self._render)
        return records

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._asked.started


def _unknown() -> bool:
    """Tell that a stream is not known to be over."""
    return False


def _session(asked: Asked, session: Session | None) -> str | None:
    """Return what tells a session from others: as its client names it, else as it was inferred."""
    named = named_in(asked.headers)
    if named is not None:
        return named[:_LONGEST_SESSION]
    return None if session is None else session.key


def _likely_input(asked: Asked, candidate: Candidate) -> int:
    """Return the tokens of the input, for upstreams that meter none.

    Where planning needed no more than a bound, the body's length says more than the bound does.
    """
    if candidate.estimate.method is Method.BOUND:
        return min(candidate.estimate.likely, -int(-len(asked.body) // _INPUT_BYTES))
    return candidate.estimate.likely
