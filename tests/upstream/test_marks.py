import os
import sys
from pathlib import Path

import msgspec
import pytest

from gatewayctl.config.settings import FromCommand, FromEnv, FromFile, Plain, ProviderSettings
from gatewayctl.core.model import Auth, Provider, WireProtocol
from gatewayctl.upstream.marks import Marks

PROVIDER = Provider(
    name="up", kind="openai", protocols=(WireProtocol.CHAT_COMPLETIONS,), auth=Auth.KEY
)


def of(*secrets: FromEnv | FromFile | FromCommand | Plain, **environ: str) -> Marks:
    """Return the marks of a provider with these credentials."""
    settings = ProviderSettings(provider=PROVIDER, base_url="https://up", secrets=secrets)
    return Marks({"up": settings}, environ)


def test_a_mark_stays_with_its_credential_and_changes_with_it(tmp_path: Path) -> None:
    """Each way of naming a credential has a mark that its value, or its command, decides."""
    file = tmp_path / "key"
    file.write_text("one\n")
    secrets = (
        FromEnv(name="KEY"),
        FromFile(path=str(file)),
        FromCommand(argv=("op", "read")),
        Plain(value="plain"),
    )
    marks = of(*secrets, KEY="sk-one")
    before = {label: marks.of(label) for label in ("up#1", "up#2", "up#3", "up#4")}
    elsewhere = of(*secrets, KEY="sk-one")
    assert all(elsewhere.matches(label, mark) for label, mark in before.items())
    file.write_text("three\n")
    changed = of(*secrets, KEY="sk-two")
    gone = [label for label, mark in before.items() if not changed.matches(label, mark)]
    assert gone == ["up#1", "up#2"]
    assert (marks.of("up#1"), marks.of("up#2")) == (before["up#1"], marks.of("up#2"))
    assert not marks.matches("up#2", before["up#2"])


def test_the_same_key_elsewhere_is_another_credential() -> None:
    """What one address said of a key is not known of it at another."""
    secrets = (Plain(value="plain"),)
    there = ProviderSettings(provider=PROVIDER, base_url="https://there", secrets=secrets)
    assert not Marks({"up": there}, {}).matches("up", of(*secrets).of("up"))


def test_a_login_has_one_mark_until_the_next_one() -> None:
    """What an OAuth credential is renewed to is the same credential."""
    provider = msgspec.structs.replace(PROVIDER, auth=Auth.OAUTH)
    settings = ProviderSettings(provider=provider, base_url="https://up")
    logins = {"up": "one"}
    marks = Marks({"up": settings}, {}, lambda each: logins[each.provider.name])
    before, fixed = marks.of("up"), marks.fixed()
    assert marks.matches("up", before)
    logins["up"] = "two"
    assert not marks.matches("up", before)
    assert fixed("up", before)


def test_a_mark_says_nothing_of_the_credential() -> None:
    """It is a keyed hash: short, and another one under another key."""
    one, other = (of(Plain(value="sk-planted-secret")) for _ in range(2))
    assert len(one.of("up")) == 32
    assert "planted" not in one.of("up")
    assert one.of("up") != other.of("up")


@pytest.mark.parametrize("mark", ["", "x", "00", "zz" * 16, "00" * 16, "\u0660" * 32])
def test_what_is_no_mark_matches_nothing(mark: str) -> None:
    """A file that somebody has changed has the effect of one that is not there."""
    marks = of(Plain(value="sk-planted-secret"))
    assert not marks.matches("up", mark)
    assert not marks.matches("elsewhere", mark)


def test_what_is_not_there_has_a_mark_too(tmp_path: Path) -> None:
    """A missing variable, a missing file and a provider without a key raise nothing."""
    marks = of(FromEnv(name="KEY"), FromFile(path=str(tmp_path / "none")))
    assert marks.matches("up#1", marks.of("up#1"))
    assert marks.matches("up#2", marks.of("up#2"))
    assert of().of("up")
    assert of().of("up/0123") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it, and the daemon would neither start nor end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert of(FromFile(path=str(pipe))).of("up")
