"""The reader of Chat Completions requests: its modules behind the one interface."""

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols.bodies import Bodies, Parts
from gatewayctl.protocols.chat_completions import conversation, measured, request


class ChatCompletionsBodies(Bodies):
    """See ``codec.Reader``."""

    protocol = WireProtocol.CHAT_COMPLETIONS
    parts = Parts(measured.walk, conversation.conversation, conversation.own_turns)

    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:  # noqa: ARG002
        """Read what routing needs; no budget is ever required here."""
        return request.shape(body)
