"""``gatewayctl auth import|list|refresh|logout`` on files alone: what is kept, and what is said."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.terminal import Ran, gatewayctl

from gatewayctl.storage.credentials import Credential, State, Vault
from gatewayctl.upstream.renewal import renewed
from gatewayctl.upstream.token_reply import Tokens, read

_CONFIG = """
[providers.team]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"
[providers.team.oauth]
authorize_url = "http://127.0.0.1:9/authorize"
token_url = "http://127.0.0.1:9/token"
client_id = "i"

[providers.handed]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"

[providers.lent]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "oauth"
clients = ["tool/*"]
credential = { borrow = "tool.json" }

[providers.keyed]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = { env = "KEYED" }
"""
_TOKEN = "planted-access-0123456789"
_REFRESH = "planted-refresh-0123456789"


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    """Write a config of each sort of provider; the state folder is ``folder``."""
    del folder
    file = tmp_path / "config.toml"
    file.write_text(_CONFIG, encoding="utf-8")
    return file


def _auth(config: Path, *words: str, stdin: bytes | None = b"") -> Ran:
    """Run ``gatewayctl auth WORDS``; nothing that it says may hold a token."""
    ran = gatewayctl("auth", *words, "--config", str(config), stdin=stdin)
    assert "planted" not in ran.out + ran.err
    return ran


def _listed(config: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(_auth(config, "list", "--json").out)
    assert found["schema_version"] == 1
    return {each["provider"]: each for each in found["credentials"]}


def _file(path: Path, *, wrapped: bool = True, **more: object) -> Path:
    values: dict[str, object] = {
        "accessToken": _TOKEN,
        "refreshToken": _REFRESH,
        "expiresAt": 1_900_000_000_000,
        "scopes": ["user:inference"],
        "subscriptionType": "max",
        **more,
    }
    path.write_text(json.dumps({"claudeAiOauth": values} if wrapped else values))
    return path


def test_a_token_is_read_from_standard_input(config: Path, folder: Path) -> None:
    """What is piped in is kept with its end, and nothing renews it."""
    ran = _auth(
        config,
        "import",
        "team",
        "--token",
        "--expires",
        "2096-01-31",
        stdin=f" {_TOKEN}\n".encode(),
    )
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "imported a token of team, until 2096-01-31 00:00 UTC; nothing renews it\n"
    stored = Vault(folder).get("team")
    assert stored is not None
    assert (stored.access_token, stored.refresh_token) == (_TOKEN, None)
    assert _listed(config)["team"] == {
        "provider": "team",
        "state": "ready",
        "who": None,
        "plan": None,
        "expires_at": "2096-01-31T00:00:00Z",
        "origin": "token",
        "renews": False,
        "message": None,
    }


@pytest.mark.parametrize(
    "words", [("--token", _TOKEN), (_TOKEN, "--token"), (f"--token={_TOKEN}",)]
)
def test_a_token_is_never_taken_from_the_command_line(
    config: Path, folder: Path, words: tuple[str, ...]
) -> None:
    """Others can see a command line: a token there is refused, and not repeated."""
    ran = _auth(config, "import", "team", *words)
    assert ran.status == 2
    assert Vault(folder).get("team") is None


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (None, "there is no token on standard input"),
        (b"", "there is no token on standard input"),
        (b" \n", "there is no token on standard input"),
        (b"planted one two\n", "it has blanks, line breaks or foreign characters"),
        (b"planted\nplanted\n", "it has blanks, line breaks or foreign characters"),
        ("plantéd".encode(), "it has blanks, line breaks or foreign characters"),
        (b"planted" * 10_000, "it has more than 16,384 characters"),
    ],
)
def test_what_is_no_token_is_refused(
    config: Path, folder: Path, stdin: bytes | None, said: str
) -> None:
    """Nothing is stored that could not be sent in a header."""
    ran = _auth(config, "import", "team", "--token", stdin=stdin)
    assert (ran.status, said in ran.err) == (1, True)
    assert Vault(folder).get("team") is None


def test_a_token_is_not_refreshed_and_says_what_to_do(config: Path, folder: Path) -> None:
    """Before its end and after it: another one is imported, nothing is asked for."""
    _auth(config, "import", "team", "--token", stdin=_TOKEN.encode())
    early = _auth(config, "refresh", "team", "--force")
    stored = Vault(folder).get("team")
    assert stored is not None
    Vault(folder).amend("team", stored, expires_at=time.time() - 1)
    late = _auth(config, "refresh", "team")
    for ran in (early, late):
        assert ran.status == 1
        assert "gatewayctl auth import team --token" in ran.err
    assert _listed(config)["team"]["state"] == "expired"
    assert "gatewayctl auth import team --token" in _listed(config)["team"]["message"]


def test_a_credentials_file_is_taken_over_and_says_so(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other program will be logged out, and borrowing would leave it its login.

    The file is named as the config would have to, whatever folder the command runs in.
    """
    file = _file(tmp_path / "other.json")
    monkeypatch.chdir(tmp_path)
    ran = _auth(config, "import", "team", "--from", "other.json")
    assert (ran.status, ran.err) == (0, "")
    assert "team (max), until 2030-03-17 17:46 UTC" in ran.out
    assert "logs the other program out" in ran.out
    assert f'credential = {{ borrow = "{file}" }}' in ran.out
    found = _listed(config)["team"]
    assert (found["state"], found["plan"], found["origin"]) == ("ready", "max", "import")
    assert found["renews"] is True


