"""The daemon's life as a process: what it says, where it listens, how it ends."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.daemon import Daemon, daemon, environment

from gatewayctl.daemon.lifecycle import signals

HUP = HANG_UP = getattr(signal, "SIGHUP", signal.SIGINT)
if signal.getsignal(HANG_UP) is signal.SIG_IGN:  # under nohup, as whatever is started from here
    HANG_UP = signal.SIGINT
"""What a terminal that is closed sends."""

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


def post(url: str, model: str) -> dict[str, object]:
    """Ask a running daemon for a chat completion."""
    body = json.dumps({"model": model, **HELLO}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", data=body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        told: dict[str, object] = json.loads(answer.read())
        return told


def refuses(url: str) -> bool:
    """Say whether nobody may connect there any more, within ten seconds."""
    host, _, port = url.rpartition("/")[2].rpartition(":")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.01)
    return False


def run(*argv: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gatewayctl", *argv],
        env=environment(home, **env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_config_and_key_the_demo_is_served_and_tells_how_to_use_it(
    tmp_path: Path,
) -> None:
    """The printed curl line works as it stands."""
    with daemon(env=environment(tmp_path)) as running:
        assert post(running.url, "demo-dispatcher")["object"] == "chat.completion"
        assert running.stop() == 0
    told = "".join(running.log)
    assert "demo-cascade" in told
    assert f"curl {running.url}/v1/chat/completions" in told


def test_the_printed_curl_line_works_when_pasted(tmp_path: Path) -> None:
    """A newcomer copies it into a shell."""
    with daemon("--demo", env=environment(tmp_path)) as running:
        wait_for(running, "Ctrl-C")
        (line,) = [line for line in running.log if line.startswith("curl ")]
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=20, check=True
        )
        assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_loopback_listens_on_both_addresses_with_the_same_port(tmp_path: Path) -> None:
    """127.0.0.1 and, where the machine has it, ::1."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
    with daemon("--demo", env=environment(tmp_path)) as running:
        port = running.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]", "localhost"):
            with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=10) as answer:
                assert answer.status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_is_under_way_and_exits_0(tmp_path: Path, how: int) -> None:
    """A request that takes a second is answered although the signal came first."""
    config = tmp_path / "config.toml"
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        config.write_text(
            f'[providers.up]\nkind = "openai-compatible"\nauth = "none"\n'
            f'base_url = "http://127.0.0.1:{port}/v1"\n'
        )
        with daemon("--config", str(config), env=environment(tmp_path)) as running:
            got: list[dict[str, object]] = []
            asking = threading.Thread(target=lambda: got.append(post(running.url, "up/m")))
            asking.start()
            upstream, _ = slow.accept()
            running.process.send_signal(how)
            wait_for(running, "draining")
            assert refuses(running.url)
            reply = json.dumps({"object": "chat.completion", "choices": []}).encode()
            head = (
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(reply)}"
            )
            upstream.recv(65536)
            upstream.sendall(head.encode() + b"\r\n\r\n" + reply)
            asking.join(10)
            assert got[0]["object"] == "chat.completion"
            assert running.process.wait(10) == 0
            upstream.close()


def test_a_body_that_is_still_coming_when_the_signal_comes_is_read_to_its_end(
    tmp_path: Path,
) -> None:
    """Its request is answered like any other under way, and the end waits for no more than it."""
    body = json.dumps({"model": "demo/large", **HELLO}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}"
    with daemon("--demo", env=environment(tmp_path)) as running:
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(head.encode() + b"\r\nexpect: 100-continue\r\n\r\n")
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it is under way
            client.sendall(body[:9])
            running.process.send_signal(signal.SIGTERM)
            wait_for(running, "draining")
            client.sendall(body[9:])
            with client.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                assert b"chat.completion" in answer.read()
        assert running.process.wait(10) == 0


def wait_for(running: Daemon, said: str) -> None:
    """Wait until the log says something."""
    deadline = time.monotonic() + 10
    while said not in "".join(running.log) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not want to wait for a slow upstream."""
    config = tmp_path / "config.toml"
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        config.write_text(
            f'[providers.up]\nkind = "openai-compatible"\nauth = "none"\n'
            f'base_url = "http://127.0.0.1:{port}/v1"\n'
        )
        with daemon("--config", str(config), env=environment(tmp_path)) as running:
            ends: list[Exception] = []

            def ask() -> None:
                try:
                    post(running.url, "up/m")
                except (urllib.error.URLError, ConnectionError) as end:
                    ends.append(end)

            asking = threading.Thread(target=ask)
            asking.start()
            upstream, _ = slow.accept()
            running.process.send_signal(signal.SIGINT)
            wait_for(running, "draining")
            assert running.process.poll() is None
            assert running.stop(signal.SIGINT) == 0
            asking.join(10)
            assert isinstance(ends[0], ConnectionError)  # no reply that blames the upstream
            upstream.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, HANG_UP])
def test_signals_in_quick_succession_end_it_like_one(tmp_path: Path, how: int) -> None:
    """Whatever it is closing when the next one comes, the exit status stays 0."""
    with daemon("--demo", env=environment(tmp_path)) as running:
        wait_for(running, "Ctrl-C")
        while running.process.poll() is None:
            running.process.send_signal(how)
            time.sleep(0.01)
        assert running.process.returncode == 0
    assert "Traceback" not in "".join(running.log)


@pytest.mark.skipif(sys.platform == "win32", reason="no terminal hangs up there")
@pytest.mark.parametrize("ignored", [False, True], ids=["usual", "nohup"])
async def test_a_terminal_that_is_closed_ends_it_unless_that_is_ignored(*, ignored: bool) -> None:
    """Who starts it with nohup wants it to stay."""
    before = {each: signal.getsignal(each) for each in (HUP, signal.SIGTERM, signal.SIGINT)}
    signal.signal(HUP, signal.SIG_IGN if ignored else lambda *_: None)
    try:
        with signals() as stop:
            assert (signal.getsignal(HUP) is signal.SIG_IGN) is ignored
            if not ignored:
                signal.raise_signal(HUP)
                async with asyncio.timeout(10):
                    await stop.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    """Exit 1, what happened and what to do, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--demo", "--port", str(port), home=tmp_path)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_beyond_loopback_needs_client_keys(tmp_path: Path) -> None:
    """Nobody opens a gateway to the network by an option alone."""
    done = run("serve", "--demo", "--host", "0.0.0.0", home=tmp_path)
    assert done.returncode == 2
    assert "client keys" in done.stderr


def test_a_config_with_errors_is_shown_and_not_served(tmp_path: Path) -> None:
    """Exit 1 with the problems; exit 2 where it cannot be opened."""
    config = tmp_path / "config.toml"
    config.write_text("[server]\nprot = 1\n")
    done = run("serve", "--config", str(config), home=tmp_path)
    assert done.returncode == 1
    assert "prot" in done.stderr
    assert run("serve", "--config", str(tmp_path / "no.toml"), home=tmp_path).returncode == 2


def test_the_log_can_be_json(tmp_path: Path) -> None:
    """One object a line, with what happened and nothing of the prompt."""
    with daemon("--demo", "--log-format", "json", env=environment(tmp_path)) as running:
        post(running.url, "demo-dispatcher")
        running.stop()
    lines = [json.loads(line) for line in running.log if line.startswith("{")]
    assert any("answered by demo/small" in line["message"] for line in lines)
    assert "Hello" not in json.dumps(lines)
