"""``gatewayctl keys``: made and shown once, listed with what is left, renewed and ended."""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.recorded import came, ended, left, metered, started
from support.terminal import Ran, gatewayctl, on_terminal

from gatewayctl.cli.moments import written
from gatewayctl.core.pricing import PICO
from gatewayctl.storage.client_keys import FILE, digest, read
from gatewayctl.storage.ledger import Ledger

CONFIG = """
[providers.local]
kind = "openai-compatible"
base_url = "http://127.0.0.1:11434/v1"
[[models]]
id = "local/small"
[[cascades]]
id = "coding"
steps = [{ model = "local/small" }]
"""


@pytest.fixture(autouse=True)
def _folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys, config and cache in folders of the test's own."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(folder.parent / name))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a config with a model and a route."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def keys(*argv: str) -> Ran:
    """Run the command."""
    return gatewayctl("keys", *argv)


def listed() -> dict[str, dict[str, Any]]:
    """Return what the list says, by name."""
    ran = keys("list", "--json")
    assert (ran.status, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["schema_version"] == 1
    return {each["name"]: each for each in found["keys"]}


def test_a_key_is_printed_alone_and_once(folder: Path) -> None:
    """A script can take it from standard output; what it is for is told beside, never again."""
    ran = keys(
        "create", "ci", "--budget", "1500/day", "--budget", "50", "--rpm", "60", "--expires", "30d"
    )
    assert ran.status == 0
    assert re.fullmatch(r"gwk-[A-Za-z0-9_-]{43}\n", ran.out)
    assert "everything, $1,500/day, $50 in all, 60 requests a minute, until " in ran.err
    assert "asks every client for a key" in ran.err
    secret = ran.out.strip()
    assert secret not in ran.err + keys("list").out + keys("list", "--json").out
    assert secret not in (folder / FILE).read_text()
    assert "asks every client" not in keys("create", "other").err


def test_json_has_the_key_its_hash_and_its_terms() -> None:
    """The hash is what server.keys in a config takes."""
    argv = (
        "--models",
        "a/*, b/c",
        "--models",
        "r",
        "--budget",
        "1.50/hour",
        "--tpm",
        "9",
        "--json",
    )
    found = json.loads(keys("create", "ci", *argv).out)
    assert found["hash"] == f"sha256:{digest(found['key'])}"
    assert found["models"] == ["a/*", "b/c", "r"]
    assert (found["budgets"], found["rpm"], found["tpm"]) == (["1.50/hour"], None, 9)
    assert (found["expires"], found["revoked"]) == (None, None)


def test_names_that_mean_nothing_are_told(config: Path) -> None:
    """A key for models that nobody knows opens nothing; it is made all the same."""
    argv = ("--models", "local/*,coding,smal,small", "--config", str(config))
    ran = keys("create", "ci", *argv)
    assert ran.status == 0
    assert 'no model, route or alias that is known here is called "smal"' in ran.err
    assert '"small" may be asked for by this name alone; it is local/small in full' in ran.err
    assert '"coding"' not in ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--budget", "20/year"), "'--budget': \"20/year\" is no budget"),
        (("--budget", "1,000/day"), "'--budget': \"1,000/day\" is no budget"),
        (("--budget", "1/day", "--budget", "2/day"), "two budgets for one period"),
        (("--models", "a,,b"), "'--models': a name is empty"),
        (("--expires", "some day"), "'--expires': \"some day\" is not a duration like"),
        (("--expires", "2020-01-01"), "over already: it is the beginning of that day"),
        (("--rpm", "0"), "'--rpm'"),
        (("--rpm", "9" * 20), "from 1 to 1,000,000,000,000"),
    ],
)
def test_what_cannot_be_is_a_usage_error(argv: tuple[str, ...], said: str) -> None:
    """Exit 2 with the option and what it takes, and no key is made."""
    ran = keys("create", "ci", *argv)
    assert ran.status == 2
    assert said in " ".join(ran.err.split())
    assert listed() == {}


