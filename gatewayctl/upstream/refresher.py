"""The refreshing process: asks the registry's sources of one job, and ends.

``python -m gatewayctl.upstream.refresher`` is started by ``daemon.refreshing`` and by nobody else:
reading a table holds the interpreter for tens of milliseconds and takes memory that the daemon need
not have. The job comes as a line on standard input, credentials in it, and what came of each source
goes out as a line of JSON; no line holds anything that was sent. The daemon keeps the input open:
where it ends, the daemon is gone, however it went, and this process goes too.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gatewayctl.config.settings import SourceSettings
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.fetching import Access
from gatewayctl.registry.refresh import Refreshed, refresh
from gatewayctl.upstream.download import download

_NICENESS = 5  # requests are forwarded first; a refresh can wait a little


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask: ``folder`` is the cache's, ``now`` the daemon's time in seconds since 1970."""

    folder: str
    now: float
    sources: Mapping[str, SourceSettings]
    access: Mapping[str, Access] = {}


def run(job: Job) -> None:
    """Refresh a job's sources; print a line for each as soon as it has ended."""
    started = time.monotonic()

    def tell(result: Refreshed) -> None:
        with contextlib.suppress(OSError):  # the daemon has gone; what was fetched is stored
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()

    refresh(
        job.sources,
        Cache(Path(job.folder)),
        download,
        access=job.access,
        now=lambda: job.now + time.monotonic() - started,
        on_done=tell,
    )


def _end_with_daemon() -> None:
    """Wait for the end of the input; what is half written is never seen by a reader."""
    with contextlib.suppress(OSError):
        os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def main() -> None:
    """Read the job and run it."""
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_NICENESS)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_daemon, name="waiting for the end", daemon=True).start()
    run(job)


if __name__ == "__main__":
    main()