def test_a_file_is_not_taken_over_when_its_refresh_token_is_used_up(
    config: Path, folder: Path, tmp_path: Path
) -> None:
    """A script that imports twice, or for two providers, would end the login that lives."""
    words = ("--from", str(_file(tmp_path / "other.json")))
    for _ in range(2):  # nothing has happened in between
        assert _auth(config, "import", "team", *words).status == 0
    ran = _auth(config, "import", "handed", *words)
    assert (ran.status, "for team: one login cannot be renewed for two" in ran.err) == (1, True)
    vault = Vault(folder)
    stored = vault.get("team")
    assert stored is not None
    fresh = read(b'{"access_token": "planted-new", "refresh_token": "planted-newer"}')
    assert isinstance(fresh, Tokens)
    living = vault.swap("team", stored, renewed(stored, fresh, time.time()))
    ran = _auth(config, "import", "team", *words)
    assert (ran.status, "its refresh token is used up since" in ran.err) == (1, True)
    assert vault.get("team") == living
    ran = _auth(config, "import", "handed", *words)
    assert (ran.status, "for team" in ran.err) == (1, True)
    assert living is not None
    vault.put("team", msgspec.structs.replace(living, state=State.TERMINAL))
    ran = _auth(config, "import", "team", *words)
    assert (ran.status, "team is logged in no more" in ran.err) == (1, True)


def test_a_file_whose_tokens_cannot_be_renewed_here_says_so(config: Path, tmp_path: Path) -> None:
    """Without endpoints in the config a taken over credential ends with its access token."""
    ran = _auth(config, "import", "handed", "--from", str(_file(tmp_path / "other.json")))
    assert ran.status == 0
    assert "providers.handed.oauth needs token_url and client_id" in ran.out


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"expiresAt": 1_900_000_000}, "is in seconds where milliseconds are expected"),
        ({"expiresAt": "soon"}, "is no number of milliseconds"),
        ({"accessToken": ""}, "has no claudeAiOauth.accessToken"),
        ({"wrapped": False}, "holds no claudeAiOauth"),
        ({"expiresAt": 1_600_000_000_000, "refreshToken": None}, "has expired"),
    ],
)
def test_a_file_that_holds_no_credential_is_refused(
    config: Path, folder: Path, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    """What is wrong with it is said, and nothing of it is kept."""
    ran = _auth(config, "import", "team", "--from", str(_file(tmp_path / "other.json", **values)))
    assert (ran.status, said in ran.err) == (1, True)
    assert Vault(folder).get("team") is None


@pytest.mark.parametrize(
    "words",
    [
        ("import", "team"),
        ("import", "team", "--token", "--from", "x.json"),
        ("import", "team", "--from", "x.json", "--expires", "9d"),
        ("import", "team", "--token", "--expires", "2001-01-01"),
        ("import", "team", "--token", "--expires", "some day"),
        ("login", "team", "--timeout", "soon"),
    ],
)
def test_options_that_make_no_sense_are_refused(config: Path, words: tuple[str, ...]) -> None:
    """Before anything is read or asked for."""
    assert _auth(config, *words, stdin=_TOKEN.encode()).status == 2


@pytest.mark.parametrize("words", [("login",), ("import", "--token"), ("refresh",), ("logout",)])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("keyed", 'keyed has auth = "key"'),
        ("taem", 'did you mean "team"?'),
        ("zzz", 'those with auth = "oauth": team, handed, lent'),
    ],
)
def test_only_providers_with_oauth_have_credentials(
    config: Path, words: tuple[str, ...], name: str, said: str
) -> None:
    """Every command says of which providers it could be meant."""
    ran = _auth(config, words[0], name, *words[1:], stdin=_TOKEN.encode())
    assert (ran.status, said in ran.err) == (1, True)