@pytest.mark.parametrize("name", ["a b", "-x", "", "line\nbreak", "x" * 300, "operator"])
def test_a_name_that_no_key_can_have_is_a_usage_error(name: str) -> None:
    """Shown in one line, and no longer than it takes to know it."""
    ran = keys("create", "--", name)
    assert (ran.status, ran.out) == (2, "")
    assert "begins with a letter or digit" in ran.err
    assert len(ran.err.splitlines()[-1]) < 300


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("argv", [("create", "other"), ("rotate", "ci")])
def test_a_secret_that_nobody_can_take_is_of_no_key(folder: Path, argv: tuple[str, ...]) -> None:
    """A disk that is full or a reader that has left changes nothing: the old secret stays good."""
    keys("create", "ci")
    before = (folder / FILE).read_bytes()
    reading, writing = os.pipe()
    os.close(reading)
    for out in (open(writing, "w", encoding="utf-8"), open("/dev/full", "w", encoding="utf-8")):  # noqa: PTH123, SIM115
        ran = gatewayctl("keys", *argv, out=out)
        with contextlib.suppress(OSError):
            out.close()
        assert ran.status == 1
        assert "nothing was changed" in ran.err or "No space left" in ran.err
        assert (folder / FILE).read_bytes() == before


def test_a_taken_or_unknown_name_is_1() -> None:
    """One line that says what to do, no traceback."""
    keys("create", "ci")
    for argv in (("create", "ci"), ("rotate", "cd"), ("revoke", "cd")):
        ran = keys(*argv)
        assert (ran.status, ran.out) == (1, "")
        assert ran.err.count("\n") == 1


def test_a_file_that_is_broken_is_1_and_stays(folder: Path) -> None:
    """Nothing is made over what is not understood."""
    folder.mkdir(parents=True)
    (folder / FILE).write_text("{")
    for argv in (("list",), ("create", "ci"), ("revoke", "ci")):
        ran = keys(*argv)
        assert ran.status == 1
        assert FILE in ran.err
    assert (folder / FILE).read_text() == "{"


def test_a_key_is_renewed_and_ended(folder: Path) -> None:
    """The new secret is shown as the first was; a grace is said, and the end is for good."""
    first = keys("create", "ci").out.strip()
    ran = keys("rotate", "ci", "--grace", "1h")
    assert ran.status == 0
    assert ran.out.startswith("gwk-")
    assert ran.out.strip() != first
    assert "the old secret is good until" in ran.err
    again = keys("rotate", "ci", "--expires", "1h", "--grace", "30d")
    assert "the secret before the old one" in again.err
    (key,) = read(folder) or ()
    assert key.expires is not None
    assert f"is good until {written(key.expires)}" in again.err
    (key,) = read(folder) or ()
    assert key.replaced is not None
    assert keys("create", "other").status == 0
    ran = keys("revoke", "ci")
    assert (ran.status, "to ask for none again" in ran.err) == (0, False)
    assert "to ask for none again" not in keys("list").out
    assert "to ask for none again" in keys("revoke", "other").err
    assert f"to ask for none again, stop the daemon and remove {folder / FILE}" in keys("list").out
    assert listed()["ci"]["state"] == "revoked"
    assert keys("rotate", "ci").status == 1


def _spend(folder: Path, *spent: tuple[str, float, int]) -> None:
    """Write a ledger of requests: by which key, when, for how many pico-dollars."""
    ledger = Ledger.open(folder, time.time)
    for number, (client, at, cost) in enumerate(spent):
        name = f"r{number}"
        ledger.record(
            came(name, client=client, at=at),
            started(name, at=at),
            ended(name, metered=metered(input=1, output=1, cost=cost)),
            left(name),
        )
    asyncio.run(ledger.close())


