"""The one table of all protocols that are spoken here. How each works is its own package's."""

from collections.abc import Mapping
from types import MappingProxyType

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Codec, Reader
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

READERS: Mapping[WireProtocol, Reader] = CODECS
"""Whose requests can be read here, by protocol."""
