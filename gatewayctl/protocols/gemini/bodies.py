"""The reader of Gemini requests: its modules behind the one interface."""

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols.bodies import Bodies, Parts
from gatewayctl.protocols.gemini import conversation, measured, request


class GeminiBodies(Bodies):
    """See ``codec.Reader``.

    The model, and whether the answer is streamed, stand in the path (``paths``), so both may be
    told besides the body.
    """

    protocol = WireProtocol.GEMINI
    parts = Parts(measured.walk, conversation.conversation, conversation.own_turns)

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
