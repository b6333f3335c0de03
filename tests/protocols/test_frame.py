"""What an upstream sends, read as JSON or refused."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import frame
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.sse import BadFrame, SseParser

ANY = msgspec.json.Decoder(Any)
TEXT = msgspec.json.Decoder(str)
HALF = rb"\ud83d"
DELTAS = {
    "chat_completions": b'data: {"choices":[{"index":0,"delta":{"content":"a%s"}}]}\n\n',
    "responses": b'data: {"type":"response.output_text.delta","output_index":0,"delta":"a%s"}\n\n',
    "messages": (
        b'data: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"a%s"}}\n\n'
    ),
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"a%s"}]}}]}\n\n',
}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"a\ud83d", "a\ufffd"),
        (rb"\ude00b", "\ufffdb"),
        (rb"\uD83D\ud83d\uDE00", "\ufffd\U0001f600"),
        (rb"\\ud83d\ud83d", "\\ud83d\ufffd"),
        (rb"\ud83d\n\ude00", "\ufffd\n\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_costs_one_character_and_no_more(
    written: bytes, meant: str
) -> None:
    """Whole pairs stay, and so does what only looks like an escape."""
    assert frame.read(TEXT, b'"%s"' % written, "a text") == meant


@pytest.mark.parametrize("data", [b"", b"[", b"\xff", HALF, b'["' + HALF, b"[" * 5000])
def test_what_is_no_json_is_a_bad_frame(data: bytes) -> None:
    """Halves of pairs are no excuse for anything else."""
    with pytest.raises(BadFrame):
        frame.read(ANY, data, "anything")


@pytest.mark.parametrize("protocol", DELTAS)
def test_a_stream_whose_pieces_end_inside_of_a_character_goes_on(protocol: str) -> None:
    """Its events are content, read as it is, and pass as they came where nothing is translated."""
    codec = CODECS[WireProtocol(protocol)]
    [event] = SseParser(1 << 20).feed(DELTAS[protocol] % HALF)
    watcher = codec.watcher(usage_requested=True)
    assert watcher.see(event) is Phase.CONTENT
    assert watcher.release(event) == event.raw
    told = codec.event_reader().read(event)
    assert "a\ufffd" in [getattr(each, "text", None) for each in told]
