"""A process that asks for access tokens of a shared folder; for tests of several of them.

Run as ``python -m support.refresher FOLDER TOKEN_URL AT_ONCE ROUNDS``: each round begins with a
line on its input, and ends with one of JSON on its output, a token or an error for each caller.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from support.token_server import provider

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import UpstreamFailed
from gatewayctl.storage.credentials import Vault
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.oauth import OAuth


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one caller got."""

    token: str | None = None
    error: str | None = None


async def _asked(oauth: OAuth, settings: ProviderSettings) -> Told:
    try:
        return Told(token=await oauth.token(settings))
    except UpstreamFailed as error:
        return Told(error=str(error))


async def _run(folder: Path, url: str, at_once: int) -> None:
    http, settings = AiohttpUpstream({}), provider(url)
    oauth = OAuth(Vault(folder), http)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while await asyncio.to_thread(sys.stdin.readline):
        told = await asyncio.gather(*(_asked(oauth, settings) for _ in range(at_once)))
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()
    await oauth.close()
    await http.close()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
