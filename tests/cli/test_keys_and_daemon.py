"""Client keys between processes: commands that make and end them, and the daemon that asks."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.daemon import Daemon, daemon, environment

BODY = json.dumps(
    {"model": "demo/small", "messages": [{"role": "user", "content": "Hello!"}]}
).encode()


def command(env: Mapping[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    words = [sys.executable, "-m", "gatewayctl", *argv]
    return subprocess.run(words, env=dict(env), capture_output=True, text=True, check=False)


def ask(url: str, key: str | None) -> int:
    """Ask for an answer, and return the status."""
    headers = {} if key is None else {"x-api-key": key}
    request = urllib.request.Request(f"{url}/v1/chat/completions", BODY, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Daemon, dict[str, str]]]:
    """Run the demo in a process, with a home of its own."""
    env = environment(tmp_path)
    with daemon("--demo", env=env) as it:
        yield it, env


def test_a_running_daemon_follows_the_commands(running: tuple[Daemon, dict[str, str]]) -> None:
    """Open at first; from the first key on that and no other lets in, until it is revoked."""
    it, env = running
    assert ask(it.url, None) == 200
    made = command(env, "keys", "create", "ci")
    assert made.returncode == 0, made.stderr
    first = made.stdout.strip()
    time.sleep(0.25)  # the daemon looks at the file again after a fifth of a second
    assert [ask(it.url, key) for key in (first, None, "gwk-other")] == [200, 401, 401]
    second = command(env, "keys", "rotate", "ci").stdout.strip()
    assert ask(it.url, second) == 200
    assert ask(it.url, first) == 401
    assert command(env, "keys", "revoke", "ci").returncode == 0
    time.sleep(0.25)
    assert [ask(it.url, key) for key in (second, None)] == [401, 401]
    log = "".join(it.log)
    assert first not in log
    assert second not in log


def test_the_command_line_may_ask_a_daemon_that_asks_for_keys(
    running: tuple[Daemon, dict[str, str]], tmp_path: Path
) -> None:
    """It shows the operator's key, which another user's has not."""
    it, env = running
    command(env, "keys", "create", "ci")
    time.sleep(0.25)
    told = command(env, "status", "--url", it.url, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["ready"]
    other = environment(tmp_path / "other")
    stranger = command(other, "status", "--url", it.url)
    assert stranger.returncode == 4
    assert "operator.key" in stranger.stderr


def test_commands_at_once_lose_no_key(tmp_path: Path) -> None:
    """Each process makes its own, and all are there."""
    env = environment(tmp_path)
    words = [sys.executable, "-m", "gatewayctl", "keys", "create"]
    making = [
        subprocess.Popen([*words, f"k{number}"], env=env, stdout=subprocess.PIPE, stderr=-1)
        for number in range(4)
    ]
    for each in making:
        each.communicate(timeout=60)
        assert each.returncode == 0
    found = json.loads(command(env, "keys", "list", "--json").stdout)["keys"]
    assert {each["name"] for each in found} == {"k0", "k1", "k2", "k3"}


def test_with_a_key_the_gateway_may_listen_beyond_loopback(tmp_path: Path) -> None:
    """By an option or by the config, which is valid then; and nobody comes in without one."""
    env = environment(tmp_path)
    config = tmp_path / "config.toml"
    config.write_text('[server]\nhost = "0.0.0.0"\n')
    check = ("config", "validate", str(config))
    assert command(env, *check).returncode == 1
    assert "client keys" in command(env, "serve", "--demo", "--host", "0.0.0.0").stderr
    key = command(env, "keys", "create", "ci").stdout.strip()
    assert command(env, *check).returncode == 0
    with daemon("--demo", "--host", "0.0.0.0", env=env) as it:
        url = f"http://127.0.0.1:{it.url.rpartition(':')[2]}"
        assert [ask(url, each) for each in (key, None)] == [200, 401]
        assert it.stop() == 0
    assert '-H "x-gatewayctl-key: $KEY"' in "".join(it.log)
