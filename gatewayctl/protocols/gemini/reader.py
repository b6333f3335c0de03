"""The former name of the codec, for those who read requests alone."""

from gatewayctl.protocols.gemini.codec import GeminiCodec as GeminiReader

__all__ = ["GeminiReader"]
