"""The one table of whose requests can be read here, for those who answer none."""

from collections.abc import Mapping
from types import MappingProxyType

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.bodies import ChatCompletionsBodies
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.gemini.bodies import GeminiBodies
from gatewayctl.protocols.messages.bodies import MessagesBodies
from gatewayctl.protocols.responses.bodies import ResponsesBodies

_ALL: tuple[Reader, ...] = (
    ChatCompletionsBodies(),
    ResponsesBodies(),
    MessagesBodies(),
    GeminiBodies(),
)

READERS: Mapping[WireProtocol, Reader] = MappingProxyType(
    {reader.protocol: reader for reader in _ALL}
)
