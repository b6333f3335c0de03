"""Logins at an OAuth server that nobody here wrote, by the command line as people run it."""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.authorization import AuthorizationServer, authorization_server
from support.daemon import environment
from support.logins import Person, followed, login, redirected
from support.processes import free_port

from gatewayctl.cli import tokens

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def _person(home: Path, server: AuthorizationServer, **more: str) -> Person:
    person = Person(home=home)
    person.config.write_text(server.config("team", **more), encoding="utf-8")
    return person


@pytest.mark.parametrize("encoding", ["json", "form"])
async def test_a_login_is_caught_on_loopback(tmp_path: Path, encoding: str) -> None:
    """The browser comes back by itself; the tokens are stored privately, and printed nowhere."""
    async with authorization_server(encoding=encoding) as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            status, page = await followed(waiting.page)
            ended = await waiting.ended()
    assert (status, ended.status, ended.stderr) == (200, 0, "")
    assert "You are logged in to team." in page
    assert "This page may be closed." in page
    assert "logged in to team, until " in ended.stdout
    access, refresh = person.tokens()
    assert access in server.shelves.access
    assert refresh in server.shelves.refresh
    assert person.stored.stat().st_mode & 0o777 == 0o600
    told = page + ended.stdout + ended.stderr
    assert not [secret for secret in (access, refresh) if secret in told]


async def test_the_login_page_is_asked_with_a_fresh_challenge_each_time(tmp_path: Path) -> None:
    """PKCE with S256 over 32 random bytes, a state of as many, and what the config adds."""
    async with authorization_server() as server:
        person = _person(tmp_path, server, extra='{ audience = "x y" }')
        for _ in range(2):
            async with login(person, "--no-browser") as waiting:
                await followed(waiting.page)
                assert (await waiting.ended()).status == 0
    for shown, asked in zip(server.shown, server.requests, strict=True):
        assert shown["code_challenge_method"] == "S256"
        assert len(shown["state"]) == len(shown["code_challenge"]) == 43
        assert (shown["tenant"], shown["audience"]) == ("t1", "x y")
        assert shown["scope"] == "models profile"
        assert len(asked["code_verifier"]) == 43
        assert asked["redirect_uri"] == shown["redirect_uri"]
        assert asked["grant_type"] == "authorization_code"
    first, second = server.shown
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


async def test_an_answer_can_be_pasted(tmp_path: Path) -> None:
    """A browser on another machine ends at a page that does not load: its query is enough."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            waiting.paste("")
            waiting.paste("http://127.0.0.1/what/is/this")
            waiting.paste(f'  "{urlsplit(await redirected(waiting.page)).query}" ')
            ended = await waiting.ended()
    assert ended.status == 0
    assert ended.stdout.count("there is no ?code=…&state=… in it") == 1
    assert person.tokens()[0] in server.shelves.access


async def test_a_browser_is_opened_where_there_is_one(tmp_path: Path) -> None:
    """The command of $BROWSER gets the login page, and the login needs nothing else."""
    opener = tmp_path / "opener.py"
    opener.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, BROWSER=f"{sys.executable} {opener} %s") as waiting:
            ended = await waiting.ended()
    assert (ended.status, ended.stderr) == (0, "")
    assert person.tokens()[0] in server.shelves.access


async def test_a_registered_address_is_come_back_to(tmp_path: Path) -> None:
    """redirect_uri in the config is told to the page to the letter, and its port listened on."""
    address = f"http://localhost:{free_port()}/auth/callback"
    async with authorization_server(redirect=address) as server:
        person = _person(tmp_path, server, extra=f'{{ redirect_uri = "{address}" }}')
        async with login(person, "--no-browser") as waiting:
            status, _ = await followed(waiting.page)
            ended = await waiting.ended()
    assert (status, ended.status) == (200, 0)
    assert server.shown[0]["redirect_uri"] == address


async def test_a_page_that_shows_the_code_is_pasted_from(tmp_path: Path) -> None:
    """Where the login ends on somebody else's page, nothing is listened for."""
    address = "https://login.example/done"
    async with authorization_server(redirect=address) as server:
        person = _person(tmp_path, server, extra=f'{{ redirect_uri = "{address}" }}')
        async with login(person, "--no-browser") as waiting:
            waiting.paste(await redirected(waiting.page))
            ended = await waiting.ended()
        async with login(person, "--no-browser") as waiting:
            waiting.close()
            given_up = await waiting.ended()
    assert ended.status == 0
    assert "Waiting for the browser" not in ended.stdout
    assert given_up.status == 1
    assert "no answer was pasted" in given_up.stderr


