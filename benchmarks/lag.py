"""How long a request of a million tokens holds up the others: the daemon's loop lag.

A prober asks ``/healthz`` over and over on one connection, first alone, then while another client
sends prompts of 4 MB that must be counted exactly. Both runs use the same process; what counts is
how much later the slowest answers come.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import aiohttp
import msgspec
from servers import HERE, server

TOKENS = 1_000_000
SECONDS = 8.0
PAUSE = 0.002

CONFIG = """
[server]
log_level = "warning"
[providers.openai]
base_url = "http://127.0.0.1:{port}/v1"
auth = "none"
[[models]]
id = "openai/gpt-4o-small"
context_window = 900000
tokenizer = "tiktoken:o200k_base"
[[models]]
id = "openai/gpt-4o-large"
context_window = 1100000
max_output_tokens = 1000
tokenizer = "tiktoken:o200k_base"
[[dispatchers]]
id = "route"
targets = ["openai/gpt-4o-small", "openai/gpt-4o-large"]
"""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds that an answer took: median, 99th percentile and the slowest."""

    median: float
    p99: float
    worst: float
    asked: int


def prompt(words: list[str], seed: int) -> bytes:
    """Return a request of about a million tokens, of words in an order of its own."""
    chance = random.Random(seed)  # noqa: S311 - text, no secret
    text = " ".join(chance.choices(words, k=TOKENS * 3 // 4))
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "route", "max_tokens": 100, "messages": messages}).encode()


async def probed(url: str, until: Awaitable[object]) -> Lag:
    """Ask for ``/healthz`` until something is done."""
    took: list[float] = []
    done = asyncio.ensure_future(until)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as client:
        while not done.done():
            before = time.perf_counter()
            async with client.get(f"{url}/healthz") as reply:
                await reply.read()
            took.append((time.perf_counter() - before) * 1000)
            await asyncio.sleep(PAUSE)
    await done
    took.sort()
    return Lag(
        median=took[len(took) // 2],
        p99=took[len(took) * 99 // 100],
        worst=took[-1],
        asked=len(took),
    )


async def posting(url: str, bodies: list[bytes]) -> AsyncIterator[float]:
    """Send the bodies one after the other; yield the seconds that each took."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        for body in bodies:
            before = time.perf_counter()
            async with client.post(f"{url}/v1/chat/completions", data=body) as reply:
                answer = await reply.read()
                if reply.status != 200:  # noqa: PLR2004 - HTTP's own
                    raise RuntimeError(f"{reply.status}: {answer[:300]!r}")
            yield time.perf_counter() - before


async def measured(url: str) -> tuple[Lag, Lag, float]:
    """Return the lag alone, the lag under prompts of a million tokens, and seconds per prompt."""
    words = [word for word in (__doc__ or "").split() if word.isalpha()]
    bodies = [prompt(words, seed) for seed in range(20)]
    async for _ in posting(url, [prompt(words, 99)]):  # starts the counting process
        await asyncio.sleep(0)
    idle = await probed(url, asyncio.sleep(SECONDS))
    times: list[float] = []

    async def post() -> None:
        times.extend([took async for took in posting(url, bodies)])

    busy = await probed(url, post())
    return idle, busy, sorted(times)[len(times) // 2]


def main() -> None:
    """Print the lag of a daemon of its own."""
    with tempfile.TemporaryDirectory() as folder, server(None, str(HERE / "upstream.py")) as port:
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG.format(port=port))
        gateway = ("-m", "gatewayctl", "serve", "--port", "0", "--config", str(config))
        with server(None, *gateway) as ours:
            idle, busy, seconds = asyncio.run(measured(f"http://127.0.0.1:{ours}"))
    print("| answers of /healthz, ms | median | p99 | slowest | asked |")
    print("| --- | --- | --- | --- | --- |")
    for title, lag in (("alone", idle), ("beside prompts of 1M tokens", busy)):
        figures = f"{lag.median:.2f} | {lag.p99:.2f} | {lag.worst:.2f} | {lag.asked}"
        print(f"| {title} | {figures} |")
    print(f"\nA prompt of 1M tokens, counted exactly: {seconds:.2f} s")


if __name__ == "__main__":
    main()
