"""The reader of Messages requests: its modules behind the one interface."""

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols.bodies import Bodies, Parts
from gatewayctl.protocols.messages import conversation, measured, request


class MessagesBodies(Bodies):
    """See ``codec.Reader``."""

    protocol = WireProtocol.MESSAGES
    parts = Parts(measured.walk, conversation.conversation, conversation.own_turns)

    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:
        """Read what routing needs; ``max_tokens`` is required unless only a count is asked for."""
        return request.shape(body, counting=counting)