async def test_a_login_that_is_declined_is_said_plainly(tmp_path: Path) -> None:
    """error=access_denied ends the login, for the browser and for the command."""
    async with authorization_server() as server:
        server.declines = True
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            status, page = await followed(waiting.page)
            ended = await waiting.ended()
    assert (status, ended.status) == (400, 1)
    assert "the login was declined (access_denied" in page
    assert "gatewayctl: the login was declined (access_denied" in ended.stderr
    assert not person.stored.exists()


async def test_an_answer_to_another_login_changes_nothing(tmp_path: Path) -> None:
    """Its state is not this login's: nobody exchanges its code, and the login waits on."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            address = await redirected(waiting.page)
            state = parse_qs(urlsplit(address).query)["state"][0]
            forged = address.replace(state, "x" * 43)
            waiting.paste(forged)
            for _ in range(2):
                assert (await followed(forged))[0] == 400
            assert server.requests == []
            assert (await followed(address))[0] == 200
            ended = await waiting.ended()
    assert ended.status == 0
    assert ended.stdout.count("A browser came back without the answer: it belongs to another") == 1
    assert ended.stdout.count("That is no answer: it belongs to another login") == 1
    assert len(server.requests) == 1


async def test_an_answer_counts_once(tmp_path: Path) -> None:
    """A callback that is replayed is told so, and costs no second token request."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        server.answers.clear()
        async with login(person, "--no-browser") as waiting:
            address = await redirected(waiting.page)
            first = asyncio.create_task(followed(address))
            async with asyncio.timeout(10):
                await server.asked.wait()
            again, page = await followed(address)
            server.answers.set()
            status, _ = await first
            ended = await waiting.ended()
    assert (again, status, ended.status) == (409, 200, 0)
    assert "answered before" in page
    assert len(server.requests) == 1


async def test_other_requests_to_the_port_change_nothing(tmp_path: Path) -> None:
    """A page of another path, or without an answer, is refused while the login waits on."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            address = await redirected(waiting.page)
            empty = address.partition("?")[0]
            assert (await followed(f"{empty}/favicon.ico"))[0] == 404
            assert (await followed(f"{empty}?state=x"))[0] == 400
            assert (await followed(f"{address}&code=second"))[0] == 400
            assert (await followed(address))[0] == 200
            assert (await waiting.ended()).status == 0


async def test_a_code_that_the_token_server_refuses_is_told_everywhere(tmp_path: Path) -> None:
    """The page and the command say what the token server said, and nothing is stored."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            address = await redirected(waiting.page)
            server.shelves.codes.clear()
            status, page = await followed(address)
            ended = await waiting.ended()
    assert (status, ended.status) == (502, 1)
    assert "The login failed: the token server refused the login: invalid_grant" in page
    assert "the token server refused the login: invalid_grant" in ended.stderr
    assert not person.stored.exists()


