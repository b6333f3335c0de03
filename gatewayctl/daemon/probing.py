"""``/api/quota``: what is known of quotas, and asking providers for what they tell on request.

A GET tells; a POST asks first every provider that has an address for it, or with ``?forget=LABEL``
asks nobody and forgets what is known of a credential. What is known is
``quotas``' business, how a provider is asked ``upstream.probes``'.
"""

from collections.abc import Callable

from aiohttp import web

from gatewayctl.config.settings import Settings
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.daemon.quota_told import Probed, as_document
from gatewayctl.daemon.quotas import Quotas
from gatewayctl.daemon.replies import json_reply, own_headers
from gatewayctl.protocols.codec import Codec
from gatewayctl.registry.fetching import Fetch
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.download import download
from gatewayctl.upstream.probes import ask


class Probing:
    """Tells of quotas, and asks for more. ``wall`` is seconds since 1970.

    ``forgotten`` is called with each label that is to be tried again.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        quotas: Quotas,
        wall: Callable[[], float],
        forgotten: Callable[[str], None] = lambda _: None,
        fetch: Fetch = download,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._quotas = quotas
        self._wall = wall
        self._forgotten = forgotten
        self._fetch = fetch

    async def quota(
        self, request: web.BaseRequest, codec: Codec, request_id: str
    ) -> web.StreamResponse:
        """Answer with all that is known; a POST asks the providers before, or forgets."""
        _ = codec
        quotas, probes = self._quotas, tuple[Probed, ...]()
        if request.method == "POST":
            forgotten = request.rel_url.query.getall("forget", [])
            for label in forgotten:
                if not quotas.forget(label):
                    there = f"these: {', '.join(known)}" if (known := quotas.known()) else "none"
                    words = f'nothing is known of a credential "{label}", but of {there}'
                    raise RequestInvalid(words, "forget")
                self._forgotten(label)
            probes = () if forgotten else await self._asked()
        document = as_document(
            quotas.known(), self._wall(), probes=probes, degraded=quotas.degraded
        )
        return json_reply(200, document, own_headers(request_id))

    async def _asked(self) -> tuple[Probed, ...]:
        providers = self._settings.providers.values()
        answers = await ask(providers, self._credentials, self._wall, self._fetch)
        for answer in answers:
            if answer.snapshot is not None:
                self._quotas.noted(answer.label, answer.snapshot)
        return tuple(
            Probed(credential=each.label, url=each.url, error=each.error) for each in answers
        )
