"""One request's life: bytes, shape, decision, attempts, reply. Top to bottom, no way back.

What a surface is called is ``app``'s business, one attempt ``trying``'s, how a stream is brought
to the client ``relay``'s.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from gatewayctl.config.settings import Settings
from gatewayctl.core.attempts import Failed, Try, attempt
from gatewayctl.core.errors import UpstreamFailed
from gatewayctl.core.estimate import by_bound, by_ratio
from gatewayctl.core.exhausted import told
from gatewayctl.core.model import EstimatorSettings
from gatewayctl.core.routing.decision import Candidate, Decision, Estimate
from gatewayctl.core.routing.plan import finished, plan, settled, sketch
from gatewayctl.core.routing.world import Request, World
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.replies import error_reply, own_headers
from gatewayctl.daemon.trying import Got, Streamed, Tries, Whole
from gatewayctl.upstream.headers import about_limits, reply_headers

log = logging.getLogger("gatewayctl.requests")

MEASURE_INLINE = 512 * 1024
"""Bytes of a body from which it is measured off the loop: that many take about 3 ms."""


class Pipeline:
    """Answers requests: plans, attempts, delivers. Holds the round-robin counters."""

    def __init__(
        self, settings: Settings, world: World, tries: Tries, chance: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._world = world
        self._tries = tries
        self._chance = chance
        self._counters: dict[str, int] = {}

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Return the reply to a request, already sent if it is a stream."""
        decision = await self.decide(asked)
        for skipped in decision.skipped:
            log.info(
                "%s skipped %s: %s (%s)",
                asked.request_id,
                skipped.model,
                skipped.reason,
                skipped.detail,
            )
        if decision.error is not None:
            log.info("%s refused: %s", asked.request_id, decision.error.kind)
            headers = own_headers(asked.request_id, decision)
            overflow = self._settings.server.overflow_status
            return error_reply(asked.codec, decision.error, headers, overflow)
        return await self._attempts(asked, decision)

    async def decide(self, asked: Asked) -> Decision:
        """Plan by the body's length alone; where size matters, measure and plan again."""
        by_length = by_bound(asked.shape)

        def estimator(_: EstimatorSettings) -> Estimate:
            return by_length

        request = self._request(asked)
        draft = sketch(asked.name, request, self._world, estimator)
        if settled(draft):
            return finished(draft, request, self._world, estimator)
        return await self.decide_measured(asked)

    async def decide_measured(self, asked: Asked) -> Decision:
        """Plan with the text measured."""
        if len(asked.body) < MEASURE_INLINE:
            measured = asked.codec.measure(asked.body)
        else:
            measured = await asyncio.to_thread(asked.codec.measure, asked.body)

        def estimator(settings: EstimatorSettings) -> Estimate:
            return by_ratio(asked.shape, measured, settings)

        return plan(asked.name, self._request(asked), self._world, estimator)

    def _request(self, asked: Asked) -> Request:
        return Request(
            shape=asked.shape,
            seed=self._chance(),
            counters=self._counters,
            today=datetime.now(UTC).date().isoformat(),
        )

    async def _attempts(self, asked: Asked, decision: Decision) -> web.StreamResponse:
        """Try the candidates in turn; no await stands between planning and the first of them."""
        planned = {
            alloy: self._counters.get(alloy, 0)
            for candidate in decision.attempts
            for alloy in candidate.turns
        }
        clock = asyncio.get_running_loop().time
        steps = attempt(decision.attempts, decision.policy)
        step: Try = next(steps)
        while True:
            self._advance(step.candidate, planned)
            left = decision.policy.deadline - (clock() - asked.started)
            try:
                got = await self._tries.one(asked, step.candidate, left)
            except UpstreamFailed as error:
                failed = Failed(
                    candidate=step.candidate,
                    failure=error.failure,
                    elapsed=clock() - asked.started,
                )
                _note(asked, step, failed)
                try:
                    step = steps.send(failed)
                except StopIteration as stop:
                    return self._gave_up(asked, decision, stop.value)
                continue
            steps.close()
            return await self._deliver(asked, decision, step, got)

    async def _deliver(
        self, asked: Asked, decision: Decision, step: Try, got: Got
    ) -> web.StreamResponse:
        headers = own_headers(asked.request_id, decision, step.candidate, step.number)
        match got:
            case Whole():
                response = web.Response(status=got.reply.status, body=got.body)
                response.headers.extend((*reply_headers(got.reply.headers), *headers.items()))
                log.info("%s answered by %s", asked.request_id, step.candidate.model)
                return response
            case Streamed():
                streamed = web.StreamResponse(status=got.reply.status)
                streamed.headers.extend((*reply_headers(got.reply.headers), *headers.items()))
                await self._stream(asked, step.candidate, got, streamed)
                return streamed

    async def _stream(
        self, asked: Asked, candidate: Candidate, got: Streamed, response: web.StreamResponse
    ) -> None:
        """Bring a stream to the client; whatever happens, the server finds nothing left to do."""
        outcome = "was left by the client while answered"
        try:
            await response.prepare(asked.request)
            failure = await got.stream.forward(response, asked.request_id)
            await response.write_eof()
            await got.stream.drain()
            if failure is None:
                outcome = "answered"
            else:
                outcome = f"broke off ({failure.message}) while answered"
        except ConnectionError:
            _cut(asked)
        except TimeoutError:
            outcome = "was given up, since the client read no more, while answered"
            _cut(asked)
        except Exception:
            # Headers are out: no error reply can follow, so the connection says that it failed.
            outcome = "was cut off by the gateway while answered"
            log.exception("%s failed in the gateway itself", asked.request_id)
            _cut(asked)
        finally:
            got.reply.abort()
            log.info("%s %s by %s", asked.request_id, outcome, candidate.model)

    def _gave_up(
        self, asked: Asked, decision: Decision, failures: tuple[Failed, ...]
    ) -> web.StreamResponse:
        """Answer with the first cause; one upstream's own refusal is passed on as it came."""
        first = failures[0]
        headers = own_headers(asked.request_id, decision, first.candidate, len(failures))
        if len(failures) == 1 and self._tries.passes(first):
            response = web.Response(status=first.failure.status or 502, body=first.failure.body)
            response.headers.extend((*first.failure.headers, *headers.items()))
            return response
        error = told(asked.name, failures)
        overflow = self._settings.server.overflow_status
        refusal = error_reply(asked.codec, error, headers, overflow)
        if len(failures) == 1:
            refusal.headers.extend(about_limits(first.failure.headers))
        return refusal

    def _advance(self, candidate: Candidate, planned: dict[str, int]) -> None:
        """Move the counters of the round-robin alloys whose head this attempt is, once each."""
        for alloy in candidate.turns:
            if (before := planned.pop(alloy, None)) is not None:
                self._counters[alloy] = before + 1


def _cut(asked: Asked) -> None:
    """Break off the client's connection without the final chunk, so that nothing looks complete."""
    if asked.request.transport is not None:
        asked.request.transport.abort()


def _note(asked: Asked, step: Try, failed: Failed) -> None:
    log.info(
        "%s attempt %d, %s, failed: %s (%s)",
        asked.request_id,
        step.number,
        step.candidate.model,
        failed.failure.kind,
        failed.failure.message,
    )
