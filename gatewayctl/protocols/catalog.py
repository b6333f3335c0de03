"""The one table of all protocols that are spoken here. How each works is its own package's."""

from collections.abc import Mapping
from types import MappingProxyType

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Codec, Reader
from gatewayctl.protocols.endpoints.completions import Completions
from gatewayctl.protocols.endpoints.embeddings import Embeddings
from gatewayctl.protocols.endpoints.endpoint import Endpoint
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.messages.codec import MessagesCodec
from gatewayctl.protocols.responses.codec import ResponsesCodec

_ALL: tuple[Codec, ...] = (
    ChatCompletionsCodec(),
    ResponsesCodec(),
    MessagesCodec(),
    GeminiCodec(),
)

CODECS: Mapping[WireProtocol, Codec] = MappingProxyType({codec.protocol: codec for codec in _ALL})

EMBEDDINGS = Embeddings(CODECS[WireProtocol.CHAT_COMPLETIONS])
COMPLETIONS = Completions(CODECS[WireProtocol.CHAT_COMPLETIONS])

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {each.name: each for each in (EMBEDDINGS, COMPLETIONS)}
)
"""What is passed through beside conversations, by name."""


def name_of(reader: Reader) -> str:
    """Return the name by which ``reader_of`` finds a reader again, in another process too."""
    return reader.name if isinstance(reader, Endpoint) else reader.protocol.value


def reader_of(name: str) -> Reader:
    """Return the reader of this name."""
    return ENDPOINTS.get(name) or CODECS[WireProtocol(name)]
