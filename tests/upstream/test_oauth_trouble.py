import asyncio

import pytest
from support.oauth_world import NOW, World, over, refusal
from support.token_server import Fault, held, provider

from gatewayctl.core.errors import FailureKind, StorageFailed
from gatewayctl.storage.credentials import Credential, Pending, State, Vault

from .conftest import until


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"error": "invalid_grant"}'),
        (503, b""),
        (429, b'{"error": "invalid_grant"}'),
        (408, b""),
        (400, b"<html>invalid_grant</html>"),
        (400, b'{"error": "invalid_request"}'),
        (400, b'{"error": "temporarily_unavailable", "error_description": "invalid_grant"}'),
        (403, b"<html>Just a moment...</html>"),
        (404, b""),
        (302, b""),
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": 7, "refresh_token": null}'),
        (200, b'{"access_token": "two words"}'),
        (200, b'{"access_token": "line\\nbreak"}'),
        (200, b"\xff\xfe"),
        (200, b"[" * 50_000),
        (200, b'{"access_token": "' + b"x" * 100_000 + b'"}'),
    ],
)
async def test_trouble_of_the_token_server_is_not_the_credentials_end(
    world: World, status: int, body: bytes
) -> None:
    """The old token serves while it lives; afterwards it is said; later all is well again."""
    before = world.login(expires_in=200)
    world.authority.always = (status, body)
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    assert oauth.ended(world.settings) is None
    assert "no new token for claude" in (oauth.degraded or "")
    world.clock.passes(201)
    failure = await refusal(oauth, world.settings)
    assert failure.retry_after
    assert "token server" in failure.message
    assert failure.message.startswith("no new token for claude")
    assert world.stored().refresh_token == before.refresh_token
    assert world.stored().state is State.READY
    world.authority.always = None
    world.clock.passes(601)
    assert await oauth.token(world.settings) == world.stored().access_token
    assert oauth.degraded is None


async def test_trouble_does_not_cost_a_token_request_per_call(world: World) -> None:
    """The pauses between two token requests double, up to a minute."""
    world.login(expires_in=0)
    world.authority.always = (500, b"")
    oauth = world.process()
    for _ in range(600):
        await refusal(oauth, world.settings)
        world.clock.passes(1)
    assert 10 <= len(world.authority.requests) <= 16


async def test_a_new_login_need_not_sit_out_the_pause_of_the_old_one(world: World) -> None:
    """Who logs in because something is wrong is served at once, not told the same again."""
    world.login(expires_in=0)
    world.authority.always = (400, b'{"error": "invalid_request"}')
    oauth = world.process()
    for _ in range(40):
        await refusal(oauth, world.settings)
        world.clock.passes(1)
    assert world.stored().pending is None
    world.authority.always = None
    await refusal(oauth, world.settings)
    world.login(expires_in=0)
    world.clock.passes(2)
    assert await oauth.token(world.settings) == world.stored().access_token
    assert oauth.degraded is None


async def test_a_slow_token_server_is_not_waited_for_while_the_old_token_lives(
    world: World,
) -> None:
    """It is given a moment; the renewal goes on, and what it brings is used by whoever comes then.

    Whoever has no token waits for it to the end.
    """
    world.login(expires_in=200)
    oauth = world.process(grace=0.05, patience=300)
    with held(world.server):
        assert await oauth.token(world.settings) == "old"
        assert await oauth.token(world.settings) == "old"
        await until(lambda: bool(world.server.heads))
        world.clock.passes(200)
        waiting = asyncio.ensure_future(oauth.token(world.settings))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert await waiting == world.stored().access_token
    assert len(world.authority.requests) == 1


async def test_after_trouble_nobody_waits_who_has_a_token(world: World) -> None:
    """The next token request is made in the background."""
    world.login(expires_in=200)
    world.server.faults.append(Fault.ERROR)
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    world.clock.passes(2)
    with held(world.server):
        assert await oauth.token(world.settings) == "old"
        await until(lambda: len(world.server.heads) == 2)
    await oauth.close()
    assert await oauth.token(world.settings) == world.stored().access_token != "old"
    assert len(world.authority.requests) == 2


