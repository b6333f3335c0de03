"""The one table of all protocols that are spoken here. How each works is its own package's."""

from collections.abc import Mapping
from types import MappingProxyType

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Codec, Reader
from gatewayctl.protocols.gemini.reader import GeminiReader
from gatewayctl.protocols.messages.codec import MessagesCodec
from gatewayctl.protocols.responses.codec import ResponsesCodec

_ALL: tuple[Codec, ...] = (ChatCompletionsCodec(), ResponsesCodec(), MessagesCodec())

CODECS: Mapping[WireProtocol, Codec] = MappingProxyType({codec.protocol: codec for codec in _ALL})

READERS: Mapping[WireProtocol, Reader] = MappingProxyType(
    {**CODECS, WireProtocol.GEMINI: GeminiReader()}
)
"""Whose requests can be read here, by protocol: more than can be answered."""
