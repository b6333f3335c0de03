"""What a request for a provider's own listing of models carries: headers, and the credential.

Light: the command line asks too, without an HTTP client. What is asked, and how the answer is
read, is ``registry.sources``' business; how it travels is ``download``'s.
"""

import asyncio
from collections.abc import Mapping

from multidict import CIMultiDict

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import SourceFailed, UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.headers import USER_AGENT, apply, presented

_GEMINI = "gemini"


def headers_for(settings: ProviderSettings, credential: str | None) -> dict[str, str]:
    """Return the headers of a request for a listing, final but for Host and what a body needs.

    The credential stands where the listing wants it, which for Gemini's is another header than
    its compatible API's. The provider's own ``headers`` win over all.
    """
    kind = kinds().get(settings.provider.kind)
    headers = CIMultiDict({"Accept": "application/json", "User-Agent": USER_AGENT})
    headers.update(kind.default_headers if kind is not None else {})
    if credential is not None and settings.provider.auth is Auth.KEY:
        native = kind is not None and kind.listing == _GEMINI
        name, value = ("x-goog-api-key", credential) if native else presented(settings, credential)
        headers[name] = value
    apply(headers, settings.headers)
    return dict(headers)


def credential_now(
    settings: ProviderSettings, environ: Mapping[str, str], *, command_timeout: float = 30.0
) -> str | None:
    """Look a provider's credential up and wait for it; None for one that names none.

    Blocks, as long as a program may take; not to be called inside an event loop. SourceFailed
    when credentials are named and none can be had, without a word of what was found.
    """

    async def look() -> str | None:
        credentials = Credentials(environ, command_timeout=command_timeout)
        try:
            return await credentials.get(settings)
        finally:
            await credentials.close()

    try:
        return asyncio.run(look())
    except UpstreamFailed as error:
        raise SourceFailed(error.failure.message) from None