async def test_a_token_servers_wish_to_wait_is_granted_within_bounds(world: World) -> None:
    """Retry-After of a 429 counts, and no more than ten minutes of it."""
    world.login(expires_in=0)
    world.server.faults.append(Fault.LIMITED)
    oauth = world.process()
    failure = await refusal(oauth, world.settings)
    assert (failure.kind, failure.retry_after) == (FailureKind.RATE_LIMITED, 2.0)
    world.clock.passes(1.5)
    assert (await refusal(oauth, world.settings)).retry_after == 0.5
    world.clock.passes(1)
    await oauth.token(world.settings)


async def test_no_redirect_is_followed(world: World) -> None:
    """A refresh token goes where the config says, and nowhere else."""
    world.login(expires_in=0)
    world.server.faults.append(Fault.REDIRECT)
    assert "redirect" in (await refusal(world.process(), world.settings)).message
    assert world.server.elsewhere == 0


async def test_no_token_server_at_all_is_trouble_like_any_other(world: World) -> None:
    """Nobody listens: nothing was sent, so nothing can be lost."""
    world.login(expires_in=0)
    settings = provider("http://127.0.0.1:1/token")
    failure = await refusal(world.process(), settings)
    assert failure.kind is FailureKind.NETWORK
    assert world.stored().pending is None


async def test_a_reply_without_a_refresh_token_keeps_the_old_one(world: World) -> None:
    """Not every provider rotates."""
    before = world.login(expires_in=0)
    world.authority.more = {"refresh_token": None}
    token = await world.process().token(world.settings)
    stored = world.stored()
    assert (stored.access_token, stored.refresh_token) == (token, before.refresh_token)


@pytest.mark.parametrize("told", [None, 0, -1, "soon", True, [], {}, "1e400"])
async def test_a_lifetime_that_is_not_told_is_unknown(world: World, told: object) -> None:
    """The token serves until an upstream refuses it, and costs no request per call."""
    world.login(expires_in=0)
    world.authority.more = {"expires_in": told}
    oauth = world.process()
    for _ in range(3):
        await oauth.token(world.settings)
        world.clock.passes(10_000)
    assert world.stored().expires_at is None
    assert len(world.authority.requests) == 1


@pytest.mark.parametrize(("told", "lives"), [("3600", 3600.0), (1e30, 315_360_000.0), (0.5, 0.5)])
async def test_an_odd_lifetime_is_read_or_bounded(world: World, told: object, lives: float) -> None:
    """As text, as more than a human life, or as less than the margin, whose token still serves."""
    world.login(expires_in=0)
    world.authority.more = {"expires_in": told}
    token = await world.process().token(world.settings)
    assert token == world.stored().access_token
    assert world.stored().expires_at == NOW + lives


async def test_a_token_of_another_type_is_not_sent_but_its_refresh_token_kept(world: World) -> None:
    """The provider has rotated: losing the refresh token over the access token's type kills it."""
    world.login(expires_in=0)
    world.authority.more = {"token_type": "DPoP"}
    failure = await refusal(world.process(), world.settings)
    assert "of the type DPoP, which is not bearer" in failure.message
    assert world.authority.is_living(world.stored().refresh_token)
    assert world.stored().access_token is None


async def test_a_reply_with_a_refresh_token_alone_is_kept(world: World) -> None:
    """The same where there is no access token at all."""
    world.login(expires_in=0)
    world.authority.more = {"access_token": None}
    oauth = world.process()
    await refusal(oauth, world.settings)
    assert world.authority.is_living(world.stored().refresh_token)
    world.authority.more = {}
    world.clock.passes(2)
    await oauth.token(world.settings)


async def test_a_broken_file_is_said_and_what_was_read_before_serves_on(world: World) -> None:
    """It is left as it is, and no token request is made that could not be stored."""
    world.login(expires_in=0)
    oauth = world.process()
    token = await oauth.token(world.settings)
    world.vault.path.write_text("{")
    world.clock.passes(3400)
    assert await oauth.token(world.settings) == token
    assert "damaged and left as it is" in (oauth.degraded or "")
    message = await over(world.process(), world.settings)
    assert "damaged and left as it is" in message
    assert world.vault.path.read_text() == "{"
    assert len(world.authority.requests) == 1


class Full(Vault):
    """A vault on a disk that becomes full, and is emptied again."""

    full = False

    def swap(self, name: str, old: Credential, new: Credential) -> Credential | None:
        """Store where there is room."""
        if self.full:
            raise StorageFailed("no space left")
        return super().swap(name, old, new)


