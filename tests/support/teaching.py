"""A process that learns as fast as it can, and what there is to learn.

Run as ``python -m support.teaching FOLDER NAME``: it prints a line for each of its rounds that is
in the database, until it is killed, or closes its knowledge after its standard input ends.
"""

import asyncio
import itertools
import select
import sys
import time
from pathlib import Path
from typing import Final

from support.waiting import until

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.correction import GROUPS, Sample
from gatewayctl.core.learning import Cap, Cause, Truncation
from gatewayctl.storage.knowledge import Knowledge, read

AT: Final = "2026-01-02T03:04:05Z"


def cap(window: int = 4096, over: int | None = 40_960) -> Cap:
    """Return a cap that an upstream named."""
    return Cap(
        window=window, at=AT, evidence="it said so", cause=Cause.REFUSED, over=over, sure=True
    )


def cut(metered: int = 4096) -> Truncation:
    """Return a truncation."""
    return Truncation(at=AT, metered=metered, low=9000)


def sample(tokens: int = 1000) -> Sample:
    """Return a sample of a model that needs as many tokens as is usual."""
    return Sample(features=(tokens * 1000 // len(GROUPS),) * len(GROUPS), tokens=tokens)


def anchor(tokens: int = 1000) -> Anchor:
    """Return an anchor."""
    return Anchor(tokens=tokens, raw=tokens)


def digest(number: int) -> bytes:
    """Return the digest of a beginning."""
    return number.to_bytes(16, "big")


def opened(folder: Path, *, observe_every: float = 0.0) -> Knowledge:
    """Open a knowledge that looks at new samples at once."""
    return Knowledge.open(folder, time.time, observe_every=observe_every)


async def _run(folder: Path, name: str) -> None:
    knowledge = opened(folder)
    for n in itertools.count(1):
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        knowledge.learned(f"{name}/own", cap(4096 + n))
        for _ in range(5):
            knowledge.truncated("all/one", cut())
            knowledge.sampled("all/one", sample(1000 + n))
        knowledge.anchored(f"{name}/own", digest(n), anchor(n))
        await until(lambda n=n: read(folder).cap(f"{name}/own") == cap(4096 + n))  # type: ignore[misc]
        sys.stdout.write(f"{n}\n")
        sys.stdout.flush()
    await knowledge.close()
    assert knowledge.degraded is None


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2]))
