"""Streams on their way from an upstream to a client, without sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.daemon.outlet import Outlet
from gatewayctl.daemon.relay import SLICE, Stream
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.translation import Passage, Verbatim
from gatewayctl.upstream.client import Reply

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
BURST = WORD * 4000 + b"data: [DONE]\n\n"  # some fifteen slices


class _Reply:
    """An upstream's reply of which everything has come already."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield it all at once."""
        yield BURST


class _Outlet:
    """What a client got, and how often others had the loop until then."""

    def __init__(self) -> None:
        self.passage: Passage | None = None
        self.opened = False
        self.got: list[bytes] = []
        self.turns = 0

    async def write(self, data: bytes) -> None:
        """Take it without waiting."""
        self.got.append(data)

    async def look(self) -> None:
        """Count turns of the loop."""
        while True:
            await asyncio.sleep(0)
            self.turns += 1


def nothing(*_: object) -> None:
    """Take no notice."""


async def test_a_burst_of_events_leaves_the_loop_to_others_and_arrives_whole() -> None:
    """An upstream that is far ahead does not hold up who else is served, before or after."""
    watcher = CHAT.watcher(usage_requested=False)
    passage = Verbatim(CHAT, watcher, nothing)
    reply, secrets = cast("Reply", _Reply()), cast("Any", nothing)
    stream = Stream(
        reply, CHAT.protocol, passage, secrets, buffer=False, first=nothing, progress=nothing
    )
    outlet = _Outlet()
    looking = asyncio.create_task(outlet.look())
    await stream.commit()
    assert await stream.forward(cast("Outlet", outlet), cast("Any", nothing)) is None
    looking.cancel()
    assert b"".join(outlet.got) == BURST
    assert stream.ended is Phase.TERMINAL
    assert max(map(len, outlet.got)) <= SLICE + len(WORD)
    assert outlet.turns > 10
