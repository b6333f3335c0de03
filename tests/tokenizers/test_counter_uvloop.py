"""The loop that the daemon runs where it exists talks to the counting process as asyncio's does."""

import asyncio
import json
import os
import signal

import pytest

from gatewayctl.core.errors import CountUnavailable
from gatewayctl.core.model import WireProtocol
from gatewayctl.tokenizers.count import count
from gatewayctl.tokenizers.counter import Counter

uvloop = pytest.importorskip("uvloop")

CHAT = WireProtocol.CHAT_COMPLETIONS
TEXT = "one two three four five. " * 40_000
LARGE = json.dumps({"model": "m", "messages": [{"role": "user", "content": TEXT}]}).encode()


async def scenario() -> None:
    """Count, lose the process in the middle of a count, cancel another, and count again."""
    expected = {"cl100k_base": count(CHAT, LARGE, "cl100k_base")}
    counter = Counter()
    try:
        assert await counter.count(CHAT, LARGE, expected) == expected
        assert counter.pid is not None
        os.kill(counter.pid, signal.SIGSTOP)
        lost = asyncio.create_task(counter.count(CHAT, LARGE, expected))
        left = asyncio.create_task(counter.count(CHAT, LARGE, expected))
        await asyncio.sleep(0.02)
        left.cancel()
        os.kill(counter.pid, signal.SIGKILL)
        with pytest.raises(CountUnavailable):
            await lost
        assert await counter.count(CHAT, LARGE, expected) == expected
    finally:
        await counter.close()


def test_the_counter_works_with_uvloop() -> None:
    """A killed process and a client that left cost the others nothing, on this loop too."""
    uvloop.run(scenario())
