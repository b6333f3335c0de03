"""What endpoints have in common that belong to a protocol's API without speaking its bodies.

Errors, edits and the frames of a stream are those of the API's dialect, so they are its codec's;
what a request asks and what a reply says is each endpoint's own. The demand in a shape keeps such
requests with the providers that speak the dialect: nothing is ever translated.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import msgspec

from gatewayctl.core.conversation import Prompt
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import Event, Reply
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Conversation, Demand, Measured, RequestShape
from gatewayctl.protocols import patch
from gatewayctl.protocols.codec import (
    Changes,
    Codec,
    EventReader,
    EventWriter,
    ReplyContext,
    ReplyFacts,
    StreamWatcher,
    Target,
    WireError,
    Written,
)
from gatewayctl.protocols.measure import measured_by
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.sink import Sink

DEMANDS: Final = frozenset({Demand.ENDPOINT})
"""What every request here demands: the very endpoint that it came to."""


class Endpoint(ABC):
    """See ``codec.Codec``; what an endpoint has of its own overrides what is here.

    ``name`` is what it is called where the protocol is not enough; ``size_param`` the field that a
    refusal by size names. ``dialect`` is the codec of the API that it is part of.
    """

    name: str
    path: str
    size_param: str

    def __init__(self, dialect: Codec) -> None:
        self._dialect = dialect

    @property
    def protocol(self) -> WireProtocol:
        """The dialect's."""
        return self._dialect.protocol

    @property
    def breaks_off(self) -> bool:
        """The dialect's way to end a broken stream."""
        return self._dialect.breaks_off

    @abstractmethod
    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:
        """Read what routing needs."""

    @abstractmethod
    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` the input that has to fit: of several the largest."""

    def measure(self, body: bytes) -> Measured:
        """Measure the input that has to fit."""
        return measured_by(self.walk, body)

    def conversation(self, body: bytes, layout: Layout | None = None) -> Conversation:  # noqa: ARG002
        """Return that there is none: each request stands alone."""
        return Conversation()

    def own_turns(self, body: bytes) -> list[bool]:  # noqa: ARG002
        """Return that there are none."""
        return []

    def layout(self, body: bytes) -> Layout:
        """Return where the body's members stand."""
        return patch.members(body)

    def address(self, model: str, query: str, *, stream: bool) -> str:  # noqa: ARG002
        """Return the path, which is the same for every model."""
        return f"{self.path}?{query}" if query else self.path

    def patch(self, body: bytes, changes: Changes, layout: Layout | None = None) -> bytes:
        """Return the body with the dialect's edits."""
        return self._dialect.patch(body, changes, layout)

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:
        """Return the dialect's side parser."""
        return self._dialect.watcher(usage_requested=usage_requested)

    def usage_requested(self, body: bytes, layout: Layout | None = None) -> bool:
        """Tell whether the client asked for the stream's usage."""
        return self._dialect.usage_requested(body, layout)

    def read_reply(self, body: bytes) -> ReplyFacts:
        """Read a whole reply."""
        return self._dialect.read_reply(body)

    def error(self, error: ApiError, *, too_large_status: int | None = None) -> WireError:
        """Render an error reply; a refusal by size names the field that is too large here."""
        told = self._dialect.error(error, too_large_status=too_large_status)
        if error.kind is not ErrorKind.TOO_LARGE:
            return told
        document = msgspec.json.decode(told.body)
        document["error"]["param"] = self.size_param
        return msgspec.structs.replace(told, body=msgspec.json.encode(document))

    def tells_overflow(self, body: bytes) -> bool:
        """Tell whether a refusal has the code that clients look for."""
        return self._dialect.tells_overflow(body)

    def tells_limit(self, body: bytes, wait: float | None) -> bool:
        """Tell what the dialect does."""
        return self._dialect.tells_limit(body, wait)

    def stream_error(self, error: ApiError, *, seen: StreamWatcher | None) -> bytes:
        """Render an error event."""
        return self._dialect.stream_error(error, seen=seen)

    def opening(self, unsent: str | None) -> bytes:
        """Return what the dialect's streams begin with."""
        return self._dialect.opening(unsent)

    def keepalive(self, *, seen: StreamWatcher | None, unsent: str | None) -> bytes:
        """Return the dialect's sign of life."""
        return self._dialect.keepalive(seen=seen, unsent=unsent)

    # What follows is never called: see ``DEMANDS``. The dialect refuses such bodies.

    def read_prompt(self, body: bytes) -> Prompt:
        """Refuse."""
        return self._dialect.read_prompt(body)

    def write_prompt(self, prompt: Prompt, target: Target) -> Written:
        """Write a conversation, which no endpoint has asked for."""
        return self._dialect.write_prompt(prompt, target)

    def read_events(self, body: bytes) -> Sequence[Event]:
        """Read what the dialect can."""
        return self._dialect.read_events(body)

    def write_reply(self, reply: Reply, context: ReplyContext) -> bytes:
        """Write the dialect's reply."""
        return self._dialect.write_reply(reply, context)

    def event_reader(self) -> EventReader:
        """Return the dialect's reader."""
        return self._dialect.event_reader()

    def event_writer(self, context: ReplyContext) -> EventWriter:
        """Return the dialect's writer."""
        return self._dialect.event_writer(context)
