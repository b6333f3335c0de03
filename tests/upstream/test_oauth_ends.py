import asyncio
import json
import logging

import msgspec
import pytest
from multidict import CIMultiDict
from support.oauth_world import NOW, World, over, refusal
from support.token_server import provider

from gatewayctl.config.settings import OAuthSettings
from gatewayctl.core.errors import Failure, UpstreamFailed
from gatewayctl.core.model import WireProtocol
from gatewayctl.storage.credentials import Credential, Origin, State
from gatewayctl.upstream.failures import classify
from gatewayctl.upstream.oauth import is_terminal


@pytest.mark.parametrize(
    "code",
    [
        "app_session_terminated",
        "invalid_grant",
        "invalid_refresh_token",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
    ],
)
@pytest.mark.parametrize("form", ["{c}", '{{"code": {c}}}', '{{"type": {c}, "message": "m"}}'])
async def test_terminal_codes_end_a_credential(world: World, code: str, form: str) -> None:
    """In whatever form they come; what is to be done is said, and nobody asks again."""
    world.login(expires_in=-1)
    body = '{"error": ' + form.format(c=json.dumps(code)) + "}"
    world.authority.always = (400, body.encode())
    oauth = world.process()
    message = await over(oauth, world.settings)
    assert code in message
    assert "gatewayctl auth login claude" in message
    assert world.stored().state is State.TERMINAL
    assert await over(oauth, world.settings) == message
    assert await over(world.process(), world.settings) == message
    assert len(world.authority.requests) == 1


async def test_a_refused_token_is_cleared_and_renewed_once(world: World) -> None:
    """401: the access token alone goes, and all who had it get the next one."""
    before = world.login()
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    assert await oauth.rejected(world.settings, "old")
    assert world.stored().refresh_token == before.refresh_token
    new = await oauth.token(world.settings)
    assert new == world.stored().access_token != "old"
    assert await oauth.rejected(world.settings, "old")
    assert await oauth.token(world.settings) == new
    assert len(world.authority.requests) == 1


async def test_fifty_refusals_of_one_token_are_one(world: World) -> None:
    """Calls that went out together come back together: it is renewed once, however often."""
    world.login()
    oauth = world.process()
    for round_ in range(1, 9):
        token = await oauth.token(world.settings)
        renewed = await asyncio.gather(*(oauth.rejected(world.settings, token) for _ in range(50)))
        assert all(renewed)
        got = await asyncio.gather(*(oauth.token(world.settings) for _ in range(50)))
        assert len(set(got)) == 1
        assert len(world.authority.requests) == round_


async def test_a_refusal_of_another_processes_token_finds_the_newer_one(world: World) -> None:
    """A process that has not yet seen the new token is told of it, and clears nothing."""
    world.login()
    slow, quick = world.process(), world.process()
    assert await slow.token(world.settings) == "old"
    await quick.rejected(world.settings, "old")
    new = await quick.token(world.settings)
    assert await slow.rejected(world.settings, "old")
    assert await slow.token(world.settings) == new
    assert len(world.authority.requests) == 1


async def test_an_upstream_that_refuses_everything_does_not_cost_a_request_per_call(
    world: World,
) -> None:
    """After some in a row the refusal is the upstream's, and the client gets it."""
    world.login()
    oauth = world.process()
    renewed = 0
    for _ in range(50):
        renewed += await oauth.rejected(world.settings, await oauth.token(world.settings))
        world.clock.passes(1)
    assert renewed == len(world.authority.requests) == 10
    world.clock.passes(300)
    assert await oauth.rejected(world.settings, await oauth.token(world.settings))


async def test_a_wrong_client_id_says_where_it_stands(world: World) -> None:
    """A refusal of the client is one of the config first."""
    settings = provider(
        world.server.url, oauth=OAuthSettings(token_url=world.server.url, client_id="x")
    )
    world.login(expires_in=0)
    message = await over(world.process(), settings)
    assert "check client_id in providers.claude.oauth" in message


