import asyncio
import logging

import msgspec
import pytest
from support.oauth_world import NOW, World, over
from support.token_server import held, provider

from gatewayctl.config.settings import TokenEncoding
from gatewayctl.core.errors import UpstreamFailed
from gatewayctl.storage.credentials import Credential, Origin, State

from .conftest import until


@pytest.mark.parametrize(("left", "requests"), [(301.0, 0), (300.0, 1), (299.0, 1), (-5.0, 1)])
async def test_a_token_is_fresh_until_five_minutes_before_its_end(
    world: World, left: float, requests: int
) -> None:
    """It is renewed from exactly then on, and before nobody is asked."""
    world.login(expires_in=left)
    token = await world.process().token(world.settings)
    assert len(world.authority.requests) == requests
    assert (token == "old") == (requests == 0)


async def test_a_token_that_never_is_fresh_serves_for_half_of_its_life(world: World) -> None:
    """A server whose tokens live for five minutes is not asked for another with each call."""
    world.login(expires_in=0)
    world.authority.lifetime = 300.0
    first, second = world.process(), world.process()
    for _ in range(3):
        for each in (first, second):
            assert await each.token(world.settings) == world.stored().access_token
        world.clock.passes(50)
    assert len(world.authority.requests) == 1
    await first.token(world.settings)
    assert len(world.authority.requests) == 2


async def test_new_tokens_are_stored_with_what_came_along(world: World) -> None:
    """The rotated refresh token, the expiry from the request on, and whose account it is."""
    before = world.login(expires_in=0)
    world.authority.more = {
        "account": {"email_address": "me@example.org"},
        "organization": {"name": "Us", "organization_type": "claude_max"},
        "scope": "one three",
        "something_else": [1],
    }
    token = await world.process().token(world.settings)
    stored = world.stored()
    assert stored.access_token == token
    assert stored.refresh_token != before.refresh_token
    assert world.authority.is_living(stored.refresh_token)
    assert stored.expires_at == NOW + 3600
    assert stored.scopes == ("one", "three")
    assert (stored.account.who, stored.account.plan) == ("me@example.org", "claude_max")
    assert (stored.obtained_at, stored.pending) == (NOW, None)


async def test_renewed_tokens_stay_those_of_their_login(world: World) -> None:
    """Where they came from is still known, and what was learned of the credential holds."""
    taken = msgspec.structs.replace(
        world.login(expires_in=0), origin=Origin.IMPORT, imported="mark"
    )
    before, oauth = world.vault.put("claude", taken), world.process()
    identity = oauth.identity(world.settings)
    await oauth.token(world.settings)
    stored = world.stored()
    assert stored.generation > before.generation
    assert (stored.origin, stored.imported, stored.login) == (
        Origin.IMPORT,
        "mark",
        before.login,
    )
    assert oauth.identity(world.settings) == identity


async def test_a_new_login_is_used_though_another_process_still_renews_the_old_one(
    world: World,
) -> None:
    """Its token server may hang for minutes: who waits for its lease need not."""
    world.login(expires_in=0)
    lease = world.vault.lease("claude")
    assert lease is not None
    oauth = world.process()
    async with asyncio.timeout(5):
        waiting = asyncio.ensure_future(oauth.token(world.settings))
        await asyncio.sleep(0)
        world.login(access="new")
        assert await waiting == "new"
    lease.release()


async def test_the_end_waits_for_no_other_process(world: World) -> None:
    """What that one asked for is its own to store."""
    world.login(expires_in=0)
    lease = world.vault.lease("claude")
    assert lease is not None
    oauth = world.process()
    waiting = asyncio.ensure_future(oauth.token(world.settings))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await oauth.close()
    with pytest.raises(UpstreamFailed, match="another process"):
        await waiting
    lease.release()


