"""A daemon as users run it: a process of its own, started from the command line."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from support.watch import in_text

_LISTENING = re.compile(r"gatewayctl listening on (http://\S+)")


class Daemon(msgspec.Struct, kw_only=True):
    """A running ``gatewayctl serve``; ``log`` gathers what it says on stderr."""

    url: str
    process: subprocess.Popen[str]
    log: list[str]

    def stop(self, how: int = signal.SIGTERM, *, seconds: float = 20) -> int:
        """Send a signal, wait, and return the exit status."""
        self.process.send_signal(how)
        return self.process.wait(seconds)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with a home of its own and without any provider's key."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONUNBUFFERED": "1", **more}


@contextlib.contextmanager
def daemon(*options: str, env: Mapping[str, str], port: int = 0) -> Iterator[Daemon]:
    """Run ``gatewayctl serve`` with these options until it listens; end it with the block.

    A config that says nothing of the registry asks none of its sources: they are on the internet.
    """
    if "--config" in options:
        _keep_in(Path(options[options.index("--config") + 1]))
    argv = [sys.executable, "-m", "gatewayctl", "serve", "--port", str(port), *options]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=dict(env))
    log: list[str] = []
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, log, lines), daemon=True)
    reader.start()
    try:
        yield Daemon(url=_url(lines, log), process=process, log=log)
        assert (found := in_text("".join(log))) is None, f"the log holds {found}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        reader.join(10)
        if process.stderr is not None:
            process.stderr.close()


def _keep_in(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    if "[registry" not in text:
        config.write_text(f'{text}\n[registry]\nrefresh = "manual"\n', encoding="utf-8")


def _url(lines: "queue.SimpleQueue[str | None]", log: list[str]) -> str:
    while (line := lines.get(timeout=30)) is not None:
        if found := _LISTENING.search(line):
            return found[1]
    raise AssertionError("the daemon ended before it listened:\n" + "".join(log))


def _read(
    process: subprocess.Popen[str], log: list[str], lines: "queue.SimpleQueue[str | None]"
) -> None:
    for line in process.stderr or ():
        log.append(line)
        lines.put(line)
    lines.put(None)
