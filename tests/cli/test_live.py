"""``route-explain --live``: whom it asks, and what it says when nobody gives a good answer."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.standin import StandIn, standing_in
from support.terminal import Ran, gatewayctl

ANSWER = {
    "schema_version": 1,
    "requested": "coding",
    "route_kind": "model",
    "shape": {
        "protocol": "chat_completions",
        "body_bytes": 2,
        "stream": False,
        "needs": [],
        "output_budget": None,
    },
    "chosen": None,
    "attempts": [],
    "skipped": [],
    "tree": None,
    "notes": ["the daemon \u001b[31mspeaks"],
    "session": {"inferred": False, "turn": 2, "picks": {"coding": "up/large"}},
    "models": {},
    "error": None,
}


@pytest.fixture
def daemon() -> Iterator[StandIn]:
    """Run something where the daemon should be."""
    with standing_in(json.dumps(ANSWER).encode()) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, daemon: StandIn) -> Path:
    """Write the config of a client, which says where the daemon is."""
    path = tmp_path / "config.toml"
    path.write_text(f"[server]\nport = {daemon.server_port}\n")
    return path


def explain(*argv: str, stdin: bytes = b"Hi") -> Ran:
    """Ask the daemon for ``coding``."""
    return gatewayctl("route-explain", "coding", *argv, stdin=stdin)


def test_the_daemon_of_the_config_is_asked_with_every_option(daemon: StandIn, config: Path) -> None:
    """The body goes as it is; what is not said is not in the query."""
    ran = explain(
        *("--live", "--config", str(config), "--json", "--session", "a b", "--seed", "7"),
        *("--max-output", "9", "--protocol", "text"),
        stdin=b"\xff as it is",
    )
    assert (ran.status, json.loads(ran.out)) == (0, ANSWER)
    ((target, body),) = daemon.asked
    assert body == b"\xff as it is"
    assert urlsplit(target).path == "/api/route-explain"
    assert parse_qs(urlsplit(target).query) == {
        "model": ["coding"],
        "protocol": ["text"],
        "seed": ["7"],
        "session": ["a b"],
        "max_output": ["9"],
    }


def test_a_url_is_asked_in_place_of_the_configs(daemon: StandIn) -> None:
    """No config is needed for that."""
    ran = explain("--url", f"{daemon.url}/", "--json")
    assert ran.status == 0
    assert daemon.asked[0][0] == "/api/route-explain?model=coding"


def test_whose_config_decided_is_said(daemon: StandIn, config: Path) -> None:
    """The daemon may read another file than the command line does."""
    ran = explain("--live", "--config", str(config))
    assert f"planned by the daemon at {daemon.url} from /etc/gatewayctl.toml" in ran.out
    assert ran.err == (f"gatewayctl: the daemon reads /etc/gatewayctl.toml, and {config} here\n")


def test_what_sessions_keep_is_shown_and_cannot_steer_the_terminal(daemon: StandIn) -> None:
    """The daemon's words are foreign text like any other."""
    ran = explain("--url", daemon.url)
    assert "turn 2; coding keeps up/large" in ran.out
    assert "\x1b" not in ran.out


def test_without_a_daemon_it_exits_4(tmp_path: Path) -> None:
    """And says how to start one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "config.toml"
    config.write_text(f"[server]\nport = {port}\n")
    ran = explain("--live", "--config", str(config))
    assert ran.status == 4
    assert f"no daemon listens at http://127.0.0.1:{port}" in ran.err
    assert "gatewayctl serve" in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    ("name", "status", "body", "expected", "said"),
    [
        ("nginx", 200, b"{}", 4, "is not gatewayctl"),
        ("gatewayctl", 200, b"<html>", 4, "gave an answer that is none"),
        ("gatewayctl", 404, b"no", 4, "gave an answer that is none"),
        ("gatewayctl", 500, b'{"error": {"message": "it broke"}}', 4, "failed: it broke"),
        ("gatewayctl", 400, b'{"error": {"message": "$.x: no"}}', 2, "says: $.x: no"),
    ],
)
def test_an_answer_that_is_none_is_told_from_an_unreadable_request(
    daemon: StandIn, name: str, status: int, body: bytes, expected: int, said: str
) -> None:
    """2 when the daemon cannot read the request, 4 when it cannot be asked."""
    daemon.name, daemon.status, daemon.body = name, status, body
    ran = explain("--url", daemon.url)
    assert ran.status == expected
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("url", ["http://example.com", "https://127.0.0.1", "127.0.0.1:1", "x"])
def test_nothing_beyond_this_machine_is_asked(url: str) -> None:
    """The request may hold secrets."""
    ran = explain("--url", url)
    assert ran.status == 2
    assert "no address of a daemon" in ran.err


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, "there is no operator.key"),
        ("junk", "holds no operator's key; remove it"),
        (f"gwo-{'x' * 43}", "has to be restarted since the file has changed"),
    ],
)
def test_a_key_that_the_daemon_does_not_know_says_what_to_do(
    daemon: StandIn, folder: Path, kept: str | None, said: str
) -> None:
    """By what stands in this user's own file."""
    if kept is not None:
        folder.mkdir(parents=True)
        (folder / "operator.key").write_text(kept)
    daemon.status, daemon.body = 401, b'{"error":{"message":"who asks?"}}'
    ran = explain("--url", daemon.url)
    assert (ran.status, said in ran.err) == (4, True)
