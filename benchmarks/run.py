"""One command that measures this gateway and a peer side by side and writes a table.

``make bench``. These machines are noisy: figures of one run are compared with one another, each is
the median of several rounds with its spread, and the ratio to the peer is what counts. The server
under load has one core to itself where there are two.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import chunks
import lag
import load
import plans
from servers import HERE, pin, server

from gatewayctl.core.model import WireProtocol

ROUNDS = 5
SECONDS = 2.0
CONFIG = """
[server]
log_level = "warning"
[providers.up]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{port}/v1"
auth = "none"
[[models]]
id = "up/m"
context_window = 262144
[[models]]
id = "up/small"
context_window = 8192
[[dispatchers]]
id = "route"
targets = ["up/small", "up/m"]
"""


def median(measure: Callable[[], float], rounds: int = ROUNDS) -> str:
    """Return a measure's median over some rounds with its spread, formatted."""
    values = sorted(measure() for _ in range(rounds))
    return f"{statistics.median(values):,.4g} ({values[0]:,.4g} to {values[-1]:,.4g})"


def process_time(*argv: str) -> float:
    """Return the milliseconds that a command takes."""
    before = time.perf_counter()
    subprocess.run([sys.executable, *argv], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - before) * 1000


LOADING = """
import time
from gatewayctl.registry import snapshot
before = time.perf_counter()
size = sum(1 for _ in snapshot.load().ids())
print((time.perf_counter() - before) * 1e6 * 5000 / size)
"""

# How the daemon loads it, which opens no provider's rows before somebody asks for one.
RELOADING = """
import time, zlib
from gatewayctl.registry import snapshot
from gatewayctl.registry.table import Table
packed = zlib.decompress(snapshot.read(snapshot.TABLE))
Table.load(packed)
before = time.perf_counter()
size = len(Table.load(packed))
print((time.perf_counter() - before) * 1e6 * 5000 / size)
"""

LOOKING_UP = """
import time
from gatewayctl.registry import snapshot
from gatewayctl.registry.lookup import Registry
registry = Registry(snapshot.load())
models = [id.partition("/")[::2] for id in registry.table.ids() if id.startswith("openai/")]
for known in range({known} + 1):
    before = time.perf_counter()
    for model in models:
        registry.facts(*model)
    took = time.perf_counter() - before
print(took * 1e6 / len(models))
"""


def printed(code: str) -> float:
    """Return the figure, in microseconds, that a new process prints."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return float(found.stdout)


def loads(upstream: int, folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Measure gateway and peer in turn, round by round; yield rows with the ratio of medians."""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=upstream))
    gateway = ("-m", "gatewayctl", "serve", "--port", "0", "--config", str(config))
    with server(0, *gateway) as ours, server(0, str(HERE / "naive.py"), str(upstream)) as peer:
        for title, model, size, connections in (
            ("req/s, 525 B, 32 connections", "up/m", 400, 32),
            ("req/s, 525 B, 256 connections", "up/m", 400, 256),
            ("req/s, 100 KB through a dispatcher, 32 connections", "route", 100_000, 32),
        ):
            rates: dict[int, list[float]] = {ours: [], peer: []}
            for _ in range(ROUNDS):
                for port in (ours, peer):
                    payload = load.request(model, size)
                    got = asyncio.run(
                        load.run(port, payload, connections=connections, seconds=SECONDS)
                    )
                    rates[port].append(got.rate)
            ratios = [a / b for a, b in zip(rates[ours], rates[peer], strict=True)]
            yield (
                title,
                f"{statistics.median(rates[ours]):,.0f}",
                f"{statistics.median(rates[peer]):,.0f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            )


def chunk_rows() -> Iterator[str]:
    """Yield the table of what a chunk of a stream costs in each pair of protocols."""
    clients = " | ".join(f"to {client}" for client in WireProtocol)
    yield f"| CPU of one chunk, µs | {clients} |"
    yield "| --- |" + " --- |" * len(WireProtocol)
    for upstream, costs in chunks.costs():
        figures = " | ".join(f"{cost:.1f}" for cost in costs.values())
        yield f"| from {upstream} | {figures} |"


def main() -> None:
    """Print the tables."""
    pin(0, 1)
    print(f"{ROUNDS} rounds of {SECONDS:g} s; median (least to most)\n")
    with tempfile.TemporaryDirectory() as folder, server(1, str(HERE / "upstream.py")) as upstream:
        print("| load | gatewayctl | naive aiohttp proxy | ratio |\n| --- | --- | --- | --- |")
        for row in loads(upstream, Path(folder)):
            print("| " + " | ".join(row) + " |", flush=True)
        print("\n| in process | µs |\n| --- | --- |")
        decision = partial(plans.ten_leaf_plan, Path(folder))
        print(f"| 10-leaf plan | {median(decision)} |", flush=True)
        for title, code in (
            ("loading 5,000 models, every row of them", LOADING),
            ("loading 5,000 models again", RELOADING),
            ("a first look-up", LOOKING_UP.format(known=0)),
            ("a look-up", LOOKING_UP.format(known=1)),
        ):
            print(f"| {title} | {median(partial(printed, code))} |", flush=True)
        print("\n".join(("", *chunk_rows())), flush=True)
        prompt = Path(folder) / "prompt.json"
        prompt.write_bytes(load.body("openai/gpt-4o", 8_000))
        print("\n| command | ms |\n| --- | --- |")
        for title, argv in (
            ("python -c pass", ("-c", "pass")),
            ("gatewayctl --help", ("-m", "gatewayctl", "--help")),
            ("gatewayctl estimate", ("-m", "gatewayctl", "estimate", str(prompt))),
            (
                "gatewayctl estimate --exact",
                ("-m", "gatewayctl", "estimate", "--exact", str(prompt)),
            ),
            (
                "gatewayctl models show openai/gpt-5",
                ("-m", "gatewayctl", "models", "show", "openai/gpt-5"),
            ),
        ):
            print(f"| {title} | {median(partial(process_time, *argv))} |", flush=True)
    print()
    pin(0, None)  # the counting process must not share a core with the loop it spares
    lag.main()


if __name__ == "__main__":
    main()