async def test_tokens_that_cannot_be_stored_are_kept_until_they_can(world: World) -> None:
    """They serve meanwhile; nobody else sends the refresh token that is spent."""
    world.login(expires_in=0)
    full = Full(world.vault.path.parent)
    full.full = True
    oauth = world.process(full)
    token = await oauth.token(world.settings)
    assert await oauth.token(world.settings) == token
    assert oauth.degraded == "new tokens of claude cannot be stored"
    assert not await oauth.rejected(world.settings, token)
    assert Vault(full.path.parent).lease("claude") is None
    full.full = False
    await oauth.close()
    assert world.stored().access_token == token
    assert await world.process().token(world.settings) == token
    assert len(world.authority.requests) == 1


async def test_a_reply_that_takes_longer_than_anybody_waits_is_not_lost(world: World) -> None:
    """Whoever asks is told in time, and the request goes on: its refresh token is spent already."""
    world.login(expires_in=0)
    world.server.reply_gate.clear()
    oauth = world.process(patience=0.05)
    failure = await refusal(oauth, world.settings)
    assert failure.kind is FailureKind.TIMEOUT
    assert "has not answered for 0.05 s" in failure.message
    world.clock.passes(31)  # and whoever asks from then on does not wait at all
    assert (await refusal(oauth, world.settings)).kind is FailureKind.TIMEOUT
    world.server.reply_gate.set()
    await until(lambda: all("renewal" not in it.get_name() for it in asyncio.all_tasks()))
    assert await oauth.token(world.settings) == world.stored().access_token
    assert len(world.authority.requests) == 1


async def test_the_end_waits_for_a_token_server_and_not_for_ever(world: World) -> None:
    """A daemon that is told to stop gives a reply its time, and says later what was lost."""
    world.login(expires_in=0)
    oauth = world.process(patience=0.05)
    world.server.reply_gate.clear()
    await refusal(oauth, world.settings)
    await oauth.close()
    world.server.reply_gate.set()
    message = await over(world.process(), world.settings)
    assert "before they were stored" in message


async def test_no_request_is_made_where_its_mark_cannot_be_stored(world: World) -> None:
    """A disk that is full before costs nothing but the time until it is not."""
    world.login(expires_in=100)
    (world.vault.path.parent / "credentials.lock").unlink()
    (world.vault.path.parent / "credentials.lock").mkdir()
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    assert "cannot open the lock" in (oauth.degraded or "")
    assert world.authority.requests == []


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault.loses])
async def test_a_lost_reply_is_said_once_the_credential_turns_out_dead(
    world: World, fault: Fault
) -> None:
    """The provider has rotated and the new token never came: nothing can help but to log in."""
    world.login(expires_in=0)
    world.server.faults.append(fault)
    oauth = world.process()
    await refusal(oauth, world.settings)
    assert world.stored().state is State.READY
    world.clock.passes(5)
    message = await over(oauth, world.settings)
    assert "most likely because at 2027-01-15 08:00:00 UTC the reply" in message
    assert "got lost" in message
    assert "gatewayctl auth login claude" in message


@pytest.mark.parametrize("fault", [fault for fault in Fault if not fault.loses])
async def test_a_fault_that_loses_nothing_leaves_a_credential_that_works(
    world: World, fault: Fault
) -> None:
    """Whatever it looked like from here."""
    world.login(expires_in=0)
    world.server.faults.append(fault)
    oauth = world.process()
    await refusal(oauth, world.settings)
    world.clock.passes(5)
    await oauth.token(world.settings)
    assert world.stored().pending is None


async def test_an_old_mark_outlives_requests_that_say_nothing(world: World) -> None:
    """What a kill lost is said when it comes out, whatever troubles came in between."""
    before = world.login(expires_in=0)
    world.vault.amend("claude", before, pending=Pending(at=NOW - 60))
    world.authority.spend(before.refresh_token)
    world.server.faults += [Fault.ERROR, Fault.LIMITED, Fault.DROPPED]
    oauth = world.process()
    for _ in range(3):
        await refusal(oauth, world.settings)
        world.clock.passes(60)
    message = await over(oauth, world.settings)
    assert "gatewayctl was killed after it had asked for new tokens" in message
    assert "2027-01-15 07:59:00 UTC" in message
