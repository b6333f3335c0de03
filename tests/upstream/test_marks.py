import os
import sys
from pathlib import Path

import pytest

from gatewayctl.config.settings import FromCommand, FromEnv, FromFile, Plain, ProviderSettings
from gatewayctl.core.model import Auth, Provider, WireProtocol
from gatewayctl.upstream.marks import marks

KEY = b"k" * 16
PROVIDER = Provider(
    name="up", kind="openai", protocols=(WireProtocol.CHAT_COMPLETIONS,), auth=Auth.KEY
)


def of(*secrets: FromEnv | FromFile | FromCommand | Plain, **environ: str) -> dict[str, str]:
    """Return the marks of a provider with these credentials."""
    settings = ProviderSettings(provider=PROVIDER, base_url="https://up", secrets=secrets)
    return marks({"up": settings}, environ, KEY)


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
    before = of(*secrets, KEY="sk-one")
    assert list(before) == ["up#1", "up#2", "up#3", "up#4"]
    assert before == of(*secrets, KEY="sk-one")
    file.write_text("two\n")
    after = of(*secrets, KEY="sk-two")
    changed = [label for label, mark in after.items() if mark != before[label]]
    assert changed == ["up#1", "up#2"]


def test_a_mark_says_nothing_of_the_credential() -> None:
    """It is a keyed hash: short, and another one under another key."""
    (mark,) = of(Plain(value="sk-planted-secret")).values()
    assert len(mark) == 16
    assert "planted" not in mark
    settings = ProviderSettings(
        provider=PROVIDER, base_url="https://up", secrets=(Plain(value="sk-planted-secret"),)
    )
    assert marks({"up": settings}, {}, b"other") != {"up": mark}


def test_what_is_not_there_has_a_mark_too(tmp_path: Path) -> None:
    """A missing variable, a missing file and a provider without a key raise nothing."""
    assert set(of(FromEnv(name="KEY"), FromFile(path=str(tmp_path / "none")))) == {"up#1", "up#2"}
    assert set(of()) == {"up"}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it, and the daemon would neither start nor end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert set(of(FromFile(path=str(pipe)))) == {"up"}
