import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from support.oauth_world import World
from support.token_server import Authority, serving
from support.upstream import FakeUpstream

from gatewayctl.config.settings import ProviderSettings, Secret, Timeouts
from gatewayctl.core.model import Auth, Provider, WireProtocol
from gatewayctl.upstream.client import AiohttpUpstream, Call

MakeCall = Callable[..., Call]
MakeProvider = Callable[..., ProviderSettings]


def _provider(
    *,
    kind: str = "openai-compatible",
    auth: Auth = Auth.KEY,
    secrets: tuple[Secret, ...] = (),
    **more: object,
) -> ProviderSettings:
    provider = Provider(
        name="local", kind=kind, protocols=(WireProtocol.CHAT_COMPLETIONS,), auth=auth
    )
    settings = ProviderSettings(provider=provider, base_url="http://local", secrets=secrets)
    return ProviderSettings(
        **{**{name: getattr(settings, name) for name in settings.__struct_fields__}, **more}
    )


def _call(
    url: str,
    *,
    body: bytes = b"{}",
    stream: bool = False,
    provider: ProviderSettings | None = None,
    sent: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    fresh: bool = False,
    **timeouts: float | None,
) -> Call:
    return Call(
        provider=_provider() if provider is None else provider,
        url=url,
        headers=sent,
        body=body,
        stream=stream,
        fresh=fresh,
        timeouts=Timeouts(**timeouts),  # type: ignore[arg-type]  # tests name real phases
    )


def openai(message: str = "words", **fields: object) -> bytes:
    """Return an error body as OpenAI writes it."""
    return msgspec.json.encode({"error": {"message": message, "param": None, **fields}})


def anthropic(kind: str, message: str = "words") -> bytes:
    """Return an error body as Anthropic writes it."""
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


async def until(true: Callable[[], bool]) -> None:
    """Wait until something that happens elsewhere on the loop or the network has happened."""
    while not true():  # noqa: ASYNC110 - sockets give no event to wait for
        await asyncio.sleep(0.005)


async def gone(fake: FakeUpstream) -> None:
    """Wait until a fake upstream has no connection left."""
    await until(lambda: not fake._tasks)


@pytest.fixture
def provider() -> MakeProvider:
    """Make a provider's settings, with the fields that a test is about."""
    return _provider


@pytest.fixture
def call() -> MakeCall:
    """Make a call; keyword arguments besides its own are timeouts by phase."""
    return _call


@pytest.fixture
async def client() -> AsyncIterator[AiohttpUpstream]:
    """Give a client that sees no environment, closed at the end."""
    upstream = AiohttpUpstream({})
    yield upstream
    await upstream.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a token server and a folder of credentials with nobody logged in."""
    http = AiohttpUpstream({})
    async with serving(Authority()) as server:
        world = World(server, tmp_path, http)
        yield world
        await world.close()
        await http.close()
