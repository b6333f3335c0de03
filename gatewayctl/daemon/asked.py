"""A request as the daemon carries it from surface to reply."""

import msgspec
from aiohttp import web

from gatewayctl.core.shape import RequestShape
from gatewayctl.daemon.planning import Question
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.models_list import unvia
from gatewayctl.protocols.reading import Reading


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read and understood: its bytes, what they say, and when it came.

    ``started`` is the loop's time in seconds when all of it was there: how long a client takes to
    send its body is neither a deadline's business nor an upstream's fault.
    """

    request: web.BaseRequest
    codec: Codec
    body: bytes
    reading: Reading
    request_id: str
    started: float

    @property
    def shape(self) -> RequestShape:
        """What routing looks at."""
        return self.reading.shape

    @property
    def question(self) -> Question:
        """What is to be planned."""
        return Question(
            name=self.name,
            reader=self.codec,
            body=self.body,
            reading=self.reading,
            headers=self.request.headers,
        )

    @property
    def name(self) -> str:
        """The model or route asked for."""
        return unvia(self.shape.model)
