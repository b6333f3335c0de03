"""What a request's attempts take of what its client may spend, and which of them that pays for.

How much an attempt may take is ``taking``'s business, whether the client has it ``accounts``'. Here
both meet for one request; whom its client cannot pay is passed over, and told in the decision.
"""

import asyncio
import logging
from decimal import Decimal
from typing import Final

import msgspec

from gatewayctl.config.settings import Settings
from gatewayctl.core.allowance import Ask
from gatewayctl.core.attempts import Try, Unpaid
from gatewayctl.core.errors import ApiError
from gatewayctl.core.routing.decision import Candidate, Decision, SkipReason
from gatewayctl.daemon.accounts import FREE, PATIENCE, Accounts, Reservation
from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.books import Book, Entry
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.parts import Parts
from gatewayctl.daemon.permitted import Client
from gatewayctl.daemon.planning import Question
from gatewayctl.daemon.taking import taking

log = logging.getLogger("gatewayctl.requests")

_FOR_EVER: Final = float("inf")
_OF_SILENCE: Final = 0.8
"""How much of the time after which headers go out early a stream may wait."""


class Purse:
    """What one request may take.

    All its attempts together wait for others' money no longer than one call may, and where the
    client wants a stream not until its silence ends: then it could not be told a status.
    """

    def __init__(self, parts: Parts, asked: Asked, decision: Decision, book: Book) -> None:
        self._accounts = parts.clients.accounts
        self._settings = parts.settings
        self._asked = asked
        self._decision = decision
        self._book = book
        self._clock = asyncio.get_running_loop().time
        silent = parts.silence * _OF_SILENCE if asked.shape.stream else PATIENCE
        self._patience = min(PATIENCE, silent)
        self._passed: dict[str, tuple[Candidate, ApiError]] = {}

    async def reserved(self, step: Try) -> Reservation | Unpaid:
        """Reserve what an attempt may take, or pass it over.

        Raises ``NotAllowed`` where no other attempt would fare better.
        """
        client, candidate = self._asked.caller.client, step.candidate
        if client is None:
            return FREE
        needed = await _needed(client, candidate, self._asked.question, self._settings)
        began = self._elapsed()
        patience = min(step.deadline - began, self._patience) if step.patient else 0.0
        try:
            held = await self._accounts.admit(
                client, needed, counted=step.number == 1, patience=patience
            )
        except NotAllowed as refused:
            over = refused.over
            if over is None or (over.budget is None and (step.patient or not over.under_way)):
                raise
            if over.budget is not None:
                self._pass_over(candidate, refused.error)
            return Unpaid(elapsed=self._elapsed(), reserved=over.under_way)
        finally:
            self._patience -= self._elapsed() - began
        if self._passed.pop(candidate.model, None) is not None:
            self._told()
        return held

    def _elapsed(self) -> float:
        return self._clock() - self._asked.started

    def settle(self, held: Reservation, entry: Entry | None) -> None:
        """Enter what an attempt took; None is one that was never made."""
        if held is not FREE:
            cost, tokens = (Decimal(0), 0) if entry is None else (entry.cost, entry.tokens)
            self._accounts.settle(held, cost, tokens)

    def refusal(self) -> ApiError:
        """Return what the client is told that can pay for nothing: what it can pay for soonest."""
        return _soonest([error for _, error in self._passed.values()])

    def refused(self, error: ApiError) -> None:
        """Write down why no (other) attempt is made."""
        self._told(error)

    def mentioned(self, error: ApiError) -> ApiError:
        """Return the error of attempts that failed, with what was passed over beside them."""
        if not self._passed:
            return error
        skipped = [
            {"model": model, "reason": SkipReason.OVER_BUDGET.value, "detail": why.message}
            for model, (_, why) in self._passed.items()
        ]
        names = ", ".join(self._passed)
        return msgspec.structs.replace(
            error,
            message=f"{error.message}; passed over, since the client's budget is spent: {names}",
            details={**error.details, "skipped": skipped},
        )

    def _pass_over(self, candidate: Candidate, error: ApiError) -> None:
        self._passed[candidate.model] = candidate, error
        self._told()
        reason = SkipReason.OVER_BUDGET
        request = self._asked.request_id
        log.info("%s skipped %s: %s (%s)", request, candidate.model, reason, error.message)

    def _told(self, error: ApiError | None = None) -> None:
        """Write the decision down as it is by now."""
        decision = self._decision
        for candidate, why in self._passed.values():
            decision = _without(decision, candidate, why)
        self._book.decided(msgspec.structs.replace(decision, error=error))


async def afforded(
    accounts: Accounts, settings: Settings, question: Question, decision: Decision
) -> Decision:
    """Return a decision as the client's budget leaves it, for whoever asks what would be done.

    Whom only others' reservations stand against comes last, as it would be waited for.
    """
    client, refusals, last = question.client, list[ApiError](), list[Candidate]()
    if client is None or not client.limits.budgets:
        return decision
    for candidate in decision.attempts:
        needed = await _needed(client, candidate, question, settings)
        try:
            found = await accounts.over(client, needed)
        except NotAllowed as unknown:
            found = unknown
        if found is None or (found.over is not None and found.over.budget is None):
            continue
        if found.over is not None and found.over.under_way:
            last.append(candidate)
            continue
        refusals.append(found.error)
        decision = _without(decision, candidate, found.error)
    if refusals and not decision.attempts:
        return msgspec.structs.replace(decision, error=_soonest(refusals))
    at_once = [it for it in decision.attempts if it not in last]
    notes = [f"{it.model} waits for what other calls have reserved: tried last" for it in last]
    return msgspec.structs.replace(
        decision, attempts=(*at_once, *last), notes=(*decision.notes, *notes)
    )


async def _needed(
    client: Client, candidate: Candidate, question: Question, settings: Settings
) -> Ask:
    """Return what an attempt may take, nothing for a client that has no limit by size."""
    if not client.limits.measured:
        return Ask()
    body, shape = question.body, question.reading.shape
    return await offloaded(len(body), taking, candidate, shape, body, settings)


def _without(decision: Decision, candidate: Candidate, why: ApiError) -> Decision:
    skipped = candidate.skipped(SkipReason.OVER_BUDGET, why.message, why.retry_after)
    return decision.without(skipped)


def _soonest(errors: list[ApiError]) -> ApiError:
    return min(errors, key=lambda it: _FOR_EVER if it.retry_after is None else it.retry_after)
