"""What one chunk of a stream costs on its way from an upstream to a client, in every pair.

From the bytes of one event to the bytes that the client gets, without sockets: parsing, the side
parser, and where the protocols differ the translation. CPU time, since the loop has nothing else
to do meanwhile.
"""

import time
from collections.abc import Iterable, Iterator

from gatewayctl.core.conversation import Message, Prompt, Role, Text
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    Stop,
    TextDelta,
    Usage,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.sse import SseParser
from gatewayctl.protocols.translation import Passage, Translated, Verbatim

CHUNKS = 2_000
_LIMIT = 1 << 20


def costs() -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each upstream's protocol with the microseconds a chunk for each client's."""
    for upstream in WireProtocol:
        stream = _stream(upstream)
        yield upstream, {client: _cost(stream, upstream, client) for client in WireProtocol}


def _cost(stream: list[bytes], upstream: WireProtocol, client: WireProtocol) -> float:
    """Return the least of a few rounds: what is more is the machine's noise."""
    return min(_round(stream, upstream, client) for _ in range(3)) / len(stream) * 1e6


def _round(stream: list[bytes], upstream: WireProtocol, client: WireProtocol) -> float:
    parser, passage = SseParser(_LIMIT), _passage(upstream, client)
    before = time.process_time()
    for chunk in stream:
        for event in parser.feed(chunk):
            passage.watcher.see(event)
            passage.take(event)
            passage.release()
    return time.process_time() - before


def _passage(upstream: WireProtocol, client: WireProtocol) -> Passage:
    codec = CODECS[upstream]
    watcher = codec.watcher(usage_requested=True)
    if upstream is client:
        return Verbatim(codec, watcher, lambda _: None)
    return Translated(CODECS[client], codec, watcher, _context(client))


def _context(client: WireProtocol) -> ReplyContext:
    asked = (Message(role=Role.USER, parts=(Text(text="Hi"),)),)
    prompt = Prompt(protocol=client, model="m", messages=asked, stream=True, include_usage=True)
    return ReplyContext(id="req_0", origin="up/m", prompt=prompt, now=time.time)


def _stream(upstream: WireProtocol) -> list[bytes]:
    """Return a stream of an upstream, an event a piece: mostly text, and some of a call."""
    writer = CODECS[upstream].event_writer(_context(upstream))
    whole = b"".join(writer.write([event]) for event in _events())
    return [block + b"\n\n" for block in whole.split(b"\n\n") if block]


def _events() -> Iterable[Event]:
    yield Begun(id="m", model="m", created=0)
    yield from (TextDelta(text=f"word {number} ") for number in range(CHUNKS))
    yield CallBegun(call=0, id="call_1", name="look")
    yield CallDelta(call=0, arguments='{"places":[')
    yield from (CallDelta(call=0, arguments=f"{number},") for number in range(CHUNKS // 4))
    yield CallDelta(call=0, arguments="0]}")
    yield Metered(usage=Usage(input=10, output=CHUNKS))
    yield Finished(stop=Stop.CALLS)
    yield Ended()
