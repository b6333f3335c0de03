"""``gatewayctl quota``: what it shows of a daemon or of its file, and its exit status."""

import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.processes import free_port
from support.standin import StandIn, standing_in
from support.terminal import gatewayctl, on_terminal

from gatewayctl.cli.meters import print_document
from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import load_text
from gatewayctl.core.quota import Snapshot, Source, Window
from gatewayctl.daemon.quota_told import Probed, as_document
from gatewayctl.storage import quota as storage
from gatewayctl.storage.credentials import Credential, Vault
from gatewayctl.storage.quota import Kept, Record
from gatewayctl.upstream.marks import Marks

LONG = "provider-" + "x" * 90


def snapshots() -> dict[str, Snapshot]:
    """Return one of each: a spent subscription, a key's limits, money, and a long name."""
    now = time.time()
    return {
        "sub#1": Snapshot(
            at=now - 200,
            status="rejected",
            resets_at=now + 7_800,
            overage="rejected",
            windows=(
                Window(name="5h", utilization=1.0, resets_at=now + 7_800, status="rejected"),
                Window(name="7d", utilization=0.174, resets_at=now + 500_000),
                Window(name="overage", status="rejected"),
            ),
        ),
        "sub#2": Snapshot(at=now, status="allowed_warning", overage_reason="org_level_disabled"),
        "key": Snapshot(
            at=now - 12,
            windows=(
                Window(name="requests", limit=5000, remaining=5000, resets_at=now - 60),
                Window(name="tokens", limit=160_000, remaining=60_000, resets_at=now + 361),
            ),
        ),
        "money": Snapshot(
            at=now - 7_300,
            source=Source.PROBE,
            windows=(
                Window(name="balance", remaining=110.0, unit="CNY"),
                Window(name="credits", limit=100.0, remaining=74.5, unit="USD"),
                Window(name="free", unit="USD", status="unlimited"),
            ),
        ),
        LONG: Snapshot(at=now, windows=(Window(name="tokens-" + "y" * 33, remaining=1),)),
    }


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a config whose daemon does not run, and whose provider cannot be reached."""
    path = tmp_path / "config.toml"
    path.write_text(
        f"[server]\nport = {free_port()}\n"
        '[providers.or]\nkind = "openrouter"\napi_key = "sk-planted-secret-0123456789"\n'
        f'base_url = "http://127.0.0.1:{free_port()}/v1"\n'
    )
    return path


@pytest.fixture
def answering() -> Iterator[StandIn]:
    """Run something where the daemon should be, which knows of all these."""
    document = as_document(snapshots(), time.time())
    with standing_in(msgspec.json.encode(document)) as server:
        yield server


def keep(folder: Path, known: dict[str, Snapshot]) -> None:
    """Write what a daemon would have."""
    records = {label: Record(snapshot=each) for label, each in known.items()}
    storage.save(folder, Kept(credentials=records), time.time(), lambda *_: True)


def rows(out: str) -> dict[str, str]:
    """Return the rows of windows by name, white space made even."""
    lines = [" ".join(line.split()) for line in out.splitlines() if line.startswith("  ")]
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def test_the_daemons_answer_is_drawn(answering: StandIn) -> None:
    """Each window with its bar, what is left, its reset and the source and age of the figure."""
    ran = gatewayctl("quota", "--url", answering.url)
    told = rows(ran.out)
    assert re.fullmatch(r"████████ 100% rejected in 2 h, \d\d:\d\d headers, 3 min", told["5h"])
    assert re.fullmatch(r"█░░░░░░░ 17% - in 5 d, \w{3} \d\d headers, 3 min", told["7d"])
    assert told["overage"] == "- rejected - headers, 3 min"
    assert re.fullmatch(
        r"█████░░░ 62% 60K of 160K in (6|5) min, \d\d:\d\d headers, 1\d s", told["tokens"]
    )
    assert told["balance"] == "- 110.00 CNY - probe, 2 h"
    assert told["credits"] == "██░░░░░░ 26% $74.50 of $100.00 - probe, 2 h"
    assert told["free"] == "- unlimited - probe, 2 h"
    assert answering.asked == [("/api/quota", b"")]
    assert f"as known by {answering.url}" in ran.out


def test_figures_of_a_window_that_began_anew_are_void(answering: StandIn) -> None:
    """After its reset nothing is known of a window but that it was reset."""
    told = rows(gatewayctl("quota", "--url", answering.url).out)
    assert re.fullmatch(r"- - 1 min ago headers, 1\d s", told["requests"])


def test_gating_is_said_plainly_and_is_the_exit_status(answering: StandIn) -> None:
    """A spent credential says until when, in words; one that is not says how it fares."""
    ran = gatewayctl("quota", "--url", answering.url)
    lines = ran.out.splitlines()
    spent = next(line for line in lines if "sub#1" in line)
    assert re.fullmatch(
        r"✗ sub#1  spent until \d\d:\d\d UTC, for 2 h more: requests pass it over", spent
    )
    fine = next(line for line in lines if "sub#2" in line)
    assert re.match(r"✓ sub#2  allowed warning, \d+ s ago; no overage: org level disabled", fine)
    assert ran.status == 3


def test_without_a_spent_credential_all_is_well(answering: StandIn) -> None:
    """Limits alone are no shortage."""
    answering.body = msgspec.json.encode(as_document({"key": snapshots()["key"]}, time.time()))
    assert gatewayctl("quota", "--url", answering.url).status == 0


def test_json_is_the_document_with_its_origin(answering: StandIn) -> None:
    """The same facts for programs: the daemon's own document, and who told it."""
    told = json.loads(gatewayctl("quota", "--url", answering.url, "--json").out)
    expected = json.loads(answering.body)
    assert told == {"schema_version": 1, "origin": answering.url, **expected}


