"""What a daemon that held large bodies gives back."""

import asyncio
import ctypes
import gc
import sys
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from support.daemon import daemon, environment
from support.dialects import PATHS, encoded
from support.gateway import demo
from support.waiting import until

from gatewayctl.daemon.asked import Asked
from gatewayctl.daemon.books import Entry
from gatewayctl.simulator.server import start

MB = 1024 * 1024

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{}/v1"
auth = "none"
protocols = ["chat_completions"]
"""


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc only"
)
async def test_the_memory_of_large_bodies_is_given_back(tmp_path: Path) -> None:
    """After bodies of 16 and 48 MB the daemon is about as small as before."""
    config = tmp_path / "config.toml"
    simulator = await start()
    try:
        config.write_text(CONFIG.format(simulator.base_url), encoding="utf-8")
        with daemon("--config", str(config), env=environment(tmp_path)) as running:
            before = resident(running.process.pid)
            url = f"{running.url}/v1/chat/completions"
            for size in (16, 48, 16, 48):
                posting = (asyncio.to_thread(_post, url, _body(size * MB)) for _ in range(3))
                await asyncio.gather(*posting)
            assert resident(running.process.pid) < before + 24 * MB
    finally:
        await simulator.close()


@pytest.mark.parametrize(
    ("fault", "stream", "gone"),
    [
        ("", False, {Asked, Entry}),
        ("!500", False, {Asked, Entry}),
        ("", True, {Asked}),
        ("!500", True, {Asked, Entry}),
        ("!cut-events=6", True, {Asked, Entry}),
    ],
)
async def test_a_request_that_is_over_is_let_go_of_at_once(
    fault: str, gone: set[type], *, stream: bool
) -> None:
    """Nothing leads back to it that the garbage collector has to find: that may be in hours."""
    body = encoded("chat_completions", f"demo/large{fault}", "Hi", stream=stream)
    gc.collect()
    gc.disable()
    try:
        async with demo() as (running, _):
            url = running.url + PATHS["chat_completions"]
            async with running.client.post(url, data=body) as answer:
                await answer.read()
            await until(lambda: gone.isdisjoint(map(type, gc.get_objects())))
    finally:
        gc.enable()


def _body(size: int) -> bytes:
    said = [{"role": "user", "content": "x" * size}]
    return msgspec.json.encode({"model": "up/unknown-one", "messages": said})


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            reply.read()
    except urllib.error.HTTPError as refused:
        refused.close()  # what the upstream says of it is not at stake
