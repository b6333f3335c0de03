"""Requests for a count: by the provider's own counter where there is one, else by estimate.

They are answered for the candidate that would be attempted first, whatever its window: to be told
that a request is too large is what clients count for. How a provider is asked is
``upstream.counting``'s business, what was asked already ``flights``'.
"""

import logging
import secrets
from collections.abc import Callable
from functools import partial

import msgspec
from aiohttp import web
from multidict import MultiMapping

from gatewayctl.config.settings import OverflowStatus, ProviderSettings, Settings
from gatewayctl.core.errors import ApiError, ErrorKind, RequestInvalid, UpstreamFailed
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.decision import Candidate, Decision, Estimate, Fit, Skipped, SkipReason
from gatewayctl.core.routing.world import World
from gatewayctl.daemon.asked import Asked, Caller
from gatewayctl.daemon.flights import Flights
from gatewayctl.daemon.forwarding import Forwarding, query_for
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.planning import Planner, Question
from gatewayctl.daemon.replies import error_reply, header, json_reply, own_headers
from gatewayctl.daemon.turns import Turns
from gatewayctl.protocols.codec import Changes, Teller
from gatewayctl.protocols.gemini import counting as gemini
from gatewayctl.protocols.messages import counting as messages
from gatewayctl.upstream import counting as upstream_counting
from gatewayctl.upstream.client import Upstream
from gatewayctl.upstream.counting import Ask
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.scrub import scrub

log = logging.getLogger("gatewayctl.requests")

COUNTED_BY = "x-gatewayctl-counted-by"
"""The header that says who counted: ``provider`` or ``estimate``."""

