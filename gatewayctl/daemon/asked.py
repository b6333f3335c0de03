"""A request as the daemon carries it from surface to reply."""

import msgspec
from aiohttp import web

from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.models_list import unvia


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read and understood: its bytes, its shape, and when it came.

    ``started`` is the loop's time in seconds.
    """

    request: web.BaseRequest
    codec: Codec
    body: bytes
    shape: RequestShape
    request_id: str
    started: float

    @property
    def name(self) -> str:
        """The model or route asked for."""
        return unvia(self.shape.model)
