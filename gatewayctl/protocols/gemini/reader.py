"""The reader of Gemini requests, and its errors: its modules behind the one interface."""

from gatewayctl.core.errors import ApiError
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation, Measured, RequestShape
from gatewayctl.protocols import patch
from gatewayctl.protocols.codec import WireError
from gatewayctl.protocols.gemini import conversation, errors, measured, request
from gatewayctl.protocols.measure import measured_by
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.sink import Sink


class GeminiReader:
    """See ``codec.Reader`` and ``codec.Teller``.

    The model stands in the path, so it may be told besides the body.
    """

    protocol = WireProtocol.GEMINI

    def shape(
        self,
        body: bytes,
        *,
        counting: bool = False,
        model: str | None = None,
        stream: bool = False,
    ) -> RequestShape:
        """Read what routing needs; no budget is ever required, and to count no model either."""
        return request.shape(body, model, stream=stream, counting=counting)

    def measure(self, body: bytes) -> Measured:
        """Measure everything that counts as input."""
        return measured_by(measured.walk, body)

    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` everything that counts as input."""
        measured.walk(body, sink)

    def conversation(self, body: bytes, layout: Layout | None = None) -> Conversation:
        """Return what tells the conversation from others."""
        return conversation.conversation(body, checked=layout is not None)

    def own_turns(self, body: bytes) -> list[bool]:
        """Tell of each message whether it is the model's own."""
        return conversation.own_turns(body)

    def error(self, error: ApiError, *, too_large_status: int | None = None) -> WireError:
        """Render an error reply."""
        return errors.whole(error, too_large_status)

    def layout(self, body: bytes) -> Layout:
        """Return where the body's members stand."""
        return patch.members(body)
