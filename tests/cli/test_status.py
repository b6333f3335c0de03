"""``gatewayctl status``: what it shows of a daemon, and what its exit status says."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import daemon, environment
from support.standin import StandIn, standing_in
from support.terminal import gatewayctl

BREAKER = {
    "cause": "rate",
    "name": "up/one",
    "credential": "up",
    "state": "open",
    "remaining": 12.4,
    "failures": 2,
    "kind": "rate_limited",
}
PROVIDER = {
    "name": "up",
    "origin": "https://api.example.com",
    "auth": "key",
    "has_key": True,
    "breakers": [],
    "last_error": None,
    "calls": 12,
    "failures": 3,
}
WELL: dict[str, Any] = {
    "schema_version": 1,
    "version": "9.9",
    "url": "http://127.0.0.1:8790",
    "pid": 4711,
    "started_at": "2026-06-01T00:00:00Z",
    "uptime": 7300.0,
    "config": None,
    "ready": True,
    "degraded": [],
    "in_flight": 2,
    "providers": [PROVIDER],
    "registry": {
        "sources": [
            {
                "name": "litellm",
                "status": "fresh",
                "fetched_at": "2026-06-01T00:00:00Z",
                "attempted_at": "2026-06-01T00:00:00Z",
                "models": 2000,
                "error": None,
            }
        ]
    },
    "learned": [],
    "truncated": [],
    "ledger": {
        "path": "/home/me/ledger.db",
        "bytes": 1_200_000,
        "pending": 1,
        "lost": 0,
        "last_written": "2026-06-01T00:00:00Z",
        "degraded": None,
    },
    "of_a_later_version": True,
}


@pytest.fixture
def answering() -> Iterator[StandIn]:
    """Run something where the daemon should be."""
    with standing_in(json.dumps(WELL).encode()) as server:
        yield server


def told(server: StandIn, **changed: Any) -> tuple[int, str]:
    """Return the exit status and what is printed of a daemon that tells this."""
    server.body = json.dumps({**WELL, **changed}).encode()
    ran = gatewayctl("status", "--url", server.url)
    return ran.status, ran.out


def test_all_is_well(answering: StandIn) -> None:
    """Exit status 0; the daemon, each provider, the registry and the ledger are shown."""
    status, out = told(answering)
    assert status == 0
    assert answering.asked == [("/api/status", b"")]
    assert out.startswith(f"✓ ready  gatewayctl 9.9 at {answering.url}\n")
    for part in (
        "pid 4711 · up for 2 h · 2 under way · no config file",
        "✓ the source is fresh; the oldest was fetched ",
        "/home/me/ledger.db, 1.2MB, last written ",
        "1 records pending, none lost",
    ):
        assert part in out
    assert "up yes 12 3 closed https://api.example.com" in " ".join(out.split())


def test_what_it_falls_short_of_is_listed_and_the_exit_status(answering: StandIn) -> None:
    """3 for a daemon that is degraded or not ready, so that a script sees it."""
    status, out = told(answering, degraded=["the ledger is on a full disk", "and that"])
    assert status == 3
    assert "! degraded  gatewayctl" in out
    assert "\n! the ledger is on a full disk\n! and that\n" in out
    status, out = told(answering, ready=False, degraded=["draining"])
    assert (status, "! not ready  gatewayctl" in out) == (3, True)


def test_breakers_and_last_errors_are_told_once(answering: StandIn) -> None:
    """An origin's breaker is every provider's there; a kind is not said twice."""
    error = {
        "at": "2026-06-01T00:00:00Z",
        "model": "up/one",
        "kind": "rate_limited",
        "said": "HTTP 429: slow down",
    }
    other = {**PROVIDER, "name": "other", "has_key": False, "breakers": [BREAKER]}
    third = {**PROVIDER, "name": "third", "auth": "forward", "has_key": None}
    own = {**PROVIDER, "breakers": [BREAKER, {**BREAKER, "state": "half_open"}]}
    _, out = told(answering, providers=[{**own, "last_error": error}, other, third])
    assert out.count("up/one: open for 12.4 s more (rate_limited, 2 in a row)") == 1
    assert "up/one: half open (rate_limited, 2 in a row)" in out
    assert "ago: rate_limited: HTTP 429: slow down" in out
    words = " ".join(out.split())
    assert "other missing 12 3 1 not closed" in words
    assert "third the client's" in words


def test_what_is_lost_is_counted(answering: StandIn) -> None:
    """Also when the ledger has mended."""
    _, out = told(answering, ledger={**WELL["ledger"], "lost": 1234, "last_written": None})
    assert "nothing written yet" in out
    assert "1,234 lost" in out


def test_no_size_is_told_of_a_ledger_that_has_no_file(answering: StandIn) -> None:
    """And of one that was never written, that its journal may be all there is."""
    ledger = {**WELL["ledger"], "bytes": 0, "last_written": None, "degraded": "it has no folder"}
    _, out = told(answering, ledger=ledger)
    assert "/home/me/ledger.db, no file is there, nothing written yet" in out
    _, out = told(answering, ledger={**ledger, "bytes": 2_000})
    assert "/home/me/ledger.db, 2KB with its journal, nothing written yet" in out


def test_without_providers_and_sources_it_says_so(answering: StandIn) -> None:
    """An empty table would say less."""
    _, out = told(answering, providers=[], registry={"sources": []})
    assert "no provider is configured" in out
    assert "\nno source is asked\n" in out
    off = {**WELL["registry"]["sources"][0], "status": "off"}
    _, out = told(answering, registry={"sources": [off]})
    assert "\nno source is asked (off: litellm)\n" in out


def test_sources_that_are_not_fresh_have_a_line_each(answering: StandIn) -> None:
    """With what is wrong, when it was tried, and when it is due again."""
    fresh = WELL["registry"]["sources"][0]
    failed = {**fresh, "name": "local", "status": "failed", "error": "HTTP 500", "models": 1}
    _, out = told(answering, registry={"sources": [fresh, failed]})
    assert "✓ litellm  fresh        2,000 models, fetched " in out
    assert "✗ local    failed       1 model, fetched " in out
    assert ": HTTP 500" in out


def test_what_replies_taught_is_told(answering: StandIn) -> None:
    """Windows that were given away, with evidence, and prompts that were cut."""
    at = "2026-06-01T00:00:00Z"
    cap = {
        "model": "up/one", "window": 278_528, "cause": "refused", "at": at,
        "evidence": "HTTP 400; it named a limit of 278,528",
    }  # fmt: skip
    cut = {"model": "up/two", "count": 3, "last": {"at": at, "metered": 4095, "low": 9000}}
    _, out = told(answering, learned=[cap], truncated=[cut])
    assert "\nlearned from replies\nup/one: a window of 278,528, " in out
    assert " ago: HTTP 400; it named a limit of 278,528\nup/two: 3 prompts cut, the last " in out
    assert ": 4,095 of at least 9,000 tokens were read\n" in out
    assert "models forget ID" in out
    assert "learned from replies" not in told(answering)[1]


def test_json_is_what_the_daemon_answers(answering: StandIn) -> None:
    """On one line, fields of later versions included; the exit status says the same."""
    answering.body = json.dumps({**WELL, "degraded": ["x"]}).encode()
    ran = gatewayctl("status", "--url", answering.url, "--json")
    assert ran.status == 3
    assert json.loads(ran.out) == {**WELL, "degraded": ["x"]}
    assert ran.out.count("\n") == 1


def test_the_daemons_words_cannot_steer_the_terminal(answering: StandIn) -> None:
    """They hold what providers and clients say."""
    hostile = {**BREAKER, "name": "\x1b[2J", "kind": "\x07", "state": "\x1b"}
    provider = {**PROVIDER, "name": "\x1b", "origin": "\x07", "auth": "\x1b", "has_key": None}
    status, out = told(
        answering,
        version="\x1b",
        config="\x1b",
        degraded=["\x1b"],
        providers=[{**provider, "breakers": [hostile]}],
        ledger={**WELL["ledger"], "path": "\x1b"},
    )
    assert (status, {"\x1b", "\x07"} & set(out)) == (3, set())


def test_another_config_is_said(answering: StandIn, tmp_path: Path) -> None:
    """The daemon may have been started with another file."""
    config = tmp_path / "config.toml"
    config.write_text(f"[server]\nport = {answering.server_port}\n")
    ran = gatewayctl("status", "--config", str(config))
    assert ran.status == 0
    assert ran.err == f"gatewayctl: the daemon reads no config file, and {config} here\n"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"schema_version": 1, "version": 2}'),
        (200, b"<html>"),
        (404, b'{"error": {"message": "nothing is served at /api/status"}}'),
        (500, b'{"error": {"message": "it broke"}}'),
    ],
)
def test_an_answer_that_is_none_exits_4(answering: StandIn, status: int, body: bytes) -> None:
    """Whatever answers there, it is no daemon that can say how it fares."""
    answering.status, answering.body = status, body
    ran = gatewayctl("status", "--url", answering.url)
    assert (ran.status, ran.out) == (4, "")
    assert "Traceback" not in ran.err


def test_no_daemon_exits_4() -> None:
    """And says how one is started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = gatewayctl("status", "--url", f"http://127.0.0.1:{port}")
    assert (ran.status, ran.out) == (4, "")
    assert "gatewayctl serve starts one" in ran.err


def test_a_real_daemon_is_well(tmp_path: Path) -> None:
    """The demo, asked as a person asks; its ledger is where the environment says."""
    env = environment(tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    with daemon("--demo", env=env) as running:
        ran = gatewayctl("status", "--url", running.url, "--json")
        shown = gatewayctl("status", "--url", running.url)
        found = json.loads(ran.out)
        assert (ran.status, shown.status) == (0, 0)
        assert (found["pid"], found["url"]) == (running.process.pid, running.url)
        assert (found["ready"], found["degraded"], found["in_flight"]) == (True, [], 0)
        assert [each["name"] for each in found["providers"]] == ["demo"]
        assert found["ledger"]["path"] == str(tmp_path / "state" / "gatewayctl" / "ledger.db")