def test_without_a_daemon_its_file_is_read(config: Path, folder: Path) -> None:
    """What the last daemon wrote is shown, and both the absence and the file are named."""
    keep(folder, snapshots())
    ran = gatewayctl("quota", "--config", str(config))
    assert "no daemon listens at" in ran.err
    assert f"as known by {folder / storage.NAME}" in ran.out
    assert (rows(ran.out)["credits"][:4], ran.status) == ("██░░", 3)
    told = json.loads(gatewayctl("quota", "--config", str(config), "--json").out)
    assert told["origin"] == str(folder / storage.NAME)


def test_where_nothing_is_known_it_says_how_it_would_be(config: Path, folder: Path) -> None:
    """An empty state is a sentence, an empty list and exit status 0."""
    ran = gatewayctl("quota", "--config", str(config))
    assert "no quota is known yet" in ran.out
    assert ran.status == 0
    told = json.loads(gatewayctl("quota", "--config", str(config), "--json").out)
    assert told["credentials"] == []
    assert not folder.exists()


def test_a_damaged_file_is_said(config: Path, folder: Path) -> None:
    """A file that is none is named, and nothing is made of it."""
    folder.mkdir(parents=True)
    (folder / storage.NAME).write_text("{")
    ran = gatewayctl("quota", "--config", str(config))
    assert f"{storage.NAME} is damaged" in ran.err
    assert ran.status == 1


def test_a_daemon_that_is_named_has_to_answer() -> None:
    """With --url there is no file to fall back to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ran = gatewayctl("quota", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (ran.status, ran.out) == (4, "")


@pytest.mark.parametrize(
    "doc",
    [
        {"credentials": 1},
        {"credentials": [{"credential": "x"}]},
        {"credentials": [], "probes": [{"credential": "x", "url": 5}]},
    ],
)
def test_a_document_of_another_version_is_said(answering: StandIn, doc: dict[str, Any]) -> None:
    """What cannot be read of a daemon's answer is no traceback."""
    answering.body = json.dumps(doc).encode()
    ran = gatewayctl("quota", "--url", answering.url)
    assert (ran.status, "of another version" in ran.err) == (4, True)


def test_a_probe_goes_through_the_daemon(answering: StandIn) -> None:
    """With --probe the daemon is asked by POST, and what it could not get is said."""
    probes = (
        Probed(credential="money", url="https://up/key"),
        Probed(credential="sub", url="https://up/key", error="HTTP 401: it refuses the key"),
    )
    answering.body = msgspec.json.encode(as_document({}, time.time(), probes=probes))
    ran = gatewayctl("quota", "--url", answering.url, "--probe")
    assert "sub: https://up/key could not be asked: HTTP 401" in ran.err
    assert (ran.status, len(answering.asked)) == (1, 1)


def test_a_probe_without_a_daemon_says_that_it_calls(config: Path, folder: Path) -> None:
    """Where no daemon runs the call is made from here, said before, and a failure has a reason."""
    ran = gatewayctl("quota", "--config", str(config), "--probe")
    assert re.search(r"asking http://127\.0\.0\.1:\d+/v1/key over the network", ran.err)
    assert "or: http://127.0.0.1" in ran.err
    assert "could not be asked" in ran.err
    assert "planted" not in ran.err + ran.out
    assert (ran.status, folder.exists()) == (1, False)