def test_the_list_says_what_is_spent_and_what_is_left(folder: Path) -> None:
    """Of each budget in its present period, by the ledger; never less than nothing."""
    keys("create", "ci", "--budget", "20/day", "--budget", "5/month", "--budget", "100")
    keys("create", "free")
    now = time.time()
    _spend(folder, ("ci", now, 6 * PICO), ("ci", now - 86_400 * 40, 30 * PICO), ("free", now, 1))
    found = listed()
    ci = {each["budget"]: each for each in found["ci"]["budgets"]}
    assert (ci["20/day"]["spent"], ci["20/day"]["left"]) == (6, 14)
    assert (ci["5/month"]["spent"], ci["5/month"]["left"]) == (6, 0)
    assert (ci["100"]["spent"], ci["100"]["left"], ci["100"]["resets_at"]) == (36, 64, None)
    assert ci["20/day"]["resets_at"].endswith("T00:00:00Z")
    assert found["ci"]["spent"] == 36
    assert (found["free"]["spent"], found["free"]["budgets"]) == (1e-12, [])
    out = keys("list").out
    assert re.search(r"! ci +no end +everything +\$20/day +\$14\.00 +\$6\.00 .* ██░+ +30% ", out)
    assert re.search(r"\$100 in all +\$64\.00 +\$36\.00 .* 36% +never", out)


def test_a_ledger_that_cannot_be_read_hides_no_key(folder: Path) -> None:
    """What was spent is unknown then, and said to be."""
    keys("create", "ci", "--budget", "20/day")
    (folder / "ledger.db").write_bytes(b"no database" * 1000)
    ran = keys("list", "--json")
    assert ran.status == 0
    assert "what was spent is unknown" in ran.err
    (key,) = json.loads(ran.out)["keys"]
    assert (key["spent"], key["budgets"][0]["spent"], key["budgets"][0]["left"]) == (None,) * 3


def test_a_key_of_the_config_is_listed(tmp_path: Path) -> None:
    """It lets somebody in, and the next key that is made is not the first."""
    path = tmp_path / "keyed.toml"
    path.write_text(f'[server]\nkeys = ["sha256:{digest("one")}"]\n')
    ran = keys("list", "--config", str(path))
    assert (ran.status, ran.err) == (0, "")
    assert re.search(rf"✓ config:{digest('one')[:8]} +no end +everything ", ran.out)
    (key,) = json.loads(keys("list", "--config", str(path), "--json").out)["keys"]
    assert (key["name"], key["created"]) == (f"config:{digest('one')[:8]}", None)
    assert "asks every client" not in keys("create", "ci", "--config", str(path)).err


def test_a_config_that_cannot_be_read_stands_in_no_way(tmp_path: Path) -> None:
    """Keys are made and listed all the same, with a word on what is not known."""
    path = tmp_path / "broken.toml"
    path.write_text("[")
    for argv in (("create", "ci"), ("list",)):
        ran = keys(*argv, "--config", str(path))
        assert (ran.status, "is not known" in ran.err) == (0, True)


def test_without_keys_it_says_what_that_means() -> None:
    """Everybody on this machine may ask."""
    ran = keys("list")
    assert ran.status == 0
    assert "asks nobody on this machine" in ran.out
    assert listed() == {}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("columns", [44, 80, 140])
def test_the_table_fits_the_terminal(folder: Path, columns: int) -> None:
    """The last columns go first; what a key may do, and until when, stays.

    Where there is no room for columns each cell has a line.
    """
    argv = ("--models", "openai/*,coding,anthropic/*,best", "--expires", "2096-12-31")
    keys("create", "ci", "--budget", "20/day", *argv)
    keys("create", "gone")
    keys("revoke", "gone")
    long = ("--models", "anthropic/claude-haiku-4-5,b,c,d", "--budget", "100.25/month")
    keys("create", "research", *long)
    drawn = on_terminal("keys", "list", columns=columns, XDG_STATE_HOME=str(folder.parent))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn).splitlines()
    assert max(map(len, lines)) <= columns
    stacked = columns < 80
    terms = "\n".join(lines[:5]) if stacked else lines[1]
    for shown in ("2096-12-31 00:00", "openai/*, 3 more", "$20/day", "$20.00"):
        assert shown in terms
    assert lines[-1].startswith("not shown here: ") == (columns == 80)
    if stacked:
        return
    assert lines[2].startswith("✗ gone")
    assert "anthropic/cla…, 3 more" in lines[3]