async def test_a_long_lived_token_ends_with_its_expiry(world: World) -> None:
    """There is nothing to refresh it with: refreshing is refused, and both say what to do."""
    world.vault.put(
        "claude",
        Credential(access_token="long", expires_at=NOW + 100, origin=Origin.TOKEN),
    )
    oauth = world.process()
    assert await oauth.token(world.settings) == "long"
    with pytest.raises(UpstreamFailed, match="cannot be refreshed, since no refresh token"):
        await oauth.refresh(world.settings)
    assert not await oauth.rejected(world.settings, "long")
    assert "gatewayctl auth import claude --token" in oauth.remedy(world.settings)
    assert await oauth.token(world.settings) == "long"
    world.clock.passes(100)
    message = await over(oauth, world.settings)
    assert "has expired" in message
    assert "gatewayctl auth import claude --token" in message
    world.clock.wall -= 50  # a clock that was wrong does not cost the token
    assert await oauth.token(world.settings) == "long"
    assert world.authority.requests == []


UPSTREAM = {
    "disabled": (400, "invalid_request_error", "This organization has been disabled."),
    "not allowed": (
        403,
        "permission_error",
        "OAuth authentication is currently not allowed for this organization.",
    ),
}


def classified(status: int, kind: str, words: str) -> Failure:
    """Return what the client makes of an error of Anthropic's."""
    body = {"type": "error", "error": {"type": kind, "message": words}}
    return classify(WireProtocol.MESSAGES, status, CIMultiDict(), msgspec.json.encode(body))


@pytest.mark.parametrize("told", UPSTREAM.values(), ids=UPSTREAM)
async def test_an_upstream_can_end_a_credential(world: World, told: tuple[int, str, str]) -> None:
    """Two refusals mean that nothing more is to be had with it, which is kept and said."""
    failure = classified(*told)
    assert is_terminal(failure)
    world.login()
    oauth = world.process()
    await oauth.terminal(world.settings, "another", failure)
    assert await oauth.token(world.settings) == "old"
    await oauth.terminal(world.settings, "old", failure)
    message = await over(oauth, world.settings)
    assert "the provider refuses the credential of claude" in message
    assert "gatewayctl auth login claude" in message
    assert await over(world.process(), world.settings) == message


async def test_an_imported_token_that_an_upstream_ends_is_to_be_imported_anew(
    world: World,
) -> None:
    """There was no login to repeat."""
    world.vault.put("claude", Credential(access_token="long", origin=Origin.TOKEN))
    oauth = world.process()
    await oauth.terminal(world.settings, "long", classified(*UPSTREAM["disabled"]))
    assert "gatewayctl auth import claude --token" in await over(oauth, world.settings)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, "invalid_request_error", "This organization has been disabled."),
        (400, "authentication_error", "This organization has been disabled."),
        (400, "invalid_request_error", 'messages.0: "This organization has been disabled" is odd'),
        (403, "permission_error", "Your key does not have permission"),
        (500, "api_error", "OAuth authentication is currently not allowed"),
        (429, "permission_error", "OAuth authentication is currently not allowed"),
    ],
)
def test_other_refusals_end_nothing(status: int, kind: str, words: str) -> None:
    """Neither another status or type, nor a prompt that says the same."""
    assert not is_terminal(classified(status, kind, words))


async def test_without_endpoints_a_token_serves_and_then_says_what_is_missing(
    world: World,
) -> None:
    """The config can lose what a credential needs to be refreshed."""
    settings = provider(world.server.url, oauth=None)
    world.login(expires_in=100)
    oauth = world.process()
    assert await oauth.token(settings) == "old"
    world.clock.passes(101)
    assert "providers.claude.oauth needs token_url" in await over(oauth, settings)


async def test_no_token_is_in_any_log_or_message(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even one that the token server quotes."""
    caplog.set_level(logging.DEBUG)
    before = world.login(expires_in=0)
    token = before.refresh_token or ""
    told = {"error": "invalid_request", "error_description": f"bad token {token}"}
    world.authority.always = (400, json.dumps(told).encode())
    oauth = world.process()
    said = [(await refusal(oauth, world.settings)).message]
    world.authority.always = None
    world.clock.passes(2)
    new = await oauth.token(world.settings)
    told = {"error": "invalid_grant", "error_description": f"{world.stored().refresh_token}?"}
    world.authority.always = (400, json.dumps(told).encode())
    await oauth.rejected(world.settings, new)
    said.append(await over(oauth, world.settings))
    everything = "\n".join([caplog.text, *said, repr(oauth.__dict__)])
    assert "credential_refreshed provider=claude credential=" in caplog.text
    assert "from=ready to=terminal reason=invalid_grant" in caplog.text
    stored = world.stored()
    for secret in (token, stored.refresh_token, new):
        assert secret
        assert secret not in everything
