"""One request's life: bytes, shape, decision, attempts, reply. Top to bottom, no way back.

What a surface is called is ``app``'s business, one attempt ``trying``'s, how a stream is brought
to the client ``relay``'s.
"""

import asyncio
import logging

from aiohttp import web

from gatewayctl.config.settings import Settings
from gatewayctl.core.attempts import Failed, Try, attempt
from gatewayctl.core.errors import UpstreamFailed
from gatewayctl.core.exhausted import told
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.planning import Planned, Planner
from gatewayctl.daemon.replies import error_reply, json_reply, own_headers
from gatewayctl.daemon.trying import Got, Streamed, Tries, Whole
from gatewayctl.upstream.headers import about_limits, reply_headers

log = logging.getLogger("gatewayctl.requests")


DRY_RUN = "x-gatewayctl-dry-run"
"""The header of a client that asks for the decision alone."""


class Pipeline:
    """Answers requests: has them planned, attempts, delivers."""

    def __init__(self, settings: Settings, planner: Planner, tries: Tries) -> None:
        self._settings = settings
        self._planner = planner
        self._tries = tries

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Return the reply to a request, already sent if it is a stream."""
        if wants_decision(asked):
            return await self.explain(asked)
        planned = await self._planner.plan(asked.question, coarse=True)
        decision = planned.sized.decision
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
            headers = own_headers(asked.request_id, decision, degraded=planned.degraded)
            overflow = self._settings.server.overflow_status
            return error_reply(asked.codec, decision.error, headers, overflow)
        return await self._attempts(asked, planned)

    async def explain(self, asked: Asked) -> web.Response:
        """Return the decision in place of the reply that it would lead to."""
        planned = await self._planner.plan(asked.question)
        headers = own_headers(asked.request_id, planned.sized.decision, degraded=planned.degraded)
        return json_reply(200, self._planner.explained(planned), headers)

    async def _attempts(self, asked: Asked, planned: Planned) -> web.StreamResponse:
        """Try the candidates in turn; no await stands between planning and the first of them."""
        decision = planned.sized.decision
        clock = asyncio.get_running_loop().time
        steps = attempt(decision.attempts, decision.policy)
        step: Try = next(steps)
        moved: set[str] = set()
        while True:
            self._planner.attempted(planned, step.candidate, moved)
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
                    return self._gave_up(asked, planned, stop.value)
                continue
            steps.close()
            return await self._deliver(asked, planned, step, got)

    async def _deliver(
        self, asked: Asked, planned: Planned, step: Try, got: Got
    ) -> web.StreamResponse:
        headers = own_headers(
            asked.request_id,
            planned.sized.decision,
            step.candidate,
            step.number,
            degraded=planned.degraded,
        )
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
        self, asked: Asked, planned: Planned, failures: tuple[Failed, ...]
    ) -> web.StreamResponse:
        """Answer with the first cause; one upstream's own refusal is passed on as it came."""
        first = failures[0]
        headers = own_headers(
            asked.request_id,
            planned.sized.decision,
            first.candidate,
            len(failures),
            degraded=planned.degraded,
        )
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


def wants_decision(asked: Asked) -> bool:
    """Tell whether the client wants to know what would be done, and nothing sent."""
    return asked.request.headers.get(DRY_RUN, "").strip().lower() in {"1", "true", "yes"}


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
