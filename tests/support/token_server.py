"""A token server that rotates refresh tokens and forgives nothing, and its faults on demand.

``Authority`` is what it knows and decides, without any I/O; ``serving`` puts it on HTTP. A refresh
token works once: the second time it is refused, and with ``strict`` everything that descends from
the same login dies with it, as providers do that suspect theft.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from gatewayctl.config.settings import OAuthSettings, ProviderSettings, TokenEncoding
from gatewayctl.core.model import Auth, Provider, WireProtocol

CLIENT_ID = "a-client"


class Fault(StrEnum):
    """What can go wrong with one token request; LOST_ ones have rotated the token before."""

    DROPPED = "dropped"
    ERROR = "error"
    LIMITED = "limited"
    PAGE = "page"
    REDIRECT = "redirect"
    LOST_DROPPED = "lost_dropped"
    LOST_CUT = "lost_cut"
    LOST_ERROR = "lost_error"
    LOST_GARBAGE = "lost_garbage"

    @property
    def loses(self) -> bool:
        """Whether the new refresh token has been made, and never arrives."""
        return self.value.startswith("lost_")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A reply's status and body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Authority:
    """Logins, and the refresh tokens that descend from each: the last one works, once.

    ``requests`` are the refresh tokens in the order they were sent; ``more`` is added to each reply
    with tokens, None takes a field out of it. ``always`` is a status and body to say to everything.
    """

    def __init__(self, *, strict: bool = True, lifetime: float = 3600.0) -> None:
        self.requests: list[str] = []
        self.refused: list[str] = []
        self.more: dict[str, object] = {}
        self.always: tuple[int, bytes] | None = None
        self.lifetime = lifetime
        self._strict = strict
        self._issued = 0
        self._families: dict[str, int] = {}
        self._living: dict[int, str] = {}
        self._access: dict[str, int] = {}
        self._dead_access: set[str] = set()

    def login(self) -> str:
        """Return the refresh token of a new login."""
        family = len(self._living) + 1
        self._living[family] = ""
        return self._refresh_token(family)

    def order(self, refresh_token: str) -> int:
        """Return when a refresh token was issued: a later one has a higher number."""
        return int(refresh_token.partition("-")[2])

    def is_living(self, refresh_token: str | None) -> bool:
        """Tell whether new tokens can be had for this one."""
        return refresh_token in self._living.values()

    def accepts(self, access_token: str) -> bool:
        """Tell whether an upstream would serve somebody with this token."""
        family = self._access.get(access_token)
        return family is not None and access_token not in self._dead_access

    def forget(self, access_token: str) -> None:
        """Let upstreams refuse a token from now on."""
        self._dead_access.add(access_token)

    def spend(self, refresh_token: str | None) -> None:
        """Let somebody else use a refresh token, whose new one nobody here gets."""
        sent = self.requests.copy()
        self.answer(
            {
                "grant_type": "refresh_token",
                "client_id": CLIENT_ID,
                "refresh_token": refresh_token or "",
            }
        )
        self.requests = sent

    def answer(self, fields: Mapping[str, str]) -> Said:
        """Answer a token request, rotating its refresh token."""
        token = fields.get("refresh_token", "")
        self.requests.append(token)
        if self.always is not None:
            return Said(status=self.always[0], body=self.always[1])
        if fields.get("grant_type") != "refresh_token":
            return _refusal("unsupported_grant_type")
        if fields.get("client_id") != CLIENT_ID:
            return _refusal("invalid_client", 401)
        family = self._families.get(token)
        if family is None or self._living.get(family) != token:
            self.refused.append(token)
            if family is not None and self._strict:
                self._end(family)
            return _refusal("invalid_grant")
        access = f"access-{self._issued + 1}"
        self._access[access] = family
        told = {
            "token_type": "Bearer",
            "access_token": access,
            "refresh_token": self._refresh_token(family),
            "expires_in": self.lifetime,
            **self.more,
        }
        told = {name: value for name, value in told.items() if value is not None}
        return Said(status=200, body=json.dumps(told).encode())

    def _refresh_token(self, family: int) -> str:
        self._issued += 1
        token = f"refresh-{self._issued}"
        self._families[token] = family
        self._living[family] = token
        return token

    def _end(self, family: int) -> None:
        self._living[family] = ""
        self._dead_access.update(it for it, of in self._access.items() if of == family)


def faulty(authority: Authority, fields: Mapping[str, str], fault: Fault) -> Said | None:
    """Answer a token request with a fault; None is a connection that breaks off."""
    lost = authority.answer(fields) if fault.loses else None
    if lost is None:
        authority.requests.append(fields.get("refresh_token", ""))
    if lost is not None and fault is Fault.LOST_CUT:
        return msgspec.structs.replace(lost, body=lost.body[:20])
    return _SAID.get(fault)


_SAID: Final = {
    Fault.ERROR: Said(status=500, body=b'{"error": "server_error"}'),
    Fault.LIMITED: Said(status=429, body=b"slow down", headers={"Retry-After": "2"}),
    Fault.PAGE: Said(status=403, body=b"<html>Just a moment...</html>"),
    Fault.REDIRECT: Said(status=302, body=b"", headers={"Location": "/elsewhere"}),
    Fault.LOST_ERROR: Said(status=500, body=b'{"error": "invalid_grant"}'),
    Fault.LOST_GARBAGE: Said(status=200, body=b"<html>Welcome!</html>"),
}


def _refusal(code: str, status: int = 400) -> Said:
    told = {"error": code, "error_description": "so it is"}
    return Said(status=status, body=json.dumps(told).encode())


class TokenServer:
    """An authority on HTTP. ``faults`` are met by the next requests in order, then none.

    Each request waits for ``gate`` before it is answered, and for ``reply_gate`` after that.
    ``elsewhere`` counts the requests to where redirects lead.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.faults: deque[Fault] = deque()
        self.url = ""
        self.heads: list[Mapping[str, str]] = []
        self.gate, self.reply_gate = asyncio.Event(), asyncio.Event()
        self.elsewhere = 0
        self.gate.set()
        self.reply_gate.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one token request."""
        self.heads.append(dict(request.headers))
        fields = await _fields(request)
        await self.gate.wait()
        fault = self.faults.popleft() if self.faults else None
        said = faulty(self.authority, fields, fault) if fault else self.authority.answer(fields)
        await self.reply_gate.wait()
        if said is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=said.status, body=said.body, headers=dict(said.headers))

    async def wander(self, _: web.Request) -> web.StreamResponse:
        """Count who follows a redirect."""
        self.elsewhere += 1
        return web.Response()


async def _fields(request: web.Request) -> dict[str, str]:
    body = await request.read()
    if request.content_type == "application/json":
        return {name: str(value) for name, value in json.loads(body).items()}
    return dict(parse_qsl(body.decode(), strict_parsing=True))


@contextlib.asynccontextmanager
async def serving(authority: Authority) -> AsyncIterator[TokenServer]:
    """Serve an authority on a free port of 127.0.0.1."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    server = TokenServer(authority)
    app.router.add_post("/token", server.serve)
    app.router.add_route("*", "/elsewhere", server.wander)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield server
    finally:
        server.gate.set()
        server.reply_gate.set()
        await runner.cleanup()


def provider(
    url: str, *, encoding: TokenEncoding = TokenEncoding.JSON, name: str = "claude", **more: object
) -> ProviderSettings:
    """Return the settings of a provider whose tokens are had at ``url``."""
    settings = ProviderSettings(
        provider=Provider(
            name=name,
            kind="anthropic-compatible",
            protocols=(WireProtocol.MESSAGES,),
            auth=Auth.OAUTH,
        ),
        base_url="http://127.0.0.1:9/v1",
        oauth=OAuthSettings(token_url=url, client_id=CLIENT_ID, encoding=encoding),
    )
    return msgspec.structs.replace(settings, **more)


@contextlib.contextmanager
def held(server: TokenServer) -> Iterator[None]:
    """Let requests arrive and none be answered meanwhile."""
    server.gate.clear()
    try:
        yield
    finally:
        server.gate.set()
