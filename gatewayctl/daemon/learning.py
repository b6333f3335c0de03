"""What replies teach while the daemon runs: windows smaller than said, and how a model counts.

What is concluded belongs to ``core.learning``, ``core.anchors`` and ``core.observed``; where it is
kept to ``storage.knowledge``. Here an upstream's replies are brought to them: what must be known
before the next request at once, what takes time to measure after the reply, by one task.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from gatewayctl.core.anchors import Anchor, Anchored, anchor_of, by_anchor
from gatewayctl.core.correction import Sample
from gatewayctl.core.errors import Failure, FailureKind, GatewayctlError
from gatewayctl.core.estimate import bound, by_ratio
from gatewayctl.core.events import Usage
from gatewayctl.core.happened import Happened
from gatewayctl.core.learning import (
    LEAST,
    PINNED,
    Cap,
    Truncation,
    Truncations,
    believed_of,
    from_refusal,
    from_truncation,
    input_tokens,
    recent,
    short,
    surely,
    truncated,
)
from gatewayctl.core.observed import sample_of
from gatewayctl.core.periods import iso
from gatewayctl.core.routing.decision import Candidate, Estimate, Method
from gatewayctl.core.routing.place import ASSUMED
from gatewayctl.core.shape import Demand, Measured
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.load import Load
from gatewayctl.daemon.planning import Planned, Planner

log = logging.getLogger("gatewayctl.learning")

QUEUE = 64
"""Lessons that wait at most; beyond, the oldest are given up: there will be others."""

QUEUE_BYTES = 16 * 1024 * 1024
"""Bytes of bodies that wait at most."""

BUSY = 4
"""Requests under way from which there is more to do than to learn."""

REST = 0.05
"""Seconds between two lessons while there is: what is learned of a crowd is learned of a few."""

ASKED = 3
"""How often a model's provider is asked what it serves, because of the model's replies."""

REMEMBERED = 1024
"""Models of which it is remembered how often that was asked."""

_SUSPICIOUS = 6  # bytes of a body for each token counted, from which it is measured before it goes


class Knowledge(Protocol):
    """Where it is kept: in memory at once, on disk when there is time. By full id of the model."""

    @property
    def degraded(self) -> str | None:
        """Say what is not kept and why, None when all is."""
        ...

    def cap(self, model: str) -> Cap | None:
        """Return the window that was learned."""
        ...

    def truncations(self, model: str) -> Truncations | None:
        """Return what is known of truncated replies."""
        ...

    def largest(self, model: str) -> int:
        """Return the most input that a reply counted, 0 if none did."""
        ...

    def learned(self, model: str, cap: Cap) -> None:
        """Keep a window, unless the one that is kept says more."""
        ...

    def truncated(self, model: str, truncation: Truncation) -> None:
        """Count a truncated reply."""
        ...

    def sampled(self, model: str, sample: Sample) -> None:
        """Keep what one reply counted."""
        ...

    def anchored(self, model: str, digest: bytes, anchor: Anchor) -> None:
        """Keep what a conversation so far was counted as."""
        ...


class _Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """A reply from which there is something to learn when there is time."""

    asked: Asked
    planned: Planned
    candidate: Candidate
    usage: Usage
    tokens: int


class Learner:
    """Hears of every reply and refusal. ``wall`` is seconds since 1970, ``load`` what else goes on.

    ``unsure`` is told the provider of a model whose served window is not known yet.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        planner: Planner,
        wall: Callable[[], float],
        load: Load,
        unsure: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._knowledge = knowledge
        self._planner = planner
        self._wall = wall
        self._load = load
        self._unsure = unsure
        self._asked: dict[str, int] = {}
        self._lessons: deque[_Lesson] = deque()
        self._bytes = 0
        self._waiting = asyncio.Event()

    @property
    def degraded(self) -> str | None:
        """Say what is not kept of what replies teach, None when all is."""
        return self._knowledge.degraded

    def refused(self, asked: Asked, candidate: Candidate, failure: Failure) -> None:
        """Learn from a refusal by size; the next request already knows."""
        if failure.kind is not FailureKind.CONTEXT_OVERFLOW:
            return
        at = self._now()
        cap = from_refusal(
            failure,
            candidate.estimate,
            candidate.output_budget,
            _believed(candidate),
            at,
            remote=asked.shape.remote,
        )
        if cap is not None:
            self._cap(candidate, cap)

    async def replied(
        self, asked: Asked, planned: Planned, candidate: Candidate, usage: Usage
    ) -> Truncation | None:
        """Learn from a reply that came whole; return how its request was truncated, if it was.

        Nothing in it is worth losing the reply for.
        """
        try:
            return await self._heard(asked, planned, candidate, usage)
        except Exception:
            log.exception("learning from %s failed; its reply goes out", asked.request_id)
            return None

    async def _heard(
        self, asked: Asked, planned: Planned, candidate: Candidate, usage: Usage
    ) -> Truncation | None:
        self._wonder(candidate)
        if Demand.ENDPOINT in asked.shape.demands:
            return None  # what is sized there is the largest of its inputs, what is metered all
        tokens = input_tokens(usage)
        if tokens is None or tokens > bound(asked.shape):
            return None  # nothing has more tokens than bytes: such a figure says nothing
        estimate = await self._estimated(asked, planned, candidate, tokens)
        if short(usage, estimate):
            return await self._fell_short(asked, planned, candidate, usage)
        self._later(
            _Lesson(asked=asked, planned=planned, candidate=candidate, usage=usage, tokens=tokens)
        )
        return None

    async def run(self) -> None:
        """Learn what takes time, one reply after another, until cancelled."""
        while True:
            if not self._lessons:
                self._waiting.clear()
                await self._waiting.wait()
            lesson = self._lessons.popleft()
            self._bytes -= len(lesson.asked.body)
            try:
                await self._learn(lesson)
            except GatewayctlError as error:
                log.debug("nothing learned from %s: %s", lesson.asked.request_id, error)
            except Exception:  # one odd reply must not end all learning
                log.exception("learning from %s failed", lesson.asked.request_id)
            del lesson  # and its body, which may be large, however long it is until the next one
            if self._load.in_flight >= BUSY:
                await asyncio.sleep(REST)

    async def _learn(self, lesson: _Lesson) -> None:
        asked, candidate = lesson.asked, lesson.candidate
        measured, digests = lesson.planned.sized.sizes.measured, lesson.planned.digests
        if measured is None:
            measured, digests = await self._planner.measured(asked.question)
        if digests is None:
            digests = self._planner.digests(asked.question)
        settings, usage = candidate.estimator, lesson.usage
        if short(usage, by_ratio(asked.shape, measured, settings)):
            return  # too small a count to be that of a window, and no measure of the request
        anchored = None
        if not usage.input_cache_read:
            # Before it is an anchor itself: what it went on from was metered already.
            anchored = await self._anchored(lesson.planned, asked, candidate, measured, digests)
        if anchored is not None:
            expected = by_anchor(asked.shape, measured, anchored, settings)
            if expected is not None and short(usage, expected):
                return  # less than was there before: what a prompt cache held is not in it
        if digests:
            output = max(0, (usage.output or 0) - (usage.reasoning_output or 0))
            anchor = anchor_of(asked.shape, measured, settings, lesson.tokens, output)
            self._knowledge.anchored(candidate.model, digests[-1], anchor)
        if not usage.input_cache_read:
            sample = sample_of(asked.shape, measured, settings, lesson.tokens, anchored)
            if sample is not None:
                self._knowledge.sampled(candidate.model, sample)

    def _later(self, lesson: _Lesson) -> None:
        size = len(lesson.asked.body)
        if size > QUEUE_BYTES:
            return
        self._lessons.append(lesson)
        self._bytes += size
        while len(self._lessons) > QUEUE or self._bytes > QUEUE_BYTES:
            self._bytes -= len(self._lessons.popleft().asked.body)
        self._waiting.set()

    async def _estimated(
        self, asked: Asked, planned: Planned, candidate: Candidate, tokens: int
    ) -> Estimate:
        """Return an estimate that has a lower end, where the count may be that of a full window."""
        estimate = candidate.estimate
        if estimate.method is not Method.BOUND or tokens < LEAST - PINNED:
            return estimate
        if tokens * _SUSPICIOUS >= len(asked.body):
            return estimate
        measured = planned.sized.sizes.measured
        if measured is None:
            measured, _ = await self._planner.measured(asked.question)
        return by_ratio(asked.shape, measured, candidate.estimator)

    async def _fell_short(
        self, asked: Asked, planned: Planned, candidate: Candidate, usage: Usage
    ) -> Truncation | None:
        """Learn from a count that is too small; return what of the input was dropped, if any."""
        tokens = input_tokens(usage)
        if tokens is None or tokens < LEAST - PINNED:
            return None
        estimate, since = await self._sure(asked, planned, candidate)
        if not short(usage, estimate):
            return None
        added = await self._planner.latest(asked.question)
        explained = recent(asked.shape, added, candidate.estimator, since)
        if not truncated(usage, estimate, recent=explained):
            return None
        model, at = candidate.model, self._now()
        truncation = Truncation(at=at, metered=tokens, low=estimate.low)
        log.warning(
            Happened("upstream_truncated", {"model": model, "metered": tokens, "low": estimate.low})
        )
        earlier = self._knowledge.truncations(model)
        largest = self._knowledge.largest(model)
        cap = from_truncation(truncation, earlier, _believed(candidate), at, largest=largest)
        self._knowledge.truncated(model, truncation)
        if cap is not None:
            self._cap(candidate, cap)
        self._unsure(candidate.provider)
        return truncation

    async def _sure(
        self, asked: Asked, planned: Planned, candidate: Candidate
    ) -> tuple[Estimate, int]:
        """Return what a request surely counts, and what came since it was last counted, or 0."""
        sizes, settings, question = planned.sized.sizes, candidate.estimator, asked.question
        measured, digests = sizes.measured, planned.digests
        if measured is None:
            measured, digests = await self._planner.measured(question)
        counted = sizes.counted.get(settings.vocabulary or "")
        if counted is None or candidate.estimate.method is not Method.EXACT:
            if digests is None:
                digests = self._planner.digests(question)
            anchored = await self._anchored(planned, asked, candidate, measured, digests)
            if anchored is not None:
                by_last = by_anchor(asked.shape, measured, anchored, settings)
                if by_last is not None:
                    return by_last, by_last.high - anchored.anchor.tokens
            counted = None
        return surely(asked.shape, measured, settings, counted), 0

    async def _anchored(
        self,
        planned: Planned,
        asked: Asked,
        candidate: Candidate,
        measured: Measured,
        digests: tuple[bytes, ...],
    ) -> Anchored | None:
        """Return what a request went on from at a model, as planning found it, else found now."""
        model = candidate.model
        known = planned.sized.sizes.anchored.get(model)
        if known is not None:
            return known
        found = await self._planner.recalled(asked.question, measured, digests, (model,))
        return found.get(model)

    def _cap(self, candidate: Candidate, cap: Cap) -> None:
        """Keep a cap, unless the one that is known says more."""
        model = candidate.model
        known = self._knowledge.cap(model)
        self._knowledge.learned(model, cap)
        if self._knowledge.cap(model) == known:
            return
        log.warning(
            Happened(
                "window_learned",
                {"model": model, "window": cap.window, "cause": cap.cause.value, "over": cap.over},
            )
        )

    def _wonder(self, candidate: Candidate) -> None:
        """Have it asked, a few times, what a model is served with: now that it is loaded."""
        facts = candidate.place.facts
        served = None if facts is None else facts.served
        times = self._asked.get(candidate.model, 0)
        if (served is None or served.source == ASSUMED) and times < ASKED:
            if len(self._asked) >= REMEMBERED:
                self._asked.clear()
            self._asked[candidate.model] = times + 1
            self._unsure(candidate.provider)

    def _now(self) -> str:
        return iso(self._wall())


def _believed(candidate: Candidate) -> int | None:
    """Return the window that the sources, or the config, say of a model."""
    facts = candidate.place.facts
    said = None if facts is None else believed_of(facts)
    return candidate.context_window if said is None else said
