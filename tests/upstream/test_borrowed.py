import json
import os
from pathlib import Path

import pytest
from support.oauth_world import NOW, World, over
from support.token_server import provider

from gatewayctl.core.errors import StorageFailed, UpstreamFailed
from gatewayctl.storage.credentials import Origin, Vault
from gatewayctl.upstream.borrowed import Borrowed, read_file

WHOLE = {
    "accessToken": "theirs",
    "refreshToken": "refresh",
    "expiresAt": int(NOW * 1000) + 3_600_000,
    "scopes": ["user:inference"],
    "subscriptionType": "max",
}


def written(path: Path, **fields: object) -> Path:
    """Write the file as the other program does, with some fields as given; None leaves one out."""
    inner = {name: it for name, it in {**WHOLE, **fields}.items() if it is not None}
    path.write_text(json.dumps({"claudeAiOauth": inner, "other": 1}))
    return path


def test_everything_of_another_programs_file_is_understood(tmp_path: Path) -> None:
    """An import gets the tokens, the expiry in seconds, the scopes and the plan."""
    found = read_file(written(tmp_path / "c.json"))
    assert (found.access_token, found.refresh_token) == ("theirs", "refresh")
    assert found.expires_at == NOW + 3600
    assert (found.scopes, found.account.plan) == (("user:inference",), "max")
    assert found.origin is Origin.IMPORT


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expiresAt": int(NOW) + 3600}, "is in seconds where milliseconds are expected"),
        ({"expiresAt": 1.5}, "is in seconds where milliseconds are expected"),
        ({"expiresAt": -1}, "is no time"),
        ({"expiresAt": 10**20}, "is no time"),
        ({"expiresAt": "soon"}, "is no number of milliseconds"),
        ({"expiresAt": True}, "is no number of milliseconds"),
        ({"accessToken": None}, "has no claudeAiOauth.accessToken"),
        ({"accessToken": ""}, "has no claudeAiOauth.accessToken"),
        ({"accessToken": 7}, "accessToken of .* is nothing that can be sent"),
        ({"accessToken": "a\nb"}, "accessToken of .* is nothing that can be sent"),
        ({"refreshToken": "ä"}, "refreshToken of .* is nothing that can be sent"),
    ],
)
def test_what_cannot_be_meant_is_said(tmp_path: Path, fields: dict[str, object], told: str) -> None:
    """The message names the file and the field, and shows no value."""
    path = written(tmp_path / "c.json", **fields)
    with pytest.raises(StorageFailed, match=told) as caught:
        read_file(path)
    assert "theirs" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds no claudeAiOauth"),
        (b'{"claudeAiOauth": "x"}', "holds no claudeAiOauth"),
        (b'{"accessToken": "x"}', "holds no claudeAiOauth"),
        (b" " * 300_000, "has more than 262,144 bytes"),
    ],
)
def test_a_file_of_another_kind_is_said(tmp_path: Path, content: bytes, told: str) -> None:
    """Whatever is in it."""
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(StorageFailed, match=told):
        read_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to stops nothing, and a folder is none either."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageFailed, match="it is no file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(StorageFailed, match="cannot read"):
        read_file(tmp_path)


def test_a_file_is_looked_at_once_a_second_and_read_when_it_changes(tmp_path: Path) -> None:
    """What the other program refreshes is used from the next second on."""
    now = 0.0
    path = written(tmp_path / "c.json")
    borrowed = Borrowed(str(path), lambda: now)
    assert borrowed.credential().access_token == "theirs"
    assert borrowed.credential().refresh_token is None
    written(path, accessToken="newer")
    assert borrowed.credential().access_token == "theirs"
    assert borrowed.credential(now=True).access_token == "newer"
    written(path, accessToken="newest")
    now = 1.0
    assert borrowed.credential().access_token == "newest"