@pytest.mark.parametrize("words", [("login",), ("import", "--token"), ("refresh",)])
def test_a_borrowed_credential_is_its_own_program_s_business(
    config: Path, folder: Path, words: tuple[str, ...]
) -> None:
    """It is neither logged in, replaced nor refreshed here."""
    ran = _auth(config, words[0], "lent", *words[1:], stdin=_TOKEN.encode())
    assert ran.status == 1
    assert "lent borrows the credential in " in ran.err
    assert Vault(folder).get("lent") is None


def test_there_is_nothing_to_remove_of_a_borrowed_credential(config: Path, tmp_path: Path) -> None:
    """The other program's file stays as it is."""
    file = _file(tmp_path / "tool.json")
    before = file.read_bytes()
    ran = _auth(config, "logout", "lent")
    assert ran.status == 1
    assert "there is nothing of lent here to remove" in ran.err
    assert file.read_bytes() == before


def test_a_provider_without_a_page_cannot_be_logged_in_to(config: Path) -> None:
    """What can be done instead is said."""
    ran = _auth(config, "login", "handed")
    assert ran.status == 1
    assert "providers.handed.oauth has no authorize_url" in ran.err
    assert "gatewayctl auth import handed" in ran.err


def test_the_list_tells_what_each_needs(config: Path, folder: Path, tmp_path: Path) -> None:
    """Missing, borrowed, terminal and left over credentials each have their word and a way on."""
    _file(tmp_path / "tool.json", expiresAt=1_600_000_000_000)
    vault = Vault(folder)
    ended = "the token server refuses it: log in again with `gatewayctl auth login team`"
    vault.put("team", Credential(refresh_token=_REFRESH, state=State.TERMINAL, message=ended))
    vault.put("gone", Credential(access_token=_TOKEN))
    found = _listed(config)
    assert {name: each["state"] for name, each in found.items()} == {
        "team": "terminal",
        "handed": "missing",
        "lent": "expired",
        "gone": "unused",
    }
    assert (found["team"]["message"], found["team"]["renews"]) == (ended, False)
    assert found["handed"]["message"] == "run gatewayctl auth import handed --token"
    assert found["lent"]["origin"] == "borrowed"
    assert f"the one that keeps {tmp_path / 'tool.json'}" in found["lent"]["message"]
    assert "gatewayctl auth logout gone" in found["gone"]["message"]
    text = _auth(config, "list").out
    for each in found.values():
        assert f"{each['provider']}: {each['message']}" in text
    assert _auth(config, "logout", "gone").status == 0
    assert "gone" not in _listed(config)


def test_the_list_knows_what_cannot_be_renewed_here(config: Path, folder: Path) -> None:
    """Without a token server an expired token is over, whatever could renew it elsewhere."""
    stored = Credential(access_token=_TOKEN, refresh_token=_REFRESH, expires_at=1.0)
    Vault(folder).put("handed", stored)
    found = _listed(config)["handed"]
    assert found["state"] == "expired"
    assert "providers.handed.oauth needs token_url" in found["message"]


def test_the_list_says_so_where_nobody_logs_in(tmp_path: Path, folder: Path) -> None:
    """No provider with OAuth is no error."""
    del folder
    file = tmp_path / "config.toml"
    file.write_text("")
    ran = _auth(file, "list")
    assert (ran.status, ran.out) == (0, 'no provider of the config has auth = "oauth"\n')


def test_damaged_credentials_are_said_and_left(config: Path, folder: Path) -> None:
    """No command overwrites what it cannot read."""
    folder.mkdir(parents=True)
    file = folder / "credentials.json"
    file.write_bytes(b"{ planted")
    for words in (
        ("list",),
        ("refresh", "team"),
        ("logout", "team"),
        ("import", "team", "--token"),
    ):
        ran = _auth(config, *words, stdin=_TOKEN.encode())
        assert ran.status == 1
        assert "is damaged and left as it is" in ran.err
    assert file.read_bytes() == b"{ planted"
