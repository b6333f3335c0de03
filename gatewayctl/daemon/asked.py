"""A request as the daemon carries it from surface to reply."""

import msgspec
from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.daemon.planning import Question
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.models_list import unvia
from gatewayctl.protocols.reading import Reading

_KEY = "x-goog-api-key"


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
    def headers(self) -> MultiMapping[str]:
        """The client's headers, with its credential among them wherever it stood."""
        if self.codec.protocol is WireProtocol.GEMINI:
            return client_headers(self.request)
        return self.request.headers

    @property
    def query(self) -> str:
        """The query of its URL, as it came."""
        return self.request.rel_url.raw_query_string

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
            headers=self.headers,
        )

    @property
    def name(self) -> str:
        """The model or route asked for."""
        return unvia(self.shape.model)


def client_headers(request: web.BaseRequest) -> MultiMapping[str]:
    """Return a client's headers; a key that it has in its URL, as Google's may, is among them."""
    key = request.rel_url.query.get("key")
    if not key or _KEY in request.headers:
        return request.headers
    return CIMultiDict([*request.headers.items(), (_KEY, key)])
