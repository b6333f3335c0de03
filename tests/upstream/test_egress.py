import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
import trustme
from support.upstream import FakeUpstream, chunked
from yarl import URL

from gatewayctl.core.errors import FailureKind, UpstreamFailed
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.egress import proxy_for
from gatewayctl.upstream.scrub import scrub

from .conftest import MakeCall, MakeProvider, until

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "setting", "environ", "proxy"),
    [
        ("https://api.example/v1", None, {}, None),
        ("https://api.example/v1", PROXY, {}, PROXY),
        ("http://127.0.0.1/v1", PROXY, {}, PROXY),
        ("https://api.example/v1", "", {"HTTPS_PROXY": PROXY}, None),
        ("https://api.example/v1", None, {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example/v1", None, {"https_proxy": PROXY, "HTTPS_PROXY": "http://x"}, PROXY),
        ("https://api.example/v1", None, {"HTTP_PROXY": PROXY}, None),
        ("http://api.example/v1", None, {"HTTP_PROXY": "proxy.example:3128"}, PROXY),
        ("https://api.example/v1", None, {"ALL_PROXY": PROXY}, PROXY),
        ("https://localhost/v1", None, {"ALL_PROXY": PROXY}, None),
        ("https://a.localhost/v1", None, {"ALL_PROXY": PROXY}, None),
        ("https://127.8.0.1/v1", None, {"ALL_PROXY": PROXY}, None),
        ("https://[::1]:8443/v1", None, {"ALL_PROXY": PROXY}, None),
    ],
)
def test_proxy_comes_from_the_config_then_the_environment(
    url: str, setting: str | None, environ: dict[str, str], proxy: str | None
) -> None:
    """The provider's own setting wins, "" means none, and loopback needs a setting of its own."""
    assert proxy_for(URL(url), setting, environ) == proxy


@pytest.mark.parametrize(
    ("entries", "direct"),
    [
        ("*", True),
        ("api.example", True),
        ("other, example", True),
        (".example", True),
        ("*.example", True),
        ("API.Example:8443", True),
        ("api.example:443", False),
        ("pi.example", False),
        ("", False),
        (" , ", False),
        ("10.0.0.0/8", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_ports(entries: str, *, direct: bool) -> None:
    """NO_PROXY is read as curl and Go read it: whole labels, optional port."""
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": entries}
    assert (proxy_for(URL("https://api.example:8443"), None, environ) is None) is direct


@pytest.mark.parametrize(
    ("host", "direct"),
    [("10.1.2.3", True), ("11.1.2.3", False), ("[fd00::1]", True), ("[fd01::1]", False)],
)
def test_no_proxy_names_addresses_and_networks(host: str, *, direct: bool) -> None:
    """Addresses are compared as numbers, networks by their prefix."""
    environ = {"HTTPS_PROXY": PROXY, "no_proxy": "10.0.0.0/8,fd00::1"}
    assert (proxy_for(URL(f"https://{host}/v1"), None, environ) is None) is direct


class Proxy:
    """A real HTTP proxy on loopback: tunnels for CONNECT, forwards what has an absolute target."""

    def __init__(self, refusal: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self.url = ""
        self._refusal = refusal
        self._server: asyncio.Server | None = None
        self._open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await until(lambda: self._open == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            await self._relay(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()
            self._open -= 1

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self._refusal:
            writer.write(self._refusal)
            return
        method, target, _ = head.split(b" ", 2)
        url = URL(target.decode() if method != b"CONNECT" else f"tunnel://{target.decode()}")
        upstream, downstream = await asyncio.open_connection(url.host, url.port)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            downstream.write(head.replace(target, url.raw_path_qs.encode(), 1))
        await asyncio.gather(_pump(reader, downstream), _pump(upstream, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Write the authority's certificate where ``ca_bundle`` can name it."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
async def tls(authority: trustme.CA) -> AsyncIterator[str]:
    """Serve ``secure`` over real TLS as 127.0.0.1; give its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure")
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_ca_bundle_makes_a_private_authority_trusted(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider, tls: str, bundle: str
) -> None:
    """A provider's bundle counts for that provider, and for no other one."""
    trusting = call(tls, provider=provider(ca_bundle=bundle))
    assert await (await client.send(trusting)).read(10) == b"secure"
    with pytest.raises(UpstreamFailed, match=r"certificate of .* is not accepted") as caught:
        await client.send(call(tls))
    assert caught.value.failure.kind is FailureKind.NETWORK
    assert caught.value.failure.connecting


async def test_unusable_ca_bundle_is_named(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider, tmp_path: Path
) -> None:
    """A missing or malformed bundle is a failure that says which file, and nothing is sent."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (broken, tmp_path / "missing.pem"):
        settings = provider(ca_bundle=str(path))
        with pytest.raises(UpstreamFailed, match=path.name) as caught:
            await client.send(call("https://127.0.0.1:9", provider=settings))
        assert caught.value.failure.kind is FailureKind.NETWORK
        assert caught.value.failure.connecting


async def test_tls_to_a_server_without_it_is_a_network_failure(
    client: AiohttpUpstream, call: MakeCall
) -> None:
    """A wrong scheme in a base URL is told as a failed TLS handshake."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(UpstreamFailed, match=f"no TLS connection to {url}") as caught:
            await client.send(call(url))
        assert caught.value.failure.kind is FailureKind.NETWORK
        assert caught.value.failure.connecting


async def test_plain_http_goes_through_the_proxy(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider
) -> None:
    """A forward proxy gets an absolute target and its own credential, and streams pass it."""
    async with FakeUpstream([chunked([b"data: 1\n\n"])]) as fake, Proxy() as proxy:
        settings = provider(proxy=proxy.url.replace("//", "//me:p%40ss@"))
        reply = await client.send(call(f"{fake.base_url}/v1?a=b", provider=settings, stream=True))
        assert await reply.read(100) == b"data: 1\n\n"
        assert proxy.heads[0].startswith(f"POST {fake.base_url}/v1?a=b HTTP/1.1\r\n".encode())
        assert base64.b64encode(b"me:p@ss") in proxy.heads[0]
        await client.close()


async def test_https_goes_through_a_tunnel(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider, tls: str, bundle: str
) -> None:
    """The proxy of a TLS provider sees the address and its own credential, nothing of the call."""
    async with Proxy() as proxy:
        settings = provider(proxy=proxy.url.replace("//", "//me:pw@"), ca_bundle=bundle)
        secret = (("authorization", "Bearer sk-secret"),)
        for _ in range(2):
            reply = await client.send(call(tls, provider=settings, sent=secret))
            assert await reply.read(10) == b"secure"
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT {tls.removeprefix('https://')} HTTP/1.1\r\n".encode())
        assert base64.b64encode(b"me:pw") in head
        assert b"sk-secret" not in head
        await client.close()


async def test_proxy_of_the_environment_is_used(call: MakeCall) -> None:
    """Without a setting of the provider's, HTTP_PROXY counts, here for a name it alone knows."""
    reply = b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with Proxy(reply) as proxy:
        client = AiohttpUpstream({"HTTP_PROXY": proxy.url})
        got = await client.send(call("http://upstream.invalid/v1"))
        assert got.status == 407
        await client.close()


async def test_refused_tunnel_is_a_network_failure(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider
) -> None:
    """A proxy that says no is named as the culprit, with its status and without its password."""
    reply = b"HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with Proxy(reply) as proxy:
        settings = provider(proxy=proxy.url.replace("//", "//me:pw@"))
        with pytest.raises(UpstreamFailed) as caught:
            await client.send(call("https://upstream.invalid/v1", provider=settings))
        failure = caught.value.failure
        assert (failure.kind, failure.connecting) == (FailureKind.NETWORK, True)
        assert "the proxy refused a tunnel" in failure.message
        assert "status 403" in failure.message
        assert "pw" not in failure.message


@pytest.mark.parametrize("proxy", ["http://u:pa/ss@127.0.0.1:1", "http://u:p@h:bad", "http://["])
async def test_a_proxy_that_is_no_url_is_said_and_not_repeated(
    call: MakeCall, provider: MakeProvider, proxy: str
) -> None:
    """It is a failure of that way out, after which a route goes on, and names no password."""
    upstream = AiohttpUpstream({"HTTP_PROXY": proxy})
    asked = call(
        "http://upstream.example/v1", provider=provider(base_url="http://upstream.example")
    )
    with pytest.raises(UpstreamFailed, match="is no URL") as caught:
        await upstream.send(asked)
    assert (caught.value.failure.kind, caught.value.failure.connecting) == (
        FailureKind.NETWORK,
        True,
    )
    assert "pa/ss" not in str(caught.value)
    scrub(provider(base_url="http://upstream.example", proxy=proxy), "key", {})
    await upstream.close()


async def test_dead_proxy_is_a_network_failure(
    client: AiohttpUpstream, call: MakeCall, provider: MakeProvider
) -> None:
    """An unreachable proxy is told apart from an unreachable provider."""
    async with Proxy() as proxy:
        dead = proxy.url
    with pytest.raises(UpstreamFailed, match="cannot connect to the proxy"):
        await client.send(call("http://upstream.invalid/v1", provider=provider(proxy=dead)))