async def test_nobody_coming_back_in_time_has_a_status_of_its_own(tmp_path: Path) -> None:
    """The wait ends; the state is worth nothing from then on."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser", "--timeout", "500ms") as waiting:
            ended = await waiting.ended()
    assert (ended.status, person.stored.exists()) == (3, False)
    assert "nobody logged in within 0.5 s; nothing was stored" in ended.stderr


async def test_ctrl_c_ends_a_login_in_a_sentence(tmp_path: Path) -> None:
    """No traceback, the usual status, and nothing stored."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            waiting.process.send_signal(signal.SIGINT)
            ended = await waiting.ended()
    assert (ended.status, person.stored.exists()) == (130, False)
    assert ended.stderr == "gatewayctl: the login was interrupted; nothing was stored\n"


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Nobody else gets the code: the login does not begin."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            ended = await person.auth("login", "team", "--port", port)
    assert (ended.status, ended.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in ended.stderr


async def test_tokens_are_rotated_and_removed(tmp_path: Path) -> None:
    """A refresh replaces both tokens at the server and here; a good one is left, unless forced."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            await followed(waiting.page)
            assert (await waiting.ended()).status == 0
        before = person.tokens()
        kept = await person.auth("refresh", "team")
        assert (kept.status, person.tokens()) == (0, before)
        assert "--force asks for another" in kept.stdout
        forced = await person.auth("refresh", "team", "--force")
        after = person.tokens()
        assert (forced.status, forced.stderr) == (0, "")
        assert set(before).isdisjoint(after)
        assert server.shelves.refresh == {after[1]}
        assert not [token for token in (*before, *after) if token in forced.stdout]
        gone = await person.auth("logout", "team")
        assert (gone.status, (await person.auth("logout", "team")).status) == (0, 1)
        assert before[0] not in person.stored.read_text()
        assert after[0] not in person.stored.read_text()


async def test_a_refresh_that_is_told_to_end_stores_what_the_server_answers(tmp_path: Path) -> None:
    """The old refresh token is spent by then: to leave at once would cost the login."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            await followed(waiting.page)
            assert (await waiting.ended()).status == 0
        before = person.tokens()
        server.asked.clear()
        server.answers.clear()
        asking = await asyncio.create_subprocess_exec(
            *person.command("refresh", "team", "--force"),
            stderr=PIPE,
            env=environment(person.home),
        )
        async with asyncio.timeout(10):
            await server.asked.wait()
        asking.send_signal(signal.SIGTERM)
        assert asking.stderr is not None
        assert b"waiting for the token server's answer" in await asking.stderr.readline()
        server.answers.set()
        await asking.communicate()
        assert asking.returncode == 128 + signal.SIGTERM
        assert set(before).isdisjoint(person.tokens())
        assert server.shelves.refresh == {person.tokens()[1]}


@pytest.mark.parametrize("ignored", [False, True], ids=["usual", "nohup"])
async def test_a_terminal_that_is_closed_tells_a_refresh_to_end(*, ignored: bool) -> None:
    """As SIGTERM does, unless whoever started it wants it to outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else lambda *_: None)
    try:
        with tokens._told_to_end() as came:
            assert (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN) is ignored
            if not ignored:
                signal.raise_signal(signal.SIGHUP)
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(10)
        assert came == ([] if ignored else [signal.SIGHUP])
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_credential_that_the_server_ended_says_what_to_do(tmp_path: Path) -> None:
    """invalid_grant is for good: the command, the list and the next refresh all say so."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        async with login(person, "--no-browser") as waiting:
            await followed(waiting.page)
            assert (await waiting.ended()).status == 0
        server.shelves.refresh.clear()
        refused = await person.auth("refresh", "team", "--force")
        asked = len(server.requests)
        again = await person.auth("refresh", "team", "--force")
        listed = await person.auth("list")
    assert (refused.status, again.status, len(server.requests)) == (1, 1, asked)
    for said in (refused.stderr, again.stderr, listed.stdout):
        assert "invalid_grant" in said
        assert "gatewayctl auth login team" in said
    assert "terminal" in listed.stdout


async def test_ctrl_c_while_tokens_are_asked_for_ends_the_page_too(tmp_path: Path) -> None:
    """The browser is not left waiting for a login that nobody goes on with."""
    async with authorization_server() as server:
        person = _person(tmp_path, server)
        server.answers.clear()
        async with login(person, "--no-browser") as waiting:
            page = asyncio.create_task(followed(waiting.page))
            async with asyncio.timeout(10):
                await server.asked.wait()
            waiting.process.send_signal(signal.SIGINT)
            status, said = await page
            ended = await waiting.ended()
        server.answers.set()
    assert (status, ended.status) == (502, 130)
    assert "The login failed: it was interrupted." in said
    assert not person.stored.exists()