async def test_what_another_process_renewed_and_an_upstream_ended_is_over(world: World) -> None:
    """A token that still lives is none that may be used."""
    world.login(expires_in=0)
    oauth = world.process()
    assert oauth.ended(world.settings) is None
    new = world.login(access="new")
    world.vault.amend("claude", new, state=State.TERMINAL, message="it is over")
    with pytest.raises(UpstreamFailed, match="it is over"):
        await oauth.token(world.settings)
    assert world.authority.requests == []


@pytest.mark.parametrize("encoding", list(TokenEncoding))
async def test_token_requests_are_written_as_the_config_says(
    world: World, encoding: TokenEncoding
) -> None:
    """As JSON or as a form, under our own name, with what the standard demands and no more."""
    settings = provider(world.server.url, encoding=encoding)
    before = world.login(expires_in=0)
    await world.process().token(settings)
    assert world.authority.requests == [before.refresh_token]
    (head,) = world.server.heads
    head = {name.lower(): value for name, value in head.items()}
    kind = "json" if encoding is TokenEncoding.JSON else "x-www-form-urlencoded"
    assert head["content-type"] == f"application/{kind}"
    assert head["user-agent"].startswith("gatewayctl/")
    assert "authorization" not in head


async def test_ten_at_once_make_one_token_request(world: World) -> None:
    """All who come while it is under way get what it brings."""
    world.login(access=None, expires_in=None)
    oauth = world.process()
    with held(world.server):
        waiting = [asyncio.ensure_future(oauth.token(world.settings)) for _ in range(10)]
        await until(lambda: bool(world.server.heads))
    assert set(await asyncio.gather(*waiting)) == {world.stored().access_token}
    assert len(world.authority.requests) == 1


async def test_a_rejection_reaches_everybody_who_waits(world: World) -> None:
    """Ten that wait for a credential that is over are told so, all ten, after one request."""
    world.login(expires_in=0)
    world.authority.login()
    world.vault.put("claude", Credential(refresh_token="never-issued"))
    oauth = world.process()
    with held(world.server):
        waiting = [asyncio.ensure_future(oauth.token(world.settings)) for _ in range(10)]
        await until(lambda: bool(world.server.heads))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, UpstreamFailed) for each in told)
    assert len({str(each) for each in told}) == 1
    assert world.authority.requests == ["never-issued"]


async def test_a_waiter_that_leaves_takes_nothing_from_the_others(world: World) -> None:
    """Cancelling the first who asked, who began the renewal, leaves it to the second."""
    world.login(expires_in=0)
    oauth = world.process()
    with held(world.server):
        first, second = (asyncio.ensure_future(oauth.token(world.settings)) for _ in range(2))
        await until(lambda: bool(world.server.heads))
        first.cancel()
        await asyncio.sleep(0)
    assert await second == world.stored().access_token
    assert first.cancelled()


async def test_a_renewal_nobody_waits_for_is_stored_nevertheless(world: World) -> None:
    """The provider has rotated the token by then: whoever left, it must not get lost."""
    world.login(expires_in=0)
    oauth = world.process()
    with held(world.server):
        alone = asyncio.ensure_future(oauth.token(world.settings))
        await until(lambda: bool(world.server.heads))
        alone.cancel()
        await asyncio.sleep(0)
    await oauth.close()
    assert world.authority.is_living(world.stored().refresh_token)


async def test_two_processes_make_one_token_request(world: World) -> None:
    """The second waits for the first's lease, and takes what that has stored."""
    world.login(expires_in=0)
    first, second = world.process(), world.process()
    with held(world.server):
        waiting = [asyncio.ensure_future(each.token(world.settings)) for each in (first, second)]
        await until(lambda: bool(world.server.heads))
        await asyncio.sleep(0.2)
    assert len(set(await asyncio.gather(*waiting))) == 1
    assert len(world.authority.requests) == 1


