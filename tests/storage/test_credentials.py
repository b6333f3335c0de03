import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage.credentials import Account, Credential, Origin, Pending, State, Vault

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
from gatewayctl.storage.credentials import Vault
lease = Vault(Path(sys.argv[1])).lease(sys.argv[2])
print("held" if lease else "taken", flush=True)
time.sleep(600)
"""

PUT = """
import sys
from pathlib import Path
from gatewayctl.storage.credentials import Credential, Vault
vault, name = Vault(Path(sys.argv[1])), sys.argv[2]
for number in range(50):
    vault.put(name, Credential(refresh_token=f"{name}-{number}"))
"""


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Give the vault of a state folder that is not there yet."""
    return Vault(tmp_path / "state")


def process(code: str, *argv: str) -> "subprocess.Popen[str]":
    """Start a process of our own code."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *argv]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_what_is_put_is_there_for_every_process(vault: Vault) -> None:
    """All of a record comes back from the file, with a generation of its own."""
    whole = Credential(
        access_token="a",
        refresh_token="r",
        expires_at=1.5,
        scopes=("x", "y"),
        account=Account(who="me", plan="max"),
        state=State.TERMINAL,
        message="it is over",
        origin=Origin.IMPORT,
        obtained_at=0.5,
    )
    stored = vault.put("claude", whole)
    assert stored == msgspec.structs.replace(whole, generation=1, login=1)
    assert Vault(vault.path.parent).get("claude") == stored
    assert vault.put("codex", whole).generation == 2
    assert set(vault.all()) == {"claude", "codex"}
    assert vault.get("other") is None


def test_files_are_private(vault: Vault) -> None:
    """The file is the user's alone, and so is the folder that was made for it."""
    vault.put("claude", Credential(refresh_token="r"))
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(vault.path.parent.stat().st_mode) == 0o700
    lease = vault.lease("a/b")
    assert lease is not None
    assert all(not path.stat().st_mode & 0o077 for path in vault.path.parent.iterdir())
    assert {path.parent for path in vault.path.parent.rglob("*")} == {vault.path.parent}
    lease.release()


def test_tokens_replace_only_those_they_came_of(vault: Vault) -> None:
    """What came of a refresh token that is not the stored one any more is not stored."""
    first = vault.put("claude", Credential(refresh_token="r1"))
    second = vault.swap("claude", first, Credential(refresh_token="r2"))
    assert second is not None
    assert vault.swap("claude", first, Credential(refresh_token="late")) is None
    assert vault.get("claude") == second
    assert vault.remove("claude")
    assert vault.swap("claude", second, Credential(refresh_token="r3")) is None
    assert vault.get("claude") is None


def test_tokens_replace_an_import_of_what_they_came_of(vault: Vault) -> None:
    """The same refresh token imported while it was used is as dead as the first copy of it."""
    first = vault.put("claude", Credential(refresh_token="r1"))
    vault.put("claude", Credential(refresh_token="r1", origin=Origin.IMPORT))
    assert vault.swap("claude", first, Credential(refresh_token="r2")) is not None


def test_tokens_that_do_not_rotate_are_told_apart_by_their_generation(vault: Vault) -> None:
    """A token without a refresh token is replaced only by what was meant for it."""
    first = vault.put("claude", Credential(access_token="a1", origin=Origin.TOKEN))
    vault.put("claude", Credential(access_token="a2", origin=Origin.TOKEN))
    assert vault.swap("claude", first, Credential(access_token="a3")) is None


def test_amending_keeps_what_others_said_and_the_generation(vault: Vault) -> None:
    """A mark, and a cleared access token, leave each other and the tokens alone."""
    first = vault.put("claude", Credential(access_token="a", refresh_token="r"))
    vault.amend("claude", first, access_token=None)
    amended = vault.amend("claude", first, pending=Pending(at=1.0))
    assert amended is not None
    assert (amended.access_token, amended.refresh_token) == (None, "r")
    assert (amended.pending, amended.generation) == (Pending(at=1.0), first.generation)
    vault.swap("claude", first, Credential(access_token="b", refresh_token="r"))
    assert vault.amend("claude", first, access_token=None) is None
    found = vault.get("claude")
    assert found is not None
    assert (found.access_token, found.pending) == ("b", None)


