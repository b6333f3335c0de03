"""Who is asked for a count, what makes two questions the same, and which answers are believed."""

import pytest
from multidict import CIMultiDict
from support.gateway import settings_of
from support.upstream import FakeUpstream, Fin, sized

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import FailureKind, UpstreamFailed
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.messages import counting as messages
from gatewayctl.upstream.client import AiohttpUpstream
from gatewayctl.upstream.counting import Ask, allowed, count, counts, native
from gatewayctl.upstream.credentials import Credentials

SECRET = bytes(16)


def provider(more: str = "", kind: str = "anthropic", base_url: str = "") -> ProviderSettings:
    """Return a provider's settings."""
    where = base_url or "http://127.0.0.1:9"
    text = f'[providers.up]\nkind = "{kind}"\nbase_url = "{where}"\n{more}'
    return settings_of(text).providers["up"]


def asking(settings: ProviderSettings, body: bytes = b"{}", **client: str) -> Ask:
    """Return a question."""
    return Ask(
        provider=settings,
        protocol=WireProtocol.MESSAGES,
        url=f"{settings.base_url}{messages.PATH}",
        body=body,
        client=CIMultiDict({name.replace("_", "-"): value for name, value in client.items()}),
        read=messages.tokens,
    )


@pytest.mark.parametrize(
    ("kind", "protocol", "own"),
    [
        ("anthropic", WireProtocol.MESSAGES, True),
        ("anthropic", WireProtocol.GEMINI, False),
        ("gemini", WireProtocol.GEMINI, True),
        ("gemini", WireProtocol.MESSAGES, False),
        ("vllm", WireProtocol.MESSAGES, False),
        ("anthropic-compatible", WireProtocol.MESSAGES, False),
    ],
)
def test_a_counter_is_its_kinds(kind: str, protocol: WireProtocol, *, own: bool) -> None:
    """Only where the vendor documents one."""
    assert counts(provider(kind=kind), protocol) is own


def test_googles_native_address_is_above_its_compatible_one() -> None:
    """A name's odd characters are escaped, so that nothing is added to the path."""
    for base in ("http://g/v1beta/openai", "http://g/v1beta"):
        found = native(provider(kind="gemini", base_url=base), "a b?c#d/e")
        assert found == "http://g/v1beta/models/a%20b%3Fc%23d/e:countTokens"


def test_a_credential_counts_for_whom_it_serves() -> None:
    """By the client's name; with forwarding, by whether there is anything to forward."""
    kept = provider('api_key = "sk-x"\nclients = ["claude*"]')
    assert allowed(kept, CIMultiDict({"User-Agent": "Claude/2"}))
    assert not allowed(kept, CIMultiDict({"User-Agent": "other"}))
    forwarding = provider('auth = "forward"')
    assert allowed(forwarding, CIMultiDict({"X-Api-Key": "sk"}))
    assert not allowed(forwarding, CIMultiDict({"User-Agent": "claude"}))


def test_questions_are_the_same_where_their_answers_are() -> None:
    """Body, address, betas and the client's own credential tell them apart, nothing else does."""
    kept = provider('api_key = "sk-x"')
    first = asking(kept, user_agent="a", x_trace="1").digest(SECRET)
    assert asking(kept, user_agent="b", x_api_key="sk-ignored").digest(SECRET) == first
    others = [
        asking(kept, b'{"model":"m"}'),
        asking(kept, anthropic_beta="context-1m-2025-08-07"),
        asking(provider('api_key = "sk-x"', base_url="http://127.0.0.1:10")),
    ]
    forwarding = provider('auth = "forward"')
    others += [asking(forwarding, x_api_key=f"sk-{number}") for number in range(2)]
    digests = {ask.digest(SECRET) for ask in others}
    assert len(digests) == len(others)
    assert first not in digests
    assert asking(kept).digest(b"another") != first


async def failure(ask: Ask) -> UpstreamFailed:
    """Return how a count fails."""
    upstream = AiohttpUpstream({})
    try:
        with pytest.raises(UpstreamFailed) as failed:
            await count(ask, upstream, Credentials({}))
        return failed.value
    finally:
        await upstream.close()


async def test_a_count_is_believed_however_small_the_body_is() -> None:
    """A tool of the provider's own, or a file named by its id, costs what only it knows."""
    async with FakeUpstream([sized(b'{"input_tokens":81234}')]) as fake:
        ask = asking(provider('auth = "none"', base_url=fake.base_url))
        upstream = AiohttpUpstream({})
        assert await count(ask, upstream, Credentials({})) == 81234
        await upstream.close()


async def test_a_count_beyond_any_window_is_a_failure() -> None:
    """It would be a number that clients cannot hold."""
    async with FakeUpstream([sized(b'{"input_tokens":1000000001}')]) as fake:
        ask = asking(provider('auth = "none"', base_url=fake.base_url))
        assert (await failure(ask)).failure.kind is FailureKind.BAD_RESPONSE


async def test_a_credential_that_cannot_be_had_is_a_failure() -> None:
    """Nothing is sent then."""
    async with FakeUpstream([sized(b'{"input_tokens":1}')]) as fake:
        ask = asking(provider('api_key = { env = "NO_SUCH" }', base_url=fake.base_url))
        assert (await failure(ask)).failure.kind is FailureKind.AUTH
        assert not fake.requests


async def test_an_upstream_that_hangs_up_is_a_failure() -> None:
    """Whatever goes wrong below HTTP leaves as the one exception."""
    async with FakeUpstream([[Fin()]]) as fake:
        ask = asking(provider('auth = "none"', base_url=fake.base_url))
        assert (await failure(ask)).failure.kind is FailureKind.NETWORK
