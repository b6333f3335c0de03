"""Reading request bodies, as far as all protocols do it alike: see ``codec.Reader``.

Light: whoever only sizes and routes requests loads no translator. What a body of a protocol means
is the business of the modules that are named in ``Parts``.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation, Measured
from gatewayctl.protocols import patch
from gatewayctl.protocols.measure import measured_by
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.sink import Sink


class Parts(NamedTuple):
    """The functions of a protocol: its walk, what tells a conversation, whose turn is whose."""

    walk: Callable[[bytes, Sink], None]
    conversation: Callable[..., Conversation]
    own_turns: Callable[[bytes], list[bool]]


class Bodies:
    """What a protocol's reader need not say itself; ``shape`` is its own."""

    protocol: WireProtocol
    parts: ClassVar[Parts]

    def measure(self, body: bytes) -> Measured:
        """Measure everything that counts as input."""
        return measured_by(self.parts.walk, body)

    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` everything that counts as input."""
        self.parts.walk(body, sink)

    def conversation(self, body: bytes, layout: Layout | None = None) -> Conversation:
        """Return what tells the conversation from others."""
        return self.parts.conversation(body, checked=layout is not None)

    def own_turns(self, body: bytes) -> list[bool]:
        """Tell of each message whether it is the model's own."""
        return self.parts.own_turns(body)

    def layout(self, body: bytes) -> Layout:
        """Return where the body's members stand."""
        return patch.members(body)
