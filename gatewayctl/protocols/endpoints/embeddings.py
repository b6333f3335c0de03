"""``POST /v1/embeddings``: passed through, each of its inputs sized."""

from typing import Any

import msgspec

from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import frame, metering
from gatewayctl.protocols.body import Name
from gatewayctl.protocols.codec import ReplyFacts
from gatewayctl.protocols.endpoints import inputs
from gatewayctl.protocols.endpoints.endpoint import DEMANDS, Endpoint
from gatewayctl.protocols.sink import Sink
from gatewayctl.protocols.sse import BadFrame
from gatewayctl.protocols.told import told

_USAGE: metering.Places = {"total": (("prompt_tokens",), ("total_tokens",))}


class _Request(msgspec.Struct):
    """``input`` is text, tokens, or a list of either; some servers take objects too."""

    model: Name
    input: str | list[Any]


class _Head(msgspec.Struct):
    """The same without a look into the input."""

    model: Name
    input: msgspec.Raw


class _Reply(msgspec.Struct):
    """A reply; the vectors themselves are nobody's business here."""

    data: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_HEAD = msgspec.json.Decoder(_Head)
_REPLY = msgspec.json.Decoder(_Reply)


class Embeddings(Endpoint):
    """See ``Endpoint``. Nothing is generated: the whole window is the input's."""

    name = "embeddings"
    path = "/embeddings"
    size_param = "input"

    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:  # noqa: ARG002
        """Read what routing needs."""
        request = request_body.read(_HEAD, body)
        if bytes(memoryview(request.input)[:1]) not in (b'"', b"["):
            raise request_body.invalid("$.input", "expected text, or a list of texts or tokens.")
        return self._shape(request.model, body)

    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` the largest input."""
        request = request_body.read(_REQUEST, body)
        inputs.tell(sink, request.input, self._shape(request.model, body))

    def read_reply(self, body: bytes) -> ReplyFacts:
        """Read a whole reply; raise ``BadFrame`` when it is none."""
        reply = frame.read(_REPLY, body, "a list of embeddings")
        if not reply.error and reply.data is None:
            raise BadFrame("the reply has no data")
        return ReplyFacts(
            usage=metering.inclusive({"output": 0, **metering.counts(_USAGE, reply.usage)}),
            told=told(reply.error) if reply.error else None,
        )

    def _shape(self, model: str, body: bytes) -> RequestShape:
        return RequestShape(
            protocol=self.protocol,
            model=model,
            stream=False,
            body_bytes=len(body),
            output_budget=0,
            demands=DEMANDS,
        )
