import asyncio
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from support.token_server import provider
from support.upstream import FakeUpstream, Hold, Pause, Rst, Step, chunked, cut, head, sized

from gatewayctl.config.settings import ProviderSettings, Timeouts
from gatewayctl.core.errors import FailureKind
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.token_reply import Refused, Tokens
from gatewayctl.upstream.token_request import TIMEOUTS, Answer, Trouble, ask

FIELDS = {"grant_type": "refresh_token", "refresh_token": "a secret/one"}
TOKENS = json.dumps({"access_token": "a", "refresh_token": "r"}).encode()


async def asked(
    http: AiohttpUpstream, settings: ProviderSettings, timeouts: Timeouts = TIMEOUTS
) -> Answer:
    """Send a token request."""
    assert settings.oauth is not None
    return await ask(http, settings, settings.oauth, FIELDS, timeouts=timeouts)


async def answer(http: AiohttpUpstream, reply: Sequence[Step], total: float = 30.0) -> Answer:
    """Return what becomes of a token request that is answered so within ``total`` seconds."""
    async with FakeUpstream([reply]) as fake:
        timeouts = Timeouts(total=total)
        return await asked(http, provider(f"{fake.base_url}/t"), timeouts)


async def test_the_providers_proxy_is_gone_through(client: AiohttpUpstream) -> None:
    """The token server's host is asked for behind it, with the proxy's own login."""
    async with FakeUpstream([sized(TOKENS)]) as proxy:
        address = proxy.base_url.replace("://", "://user:word@")
        settings = provider("http://tokens.example/t?x=1", proxy=address)
        assert isinstance(await asked(client, settings), Tokens)
    (request,) = proxy.requests
    assert request.target == "http://tokens.example/t?x=1"
    assert request.header("proxy-authorization") == b"Basic dXNlcjp3b3Jk"
    assert json.loads(request.body) == {**FIELDS, "client_id": "a-client"}


async def test_the_way_out_is_found_by_the_token_servers_own_host() -> None:
    """A provider on loopback may have its tokens from elsewhere, behind the environment's proxy."""
    async with FakeUpstream([sized(TOKENS)]) as proxy:
        http = AiohttpUpstream({"http_proxy": proxy.base_url})
        assert isinstance(await asked(http, provider("http://tokens.example/t")), Tokens)
        await http.close()
    assert len(proxy.requests) == 1


async def test_the_providers_certificates_are_trusted(
    client: AiohttpUpstream, tmp_path: Path
) -> None:
    """A token server of a company's own is asked with the company's bundle, and not without."""
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(sized(TOKENS)[0])  # type: ignore[arg-type]  # its only step is bytes
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/t"
    assert isinstance(await asked(client, provider(url, ca_bundle=str(bundle))), Tokens)
    refused = await asked(client, provider(url))
    assert isinstance(refused, Trouble)
    assert "certificate" in refused.failure.message
    assert not refused.lost
    server.close()


@pytest.mark.parametrize(
    "reply",
    [
        [Hold()],
        [Rst()],
        cut(sized(TOKENS), at=30, end=Rst()),
        cut(sized(TOKENS), at=120, end=Hold()),
        [b"this is not HTTP\r\n\r\n"],
        [head(200, (), ("content-length", "5")), b"abc", Pause(seconds=0.1), Rst()],
        sized(b"x" * 70_000),
        chunked([b" " * 10_000] * 20),
        sized(b"", 500),
        sized(b'{"error": "invalid_grant"}', 502),
    ],
    ids=range(10),
)
async def test_what_may_have_been_carried_out_is_told_as_lost(
    client: AiohttpUpstream, reply: Sequence[Step]
) -> None:
    """Silence, breaks, garbage and errors of the server's: it may have rotated nevertheless."""
    told = await answer(client, reply, 0.5)
    assert isinstance(told, Trouble)
    assert told.lost
    assert told.failure.kind in {
        FailureKind.TIMEOUT,
        FailureKind.NETWORK,
        FailureKind.BAD_RESPONSE,
        FailureKind.SERVER_ERROR,
    }
    assert told.failure.message.startswith("the token server: ")


@pytest.mark.parametrize(
    ("status", "body"), [(429, b""), (400, b"<html>"), (404, b""), (302, b""), (403, b"{}")]
)
async def test_what_was_turned_away_is_not_lost(
    client: AiohttpUpstream, status: int, body: bytes
) -> None:
    """A request that was refused unread has rotated nothing."""
    told = await answer(client, sized(body, status))
    assert isinstance(told, Trouble)
    assert not told.lost


async def test_what_was_sent_is_not_in_what_is_told(client: AiohttpUpstream) -> None:
    """A server that quotes the refresh token does not get it into a message."""
    quoting = {"error": "invalid_request", "error_description": "what is 'a secret/one'?"}
    told = await answer(client, sized(json.dumps(quoting).encode(), 400))
    assert isinstance(told, Refused)
    assert told.message == "invalid_request: what is '…'?"
