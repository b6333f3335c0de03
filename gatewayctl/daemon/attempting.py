"""One accepted request on its way through its attempts, from the first try to the last byte.

What to try next is ``core.attempts``' business, one try ``trying``'s, what the client can pay
``paying``'s, what it is told in the end ``giving_up``'s, how a stream is brought to it ``relay``'s
and ``outlet``'s. Here they meet, with the breakers and the books.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
from aiohttp import web

from gatewayctl.core.attempts import Failed, Outcome, Step, Try, Unpaid, Wait, Waited, attempt
from gatewayctl.core.errors import ApiError, ErrorKind, Failure, FailureKind, UpstreamFailed
from gatewayctl.core.events import Phase
from gatewayctl.core.exhausted import broke_off, first_cause, told_kind
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.core.routing.graph import OnBreak
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.books import Book, Entry
from gatewayctl.daemon.giving_up import as_it_came, in_words
from gatewayctl.daemon.outlet import Outlet, sent
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.parts import Parts
from gatewayctl.daemon.paying import Purse
from gatewayctl.daemon.planning import Planned
from gatewayctl.daemon.remarks import about, cost_of, truncated
from gatewayctl.daemon.replies import error_reply, identified, own_headers
from gatewayctl.daemon.sending import Sent
from gatewayctl.daemon.sessions import named_in
from gatewayctl.daemon.trying import Got, Streamed, Whole
from gatewayctl.daemon.turns import ANOTHER_MAY_DO
from gatewayctl.protocols.losses import weighs
from gatewayctl.storage import records
from gatewayctl.upstream.headers import about_limits

log = logging.getLogger("gatewayctl.requests")

LARGE = 64 * 1024
"""Bytes of a whole reply from which its client may be too slow to take it at once."""


class Run:
    """One accepted request; ``reply`` is called once."""

    def __init__(self, parts: Parts, asked: Asked, planned: Planned, book: Book) -> None:
        self._parts = parts
        self._asked = asked
        self._planned = planned
        self._decision = planned.sized.decision
        self._book = book
        self._clock = asyncio.get_running_loop().time
        self._purse = Purse(parts, asked, self._decision, book)
        self._moved: set[str] = set()
        self._failed_with: dict[str, set[str]] = {}
        self._failures: list[Failed] = []
        self._tried = 0
        self._entry: Entry | None = None
        self._outlet: Outlet | None = None

    async def reply(self) -> web.StreamResponse:
        """Return the reply, already sent if it is a stream."""
        if self._asked.shape.stream:
            self._outlet = Outlet(
                self._asked.request,
                self._asked.codec,
                self._asked.request_id,
                partial(_early_headers, self._parts, self._planned, self._asked.request_id),
                self._parts.silence,
            )
        try:
            return await self._attempts()
        finally:
            if self._outlet is not None:
                await self._outlet.close()

    async def _attempts(self) -> web.StreamResponse:
        """Try the candidates in turn; no await stands between planning and the first of them."""
        decision = self._decision
        cooling = self._cooling()
        steps = attempt(
            decision.attempts,
            decision.policy,
            cooling=cooling,
            seed=self._parts.chance(),
            elapsed=self._elapsed(),
        )
        self._parts.planner.passed_over(decision, cooling, self._moved)
        step: Step = next(steps)
        while True:
            outcome: Outcome
            match step:
                case Wait():
                    await asyncio.sleep(step.seconds)
                    outcome = Waited(elapsed=self._elapsed(), cooling=self._cooling())
                case Try():
                    try:
                        came = await self._try(step)
                    except NotAllowed as refused:
                        steps.close()
                        return await self._refused(refused.error)
                    match came:
                        case Unpaid():
                            outcome = msgspec.structs.replace(came, cooling=self._cooling())
                        case Failure():
                            outcome = self._failed(step.candidate, came)
                            self._failures.append(outcome)
                        case _:
                            steps.close()
                            return came
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                failures: tuple[Failed, ...] = stop.value
                if failures:
                    return await self._gave_up(failures)
                return await self._refused(self._purse.refusal())

    def _failed(self, candidate: Candidate, failure: Failure) -> Failed:
        return Failed(
            candidate=candidate, failure=failure, elapsed=self._elapsed(), cooling=self._cooling()
        )

    async def _try(self, step: Try) -> web.StreamResponse | Failure | Unpaid:
        """Make one attempt; return the delivered reply, or how it failed before its commit."""
        self._entry = None
        held = await self._purse.reserved(step)
        if isinstance(held, Unpaid):
            return held
        try:
            return await self._made(step, held.at)
        finally:
            self._purse.settle(held, self._entry)

    async def _made(self, step: Try, at: float | None) -> web.StreamResponse | Failure:
        """Make an attempt that the client may make; ``at`` as in ``Book.started``."""
        parts, candidate = self._parts, step.candidate
        self._tried = step.number
        parts.planner.attempted(self._planned, candidate, self._moved)
        label = self._credential(candidate)
        call = parts.board.begun(candidate, label)
        entry = self._entry = self._book.started(step, label, at)
        try:
            # The ledger's turn: an attempt is on record before its first byte goes out.
            await asyncio.sleep(0)
            got = await parts.tries.one(
                self._asked,
                step,
                entry,
                label=label,
                left=step.deadline - self._elapsed(),
                buffer=step.on_break is OnBreak.BUFFER,
            )
            before = parts.board.succeeded(call)
            self._book.model = candidate.model
            broken, response = await self._deliver(step, got, entry)
        except UpstreamFailed as error:
            parts.board.failed(call, error.failure)
            parts.learner.refused(self._asked, candidate, error.failure)
            self._book.ended(records.Outcome.FAILED, error.failure)
            self._note(step, error.failure)
            return self._told_apart(candidate, label, error.failure)
        except asyncio.CancelledError:
            self._book.ended(records.Outcome.ABANDONED)
            raise
        finally:
            parts.board.over(call)
        if broken is not None:
            parts.board.failed(call, broken, before)
        return response

    def _credential(self, candidate: Candidate) -> str:
        """Return the label of the credential that the next attempt uses."""
        parts, session = self._parts, self._planned.session
        return parts.turns.chosen(
            parts.settings.providers[candidate.provider],
            self._asked.headers,
            named_in(self._asked.headers) if session is None else session.key,
            self._failed_with.get(candidate.provider, ()),
            partial(parts.board.cools, candidate),
        )

    def _told_apart(self, candidate: Candidate, label: str, failure: Failure) -> Failure:
        """Return a failure with a word on whether another credential may do."""
        turns, settings = self._parts.turns, self._parts.settings.providers[candidate.provider]
        failed = self._failed_with.setdefault(candidate.provider, set())
        renewed = failure.elsewhere and label not in failed
        if failure.kind in ANOTHER_MAY_DO:
            failed.add(label)
        if failure.kind in {FailureKind.AUTH, FailureKind.FORBIDDEN}:
            turns.refused(settings, label)
        elsewhere = renewed or turns.another(settings, failure.kind, failed)
        return msgspec.structs.replace(failure, elsewhere=elsewhere)

    async def _deliver(
        self, step: Try, got: Got, entry: Entry
    ) -> tuple[Failure | None, web.StreamResponse]:
        """Return how the upstream broke after its commit, if it did, and the reply."""
        headers = self._headers(step.candidate) | about(self._asked, got.sent)
        if got.sent.dropped:
            self._book.dropped[step.candidate.model] = got.sent.dropped
        self._book.status = got.reply.status
        match got:
            case Whole():
                headers |= await self._heard(step.candidate, got.sent, entry)
                self._book.outcome = records.Outcome.ANSWERED
                self._book.ended(records.Outcome.ANSWERED, status=got.reply.status)
                headers |= cost_of(self._book.cost)
                response = web.Response(status=got.reply.status, body=got.body)
                response.headers.extend((*got.headers, *headers.items()))
                log.info("%s answered by %s", self._asked.request_id, step.candidate.model)
                if len(got.body) > LARGE:
                    await sent(response, self._asked.request)
                return None, response
            case Streamed():
                return await self._stream(step.candidate, got, headers, entry)

    async def _stream(
        self, candidate: Candidate, got: Streamed, headers: Mapping[str, str], entry: Entry
    ) -> tuple[Failure | None, web.StreamResponse]:
        """Bring a stream to the client; whatever happens, the server finds nothing left to do."""
        outlet, book, failure = self._outlet, self._book, None
        if outlet is None:
            raise RuntimeError("a stream came that nobody had asked for")
        outcome = "was left by the client while answered"
        try:
            await outlet.open(got.reply.status, got.headers, headers)
            failure = await got.stream.forward(outlet, partial(self._broke_off, candidate))
            # The client has all of it: whether it stays for what follows makes no difference.
            if failure is None:
                outcome, book.outcome = "answered", records.Outcome.ANSWERED
            else:
                outcome = f"broke off ({failure.said}) while answered"
                book.outcome, book.error = records.Outcome.BROKEN, told_kind(failure.kind)
            await outlet.end(broken=failure is not None)
            if failure is None:
                await self._heard(candidate, got.sent, entry)
        except ConnectionError:
            outlet.cut()
        except TimeoutError:
            outcome = "was given up, since the client read no more, while answered"
            book.outcome = records.Outcome.ABANDONED
            outlet.cut()
        except Exception:
            # Headers are out: no error reply can follow, so the connection says that it failed.
            outcome = "was cut off by the gateway while answered"
            book.outcome, book.error = records.Outcome.FAILED, ErrorKind.INTERNAL
            log.exception("%s failed in the gateway itself", self._asked.request_id)
            outlet.cut()
        finally:
            self._let_go(got)
            book.ended(book.outcome, failure, got.reply.status)
            log.info("%s %s by %s", self._asked.request_id, outcome, candidate.model)
        return failure, outlet.response or web.StreamResponse()

    def _let_go(self, got: Streamed) -> None:
        """Close an upstream's connection, or read its body's end, which no client waits for."""
        if got.stream.ended is Phase.TERMINAL and not got.reply.over:
            self._parts.background.start(got.stream.drain(), "reading the end of a stream")
        else:
            got.reply.abort()

    async def _heard(self, candidate: Candidate, sent: Sent, entry: Entry) -> dict[str, str]:
        """Learn from an answer that came whole; return the headers that warn of it.

        What a translation left out was in the estimate and is not in what was metered.
        """
        usage = entry.usage
        if usage is None or weighs(sent.dropped):
            return {}
        truncation = await self._parts.learner.replied(self._asked, self._planned, candidate, usage)
        if truncation is None:
            return {}
        entry.truncated = True
        return truncated(truncation)

    def _broke_off(self, candidate: Candidate, failure: Failure) -> ApiError:
        """Return what a client is told whose stream breaks now."""
        failures = (*self._failures, self._failed(candidate, failure))
        return identified(broke_off(self._asked.name, failures), self._asked.request_id)

    async def _gave_up(self, failures: tuple[Failed, ...]) -> web.StreamResponse:
        """Answer with the first cause; what one upstream alone refused is passed on as it came."""
        parts, asked = self._parts, self._asked
        cooling = self._cooling().values()
        error = self._purse.mentioned(in_words(failures, asked.name, parts.settings, cooling))

        def reply() -> web.Response:
            headers = self._headers(failures[-1].candidate)
            passed = as_it_came(failures, asked.codec, parts.tries.passes, headers)
            if passed is None:
                passed = self._error(error, self._headers(failures[0].candidate))
                passed.headers.extend(about_limits(first_cause(failures).failure.headers))
            return passed

        return await self._ended(records.Outcome.FAILED, error, reply)

    async def _refused(self, error: ApiError) -> web.StreamResponse:
        """Answer a client that may have no (other) attempt, by the limits of its key."""
        outcome = records.Outcome.FAILED if self._tried else records.Outcome.REFUSED
        headers = self._headers()
        self._purse.refused(error)
        return await self._ended(outcome, error, lambda: self._error(error, headers))

    async def _ended(
        self, outcome: records.Outcome, error: ApiError, reply: Callable[[], web.Response]
    ) -> web.StreamResponse:
        """Tell the client of an error: in its stream where that is open, else with ``reply``."""
        book = self._book
        book.outcome, book.error = outcome, error.kind
        log.info("%s %s: %s", self._asked.request_id, outcome, error.kind)
        told_in_stream = identified(error, self._asked.request_id)
        if self._outlet is not None and await self._outlet.told(told_in_stream):
            book.status = 200
            return self._outlet.response or web.StreamResponse()
        response = reply()
        book.status = response.status
        return response

    def _error(self, error: ApiError, headers: Mapping[str, str]) -> web.Response:
        overflow = self._parts.settings.server.overflow_status
        return error_reply(self._asked.codec, error, headers, overflow)

    def _headers(self, candidate: Candidate | None = None) -> dict[str, str]:
        return own_headers(
            self._asked.request_id,
            self._decision,
            candidate,
            self._tried,
            degraded=self._parts.degraded(self._planned),
        )

    def _cooling(self) -> Mapping[str, float]:
        return self._parts.board.cooling(self._decision.attempts, self._asked.headers)

    def _elapsed(self) -> float:
        return self._clock() - self._asked.started

    def _note(self, step: Try, failure: Failure) -> None:
        log.info(
            "%s attempt %d, %s, failed: %s (%s)",
            self._asked.request_id,
            step.number,
            step.candidate.model,
            failure.kind,
            failure.said,
        )


def _early_headers(parts: Parts, planned: Planned, request_id: str) -> dict[str, str]:
    """Return what can be said before it is known who answers, and after how many attempts.

    No method of a run: its outlet calls it, and both would hold the body until they are collected.
    """
    decision, degraded = planned.sized.decision, parts.degraded(planned)
    return own_headers(request_id, decision, attempts=None, degraded=degraded)