def test_an_amendment_that_changes_nothing_writes_nothing(vault: Vault) -> None:
    """Who looks at the file's time is not made to read it again."""
    first = vault.put("claude", Credential(access_token="a", refresh_token="r"))
    before = vault.stamp()
    assert vault.amend("claude", first, access_token="a") == first
    assert vault.stamp() == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"credentials": {}}', b"\xff", b"[" * 100_000]
)
def test_a_broken_file_is_said_and_never_overwritten(vault: Vault, content: bytes) -> None:
    """Nothing that can be done to a credential touches a file that is not understood."""
    vault.put("claude", Credential(refresh_token="r"))
    vault.path.write_bytes(content)
    one = Credential(refresh_token="r2")
    for attempt in (
        lambda: vault.get("claude"),
        lambda: vault.put("claude", one),
        lambda: vault.swap("claude", one, one),
        lambda: vault.amend("claude", one, message="m"),
        lambda: vault.remove("claude"),
    ):
        with pytest.raises(StorageFailed, match="damaged and left as it is"):
            attempt()
    assert vault.path.read_bytes() == content


def test_a_newer_files_format_is_said_and_left(vault: Vault) -> None:
    """An older program does not write over what a newer one has stored."""
    vault.path.parent.mkdir()
    vault.path.write_text('{"schema_version": 2, "credentials": "another form"}')
    with pytest.raises(StorageFailed, match="written by a newer gatewayctl"):
        vault.put("claude", Credential(refresh_token="r"))
    assert "another form" in vault.path.read_text()


def test_one_alone_has_a_lease(vault: Vault) -> None:
    """A second one gets none, of the same process or not, until it is given back."""
    lease = vault.lease("claude")
    assert lease is not None
    assert vault.lease("claude") is None
    assert Vault(vault.path.parent).lease("claude") is None
    other = vault.lease("codex")
    assert other is not None
    other.release()
    lease.release()
    lease.release()
    again = vault.lease("claude")
    assert again is not None
    again.release()


def test_a_lease_ends_with_its_process(vault: Vault) -> None:
    """After kill -9 nobody waits for whoever held it."""
    holder = process(HOLD, str(vault.path.parent), "claude")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert vault.lease("claude") is None
    holder.kill()
    holder.communicate()
    lease = vault.lease("claude")
    assert lease is not None
    lease.release()


def test_processes_do_not_undo_each_others_changes(vault: Vault) -> None:
    """Four processes that write at once leave all of what they wrote, each under a new number."""
    writers = [process(PUT, str(vault.path.parent), name) for name in ("a", "b", "c", "d")]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    found = vault.all()
    assert {name: it.refresh_token for name, it in found.items()} == {
        name: f"{name}-49" for name in ("a", "b", "c", "d")
    }
    assert max(it.generation for it in found.values()) == 200


def test_no_secret_shows_in_a_record(vault: Vault) -> None:
    """Neither its text nor what a debugger prints of it holds a token; its label says nothing."""
    record = Credential(access_token="very-secret", refresh_token="more-secret")
    shown = f"{record!r} {record} {list(record.__rich_repr__())}"
    assert "secret" not in shown
    label = vault.label("very-secret")
    assert len(label) == 8
    assert "secret" not in label


def test_a_label_is_the_same_in_every_process(vault: Vault) -> None:
    """Two logs name one credential alike, and another folder's name for it is another one."""
    vault.put("claude", Credential(refresh_token="r"))
    other = Vault(vault.path.parent)
    other.all()
    assert vault.label("r") == other.label("r")
    assert vault.label("r") != vault.label("s")
    assert vault.label("r") != Vault(vault.path.parent / "elsewhere").label("r")