def test_a_file_that_is_half_written_costs_nothing(tmp_path: Path) -> None:
    """What it held goes on serving, until it is whole again, or gone."""
    now = 0.0
    path = written(tmp_path / "c.json")
    borrowed = Borrowed(str(path), lambda: now)
    borrowed.credential()
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    now = 1.0
    assert borrowed.credential().access_token == "theirs"
    written(path, accessToken="newer")
    now = 2.0
    assert borrowed.credential().access_token == "newer"
    path.unlink()
    now = 3.0
    with pytest.raises(StorageFailed, match="No such file"):
        borrowed.credential()


async def test_a_borrowed_token_is_used_and_never_refreshed(world: World, tmp_path: Path) -> None:
    """Once it has expired, it is said which program has to see to it; the file is never written."""
    path = written(tmp_path / "theirs.json")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    settings = provider(world.server.url, borrow=str(path))
    oauth = world.process()
    assert await oauth.token(settings) == "theirs"
    assert oauth.ended(settings) is None
    world.clock.passes(3599)
    assert await oauth.token(settings) == "theirs"
    with pytest.raises(UpstreamFailed, match="only the program that keeps that file"):
        await oauth.refresh(settings)
    world.clock.passes(1)
    message = await over(oauth, settings)
    assert f"in {path} has expired" in message
    assert "run that program" in message
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert world.authority.requests == []
    assert not Vault(world.vault.path.parent).path.exists()


async def test_a_borrowed_token_is_the_same_to_every_process(world: World, tmp_path: Path) -> None:
    """What one learned of its quota counts for the next one, until the file has another token."""
    path = written(tmp_path / "theirs.json")
    settings = provider(world.server.url, borrow=str(path))
    first, second = (world.process().identity(settings) for _ in range(2))
    assert first == second == Vault(tmp_path).identity(read_file(path))
    assert "theirs" not in first
    written(path, accessToken="newer")
    assert world.process().identity(settings) != first


async def test_a_file_that_is_damaged_is_told_once_its_token_has_expired(
    world: World, tmp_path: Path
) -> None:
    """While the old token lives it serves; then what is wrong with the file is what to know."""
    path = written(tmp_path / "theirs.json")
    settings = provider(world.server.url, borrow=str(path))
    oauth = world.process()
    assert await oauth.token(settings) == "theirs"
    written(path, expiresAt=1_800_009_999)
    world.clock.passes(2)
    assert await oauth.token(settings) == "theirs"
    world.clock.passes(3600)
    assert "in seconds where milliseconds are expected" in await over(oauth, settings)


async def test_a_refused_borrowed_token_is_retried_if_the_file_has_another(
    world: World, tmp_path: Path
) -> None:
    """The other program may have refreshed it a moment ago."""
    path = written(tmp_path / "theirs.json")
    settings = provider(world.server.url, borrow=str(path))
    oauth = world.process()
    assert await oauth.token(settings) == "theirs"
    assert not await oauth.rejected(settings, "theirs")
    written(path, accessToken="newer")
    assert await oauth.rejected(settings, "theirs")
    assert await oauth.token(settings) == "newer"
    written(path, accessToken="newest", expiresAt=(NOW - 1) * 1000)
    assert not await oauth.rejected(settings, "newer")


async def test_a_borrowed_file_that_is_not_there_is_said(world: World, tmp_path: Path) -> None:
    """By the name that the config has for it."""
    settings = provider(world.server.url, borrow=str(tmp_path / "none.json"))
    message = await over(world.process(), settings)
    assert message == f"no token for claude: cannot read {tmp_path}/none.json: " + os.strerror(2)


@pytest.mark.parametrize("nothing", [None, "", False, 0, []])
def test_no_refresh_token_is_none_however_it_is_written(tmp_path: Path, nothing: object) -> None:
    """Else the vault would hold what it cannot read again, or ask for tokens with nothing."""
    found = read_file(written(tmp_path / "theirs.json", refreshToken=nothing))
    assert found.refresh_token is None
    vault = Vault(tmp_path)
    vault.put("club", found)
    assert vault.get("club") is not None