def test_what_a_provider_answers_is_kept_for_the_next_time(config: Path, folder: Path) -> None:
    """An answer joins what the file knows, by its label, and is shown as a probe's."""
    keep(folder, {"key": snapshots()["key"]})
    body = json.dumps({"data": {"limit": 10, "limit_remaining": 4}}).encode()
    with standing_in(body) as upstream:
        text = re.sub(r"base_url = .*", f'base_url = "{upstream.url}/v1"', config.read_text())
        config.write_text(text)
        ran = gatewayctl("quota", "--config", str(config), "--probe")
    assert upstream.asked == [("/v1/key", b"")]
    assert rows(ran.out)["credits"].startswith("█████░░░ 60% $4.00 of $10.00 - probe, ")
    assert set(storage.load(folder).credentials) == {"key", "or"}
    assert "planted" not in (folder / storage.NAME).read_text()


def test_a_credential_is_forgotten_on_request(
    answering: StandIn, config: Path, folder: Path
) -> None:
    """By the daemon, or in its file where none runs; what is not known is named."""
    gatewayctl("quota", "--url", answering.url, "--forget", "sub#1")
    assert answering.asked == [("/api/quota?forget=sub%231", b"")]
    keep(folder, snapshots())
    ran = gatewayctl("quota", "--config", str(config), "--forget", "sub#1")
    assert (ran.status, "sub#1" in ran.out, "sub#1 is forgotten" in ran.err) == (0, False, True)
    assert set(storage.load(folder).credentials) == set(snapshots()) - {"sub#1"}
    ran = gatewayctl("quota", "--config", str(config), "--forget", "sub#1")
    assert (ran.status, 'nothing is known of a credential "sub#1"' in ran.err) == (2, True)
    ran = gatewayctl("quota", "--config", str(config), "--forget", "sub")
    assert ", but of these: " in ran.err
    assert "sub#2" in ran.err


def test_what_is_kept_of_an_earlier_login_is_not_shown(config: Path, folder: Path) -> None:
    """After a new login nothing is known, also where no daemon has noticed it yet."""
    config.write_text(
        f'[server]\nport = {free_port()}\n[providers.team]\nkind = "openai-compatible"\n'
        'base_url = "http://127.0.0.1:9/v1"\nauth = "oauth"\n'
        'oauth = { token_url = "http://127.0.0.1:9/token", client_id = "it" }\n'
    )
    vault = Vault(folder)
    kept = vault.put("team", Credential(refresh_token="one"))
    loaded = load_text(config.read_text(), name="c", environ={}, catalog=EmptyCatalog()).settings
    assert loaded is not None
    mark = Marks(loaded.providers, {}, lambda _: vault.identity(kept)).of("team")
    record = Record(snapshot=snapshots()["sub#1"], mark=mark)
    storage.save(folder, Kept(credentials={"team": record}), time.time(), lambda *_: True)
    assert gatewayctl("quota", "--config", str(config)).status == 3
    vault.swap("team", kept, Credential(refresh_token="two", login=kept.login))
    assert gatewayctl("quota", "--config", str(config)).status == 3
    vault.put("team", Credential(refresh_token="three"))
    ran = gatewayctl("quota", "--config", str(config))
    assert (ran.status, "no quota is known yet" in ran.out) == (0, True)


def test_without_anybody_to_ask_a_probe_says_so(config: Path) -> None:
    """No call is made where no provider has an address for it."""
    config.write_text(config.read_text().replace('"openrouter"', '"openai-compatible"'))
    ran = gatewayctl("quota", "--config", str(config), "--probe")
    assert "no provider with a key that is at hand" in ran.err
    assert ran.status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_on_a_terminal_long_names_stand_out_of_line(answering: StandIn) -> None:
    """A name longer than the terminal spreads no column for the others."""
    drawn = on_terminal("quota", "--url", answering.url, columns=80, NO_COLOR="1")
    lines = drawn.splitlines()
    long = [line for line in lines if "xxx" in line or "yyy" in line]
    assert len(long) == 2
    assert all(len(line.rstrip()) <= 80 for line in lines if line not in long)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_what_a_daemon_says_cannot_steer_the_terminal(answering: StandIn) -> None:
    """Control characters in names and statuses are shown, and not obeyed."""
    known = {
        "a\x1b[2Jb": Snapshot(at=time.time(), windows=(Window(name="w\x07", status="s\x1b]0;"),))
    }
    answering.body = msgspec.json.encode(as_document(known, time.time()))
    drawn = on_terminal("quota", "--url", answering.url, columns=80)
    assert "\x1b[2J" not in drawn
    assert "\x07" not in drawn


def test_a_narrow_terminal_gets_fewer_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is used stays; where the figures are from goes first, then when they are reset."""
    known = {"key": snapshots()["key"]}
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    for columns, last in ((80, "from"), (60, "(UTC)"), (40, "left")):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_document(as_document(known, time.time()), "it")
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= columns
        assert lines[0].split()[-1] == last