_REFUSED = frozenset({401, 403})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose tokens are wanted; ``reply`` makes the answer of a count."""

    caller: Caller
    request_id: str
    question: Question
    teller: Teller
    reply: Callable[[int], dict[str, int]]

    def __repr__(self) -> str:
        return f"Wanted(request_id={self.request_id!r}, …)"

    @property
    def protocol(self) -> WireProtocol:
        """The protocol it speaks."""
        return self.question.reader.protocol


class Counting:
    """Answers requests for a count. Use within one event loop; ``flights`` is its maker's."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a collaborator
        self,
        settings: Settings,
        planner: Planner,
        world: World,
        upstream: Upstream,
        credentials: Credentials,
        forwarding: Forwarding,
        turns: Turns,
        flights: Flights,
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._world = world
        self._upstream = upstream
        self._credentials = credentials
        self._forwarding = forwarding
        self._turns = turns
        self._flights = flights
        self._secret = secrets.token_bytes(16)

    async def messages(self, asked: Asked) -> web.Response:
        """Answer ``/messages/count_tokens``."""
        return await self._answered(asked, messages.reply)

    async def gemini(self, asked: Asked) -> web.Response:
        """Answer ``models/MODEL:countTokens``."""
        return await self._answered(asked, gemini.reply)

    async def _answered(self, asked: Asked, reply: Callable[[int], dict[str, int]]) -> web.Response:
        return await self._answer(
            Wanted(
                caller=asked.caller,
                request_id=asked.request_id,
                question=asked.question,
                teller=asked.codec,
                reply=reply,
            )
        )

    async def _answer(self, wanted: Wanted) -> web.Response:
        planned = await self._planner.plan(wanted.question, exact=True)
        decision = planned.sized.decision
        judged = _judged(decision)
        found = judged or await self._behind(wanted.question)
        if found is None or _forbidden(decision):
            headers = own_headers(wanted.request_id, decision, degraded=planned.degraded)
            error = decision.error or ApiError(kind=ErrorKind.INTERNAL, message="nothing to count")
            return error_reply(wanted.teller, error, headers, OverflowStatus.AUTO)
        model, figures = found
        short = [] if planned.degraded is None else [planned.degraded]
        count, by = figures.likely, "estimate"
        try:
            own = None if judged is None else await self._by_provider(wanted, model)
        except UpstreamFailed as failed:
            words = self._words(wanted, model, failed)
            log.info("%s counted by estimate: %s", wanted.request_id, words)
            short.append(words)
        else:
            if own is not None:
                count, by, short = own, "provider", []
        headers = own_headers(wanted.request_id, decision, degraded="; ".join(short) or None)
        headers |= {COUNTED_BY: by, "x-gatewayctl-model": header(model)}
        return json_reply(200, wanted.reply(count), headers)

    async def _behind(self, question: Question) -> tuple[str, Estimate] | None:
        """Return the first model behind a name that nothing can be sent to now, as it is sized.

        One that holds the request goes first.
        """
        found = await self._planner.estimate((question.name,), question, self._world, exact=True)
        fitting = [each for each in found.models if each.fit is not Fit.UNFIT]
        first = next(iter((*fitting, *found.models)), None)
        return None if first is None else (first.model, first.sized.estimate)

    async def _by_provider(self, wanted: Wanted, model: str) -> int | None:
        """Return the provider's count, None where it is not asked; raise ``UpstreamFailed``."""
        settings = self._settings.providers.get(model.partition("/")[0])
        if settings is None or not upstream_counting.counts(settings, wanted.protocol):
            return None
        client = wanted.caller.headers
        if not upstream_counting.allowed(settings, client):
            return None
        label = self._turns.aside(settings, client)
        if label is None or not self._credentials.available(settings):
            return None
        try:
            ask = await self._ask(wanted, model, settings, client)
        except RequestInvalid:
            return None  # it can be counted, but not be rewritten: a field stands in it twice
        self._forwarding.claim(settings.provider.name, client)
        size = len(ask.body)
        key = await offloaded(size, ask.digest, self._secret)
        counted = partial(upstream_counting.count, ask, self._upstream, self._credentials, label)
        try:
            return await self._flights.answer(key, counted)
        except UpstreamFailed as error:
            if error.failure.status in _REFUSED:
                self._turns.refused(settings, label)
            raise

    async def _ask(
        self,
        wanted: Wanted,
        full_id: str,
        settings: ProviderSettings,
        client: MultiMapping[str],
    ) -> Ask:
        body, model = wanted.question.body, full_id.partition("/")[2]
        layout = wanted.question.reading.layout
        if wanted.protocol is WireProtocol.GEMINI:
            url = upstream_counting.native(settings, model)
            sent = await offloaded(len(body), gemini.request, body, model)
            read = gemini.tokens
        else:
            query = query_for(settings, wanted.caller.query)
            url = f"{settings.base_url}{messages.PATH}{f'?{query}' if query else ''}"
            if settings.provider.as_it_came:
                sent = await offloaded(len(body), messages.as_it_came, body, model, layout)
            else:
                changes = self._changes(full_id, settings)
                sent = await offloaded(len(body), messages.request, body, changes, layout)
            read = messages.tokens
        return Ask(
            provider=settings,
            protocol=wanted.protocol,
            url=url,
            body=sent,
            client=client,
            read=read,
        )

    def _changes(self, full_id: str, settings: ProviderSettings) -> Changes:
        """Return the edits that a request for an answer would get, as far as they count."""
        override = self._settings.model(full_id)
        return Changes(
            model=full_id.partition("/")[2],
            set={key: bytes(raw) for key, raw in override.set.items()},
            drop=override.drop,
            strip_billing=settings.flags.get("strip_billing_attribution", True),
        )

    def _words(self, wanted: Wanted, model: str, failed: UpstreamFailed) -> str:
        provider = model.partition("/")[0]
        hidden = scrub(self._settings.providers[provider], None, wanted.caller.headers)
        return f"{provider} did not count: {hidden.message(failed.failure.said)}"


def _forbidden(decision: Decision) -> bool:
    """Tell whether the client may use nothing of what it asks about."""
    reasons = {skipped.reason for skipped in decision.skipped}
    return not decision.attempts and reasons == {SkipReason.NOT_ALLOWED}


def _judged(decision: Decision) -> tuple[str, Estimate] | None:
    """Return the candidate that would be attempted first, else the first that was sized."""
    judged: list[Candidate | Skipped] = [*decision.attempts, *decision.skipped]
    for each in judged:
        if each.estimate is not None:
            return each.model, each.estimate
    return None