async def test_a_refresh_by_another_is_used_and_kills_nothing_sub2api_1035(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A concurrent refresh does not kill a credential: after invalid_grant theirs is used.

    Here somebody who respects no lease replaces the refresh token while ours is on its way.
    """
    caplog.set_level(logging.INFO)
    before = world.login(expires_in=0)
    oauth = world.process()
    with held(world.server):
        waiting = asyncio.ensure_future(oauth.token(world.settings))
        await until(lambda: bool(world.server.heads))
        theirs = world.vault.put(
            "claude",
            Credential(
                access_token="theirs", refresh_token=world.authority.login(), expires_at=NOW + 3600
            ),
        )
        world.authority.spend(before.refresh_token)
    assert await waiting == "theirs"
    assert world.stored() == theirs
    assert world.stored().state is State.READY
    assert "credential_race_recovered provider=claude" in caplog.text


async def test_nothing_is_asked_where_nobody_is_logged_in(world: World) -> None:
    """It is said what to do."""
    oauth = world.process()
    message = await over(oauth, world.settings)
    assert message == (
        "there is no credential for claude: log in again with `gatewayctl auth login claude`"
    )
    assert not await oauth.rejected(world.settings, "any")
    assert world.authority.requests == []


async def test_what_to_do_is_what_the_config_makes_possible(world: World) -> None:
    """Without a login page it is another way."""
    known = msgspec.structs.replace(world.settings.provider, key_hint="import a token")
    settings = msgspec.structs.replace(world.settings, provider=known)
    message = await over(world.process(), settings)
    assert message == "there is no credential for claude: import a token"


async def test_a_login_of_another_process_is_seen_within_a_second(world: World) -> None:
    """And so are a logout, and a login after the credential was over."""
    oauth = world.process()
    await over(oauth, world.settings)
    world.login()
    world.clock.passes(1)
    assert oauth.ended(world.settings) is None
    assert await oauth.token(world.settings) == "old"
    world.vault.remove("claude")
    world.clock.passes(1)
    await over(oauth, world.settings)


async def test_a_logout_is_not_undone_by_a_renewal_under_way(world: World) -> None:
    """What comes of it is of nobody any more."""
    world.login(expires_in=0)
    oauth = world.process()
    with held(world.server):
        waiting = asyncio.ensure_future(oauth.token(world.settings))
        await until(lambda: bool(world.server.heads))
        world.vault.remove("claude")
    with pytest.raises(UpstreamFailed, match="there is no credential"):
        await waiting
    assert world.vault.get("claude") is None


async def test_a_login_wins_over_a_renewal_under_way(world: World) -> None:
    """The newer login stays, whatever the older one's renewal brings."""
    world.login(expires_in=0)
    oauth = world.process()
    with held(world.server):
        waiting = asyncio.ensure_future(oauth.token(world.settings))
        await until(lambda: bool(world.server.heads))
        newer = world.login(access="newer")
    assert await waiting == "newer"
    assert world.stored() == newer


async def test_a_refresh_on_demand_renews_what_is_fresh(world: World) -> None:
    """``auth refresh`` means it."""
    world.login()
    credential = await world.process().refresh(world.settings)
    assert credential == world.stored()
    assert len(world.authority.requests) == 1


async def test_a_clock_that_is_set_back_does_not_make_a_token_live_for_ever(world: World) -> None:
    """It is renewed when its time is over by the clock that cannot be set."""
    world.login()
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    world.clock.wall -= 200.0
    world.clock.monotonic += 3400.0
    assert await oauth.token(world.settings) != "old"


async def test_a_token_from_the_future_is_renewed_once(world: World) -> None:
    """It was stored while the clock was wrong, so that its expiry is, too."""
    world.login()
    world.clock.wall -= 86_400.0
    oauth = world.process()
    assert await oauth.token(world.settings) != "old"
    await oauth.token(world.settings)
    assert len(world.authority.requests) == 1


async def test_a_machine_that_slept_does_not_send_what_expired_meanwhile(world: World) -> None:
    """The monotonic clock may have stood still."""
    world.login()
    oauth = world.process()
    assert await oauth.token(world.settings) == "old"
    world.clock.wall += 3600.0
    world.clock.monotonic += 1.0
    assert await oauth.token(world.settings) != "old"
