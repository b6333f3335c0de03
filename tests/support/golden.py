"""The golden files: tests/fixtures/<protocol>/<case>/, written from the APIs' published shapes."""

from pathlib import Path
from typing import Any

import msgspec

from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.sse import SseEvent, SseParser

_ROOT = Path(__file__).parents[1] / "fixtures"
_PROTOCOLS = (WireProtocol.CHAT_COMPLETIONS, WireProtocol.RESPONSES, WireProtocol.MESSAGES)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case: a request, the reply to it whole and as a stream, and what is read of them."""

    protocol: WireProtocol
    name: str
    request: bytes
    reply: bytes
    stream: bytes
    expected: dict[str, Any]

    @property
    def events(self) -> list[SseEvent]:
        """The stream's events."""
        return SseParser(1 << 20).feed(self.stream)

    @property
    def phases(self) -> list[Phase]:
        """What each event means."""
        return [Phase[name.upper()] for name in self.expected["phases"]]


def _load(protocol: WireProtocol, folder: Path) -> Case:
    return Case(
        protocol=protocol,
        name=folder.name,
        request=(folder / "request.json").read_bytes(),
        reply=(folder / "reply.json").read_bytes(),
        stream=(folder / "stream.sse").read_bytes(),
        expected=msgspec.json.decode((folder / "expected.json").read_bytes()),
    )


CASES = [
    _load(protocol, folder)
    for protocol in _PROTOCOLS
    for folder in sorted((_ROOT / protocol).iterdir())
]
