"""One request's life: bytes, shape, decision, attempts, reply. Top to bottom, no way back.

What a surface is called is ``app``'s business; how an accepted request is attempted and delivered
``attempting``'s.
"""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from gatewayctl.core.errors import ErrorKind
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.attempting import Run
from gatewayctl.daemon.books import Book
from gatewayctl.daemon.counting import Counting
from gatewayctl.daemon.explaining import in_full
from gatewayctl.daemon.load import Load
from gatewayctl.daemon.parts import Parts
from gatewayctl.daemon.planning import Planned
from gatewayctl.daemon.replies import error_reply, json_reply, own_headers
from gatewayctl.daemon.waking import Waker
from gatewayctl.storage.records import Outcome

log = logging.getLogger("gatewayctl.requests")


DRY_RUN = "x-gatewayctl-dry-run"
"""The header of a client that asks for the decision alone."""


class Pipeline:
    """Answers requests: has them planned, refuses or attempts them, writes down what came of it.

    ``wall`` is the time in seconds since 1970; ``load`` counts the requests under way.
    ``counting`` answers those that want a count alone.
    """

    def __init__(
        self,
        parts: Parts,
        wall: Callable[[], float],
        counting: Counting,
        waker: Waker,
        load: Load,
    ) -> None:
        self.counting = counting
        self._parts = parts
        self._wall = wall
        self._waker = waker
        self._load = load

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._load.in_flight

    @property
    def degraded(self) -> str | None:
        """Say what does not work as it should, None when all does."""
        return self._parts.degraded(self._parts.planner)

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Return the reply to a request, already sent if it is a stream."""
        if wants_decision(asked):
            return await self.explain(asked)
        at = self._wall() - (asyncio.get_running_loop().time() - asked.started)
        self._load.in_flight += 1
        try:
            client, planner = asked.caller.client, self._parts.planner
            coarse = client is None or not client.limits.measured
            planned = await planner.plan(asked.question, coarse=coarse)
            if await self._waker.woken(planned.sized.decision):
                planned = await planner.plan(asked.question, coarse=coarse)
            name = None if client is None else client.name
            book = Book(self._parts.ledger, asked, planned, at, name)
            return await self._planned(asked, planned, book)
        finally:
            self._load.in_flight -= 1

    async def explain(self, asked: Asked) -> web.Response:
        """Return the decision in place of the reply that it would lead to."""
        planned = await self._parts.planner.plan(asked.question)
        headers = own_headers(asked.request_id, planned.sized.decision, degraded=planned.degraded)
        parts = self._parts
        doc = await in_full(parts.clients.accounts, parts.settings, asked.question, planned)
        return json_reply(200, doc, headers)

    async def _planned(self, asked: Asked, planned: Planned, book: Book) -> web.StreamResponse:
        decision = planned.sized.decision
        for skipped in decision.skipped:
            log.info(
                "%s skipped %s: %s (%s)",
                asked.request_id,
                skipped.model,
                skipped.reason,
                skipped.detail,
            )
        try:
            if decision.error is None:
                return await Run(self._parts, asked, planned, book).reply()
            log.info("%s refused: %s", asked.request_id, decision.error.kind)
            headers = own_headers(
                asked.request_id, decision, degraded=self._parts.degraded(planned)
            )
            overflow = self._parts.settings.server.overflow_status
            refusal = error_reply(asked.codec, decision.error, headers, overflow)
            book.outcome, book.error = Outcome.REFUSED, decision.error.kind
            book.status = refusal.status
        except Exception:
            book.outcome, book.error, book.status = Outcome.FAILED, ErrorKind.INTERNAL, 500
            raise
        else:
            return refusal
        finally:
            book.closed()


def wants_decision(asked: Asked) -> bool:
    """Tell whether the client wants to know what would be done, and nothing sent."""
    return asked.headers.get(DRY_RUN, "").strip().lower() in {"1", "true", "yes"}
