"""``gatewayctl auth`` with somebody at the keyboard: what is asked, typed, shown and not shown."""

import asyncio
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import pytest
from support.authorization import authorization_server
from support.daemon import environment
from support.keyboard import Seat, seat
from support.logins import Person, redirected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a controlling terminal")

_TABLE = """
[providers.team]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"
[providers.team.oauth]
authorize_url = "http://127.0.0.1:9/authorize"
token_url = "http://127.0.0.1:9/token"
client_id = "i"
"""


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Give a person with a provider that nobody answers for."""
    person = Person(home=tmp_path)
    person.config.write_text(_TABLE, encoding="utf-8")
    return person


def _seat(person: Person, *words: str) -> AbstractContextManager[Seat]:
    config = ("--config", str(person.config))
    return seat("auth", *words, *config, env=environment(person.home))


async def test_a_login_is_pasted_at_the_keyboard(person: Person) -> None:
    """The page is shown, a slip is forgiven, and the pasted address ends the login."""
    async with authorization_server() as server:
        person.config.write_text(server.config("team"), encoding="utf-8")
        with _seat(person, "login", "team", "--no-browser") as there:
            screen = await asyncio.to_thread(there.until, "press Enter.")
            page = next(line.strip() for line in screen.splitlines() if "/authorize?" in line)
            there.type("what now?\n")
            await asyncio.to_thread(there.until, "Copy the whole address")
            there.type(f"{await redirected(page)}\n")
            assert await asyncio.to_thread(there.ended) == 0
            screen = there.screen
    assert "logged in to team, until " in screen
    assert not [token for token in person.tokens() if token in screen]


def test_ctrl_c_at_the_keyboard_ends_a_login(person: Person) -> None:
    """The terminal's own Ctrl-C: one sentence, no traceback, nothing stored."""
    with _seat(person, "login", "team", "--no-browser") as there:
        there.until("press Enter.")
        there.type("\x03")
        assert there.ended() == 130
        assert "the login was interrupted; nothing was stored" in there.screen
        assert "Traceback" not in there.screen
    assert not person.stored.exists()


def test_a_token_is_asked_for_without_echo(person: Person) -> None:
    """What is typed at the prompt is stored, and drawn nowhere."""
    with _seat(person, "import", "team", "--token") as there:
        there.until("token of team (not shown): ")
        there.type("planted-token-0123456789\n")
        assert there.ended() == 0
        assert "planted" not in there.screen
        assert "imported a token of team, with no known end" in there.screen
    record = msgspec.json.decode(person.stored.read_bytes())["credentials"]["team"]
    assert record["access_token"] == "planted-token-0123456789"


def test_a_prompt_for_a_token_can_be_left(person: Person) -> None:
    """Ctrl-C and Ctrl-D at the prompt import nothing."""
    for key, status in (("\x03", 130), ("\x04", 1)):
        with _seat(person, "import", "team", "--token") as there:
            there.until("(not shown): ")
            there.type(key)
            assert there.ended() == status
            assert "Traceback" not in there.screen
    assert not person.stored.exists()
