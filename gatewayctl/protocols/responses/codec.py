"""The Responses codec: its modules behind the one interface."""

from collections.abc import Sequence

from gatewayctl.core.conversation import Prompt
from gatewayctl.core.errors import ApiError
from gatewayctl.core.events import Event, Reply
from gatewayctl.protocols import patch
from gatewayctl.protocols.codec import (
    Changes,
    EventReader,
    EventWriter,
    ReplyContext,
    ReplyFacts,
    StreamWatcher,
    Target,
    WireError,
    Written,
)
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.responses import (
    errors,
    prompts,
    replies,
    request,
    requests,
    response,
)
from gatewayctl.protocols.responses.bodies import ResponsesBodies
from gatewayctl.protocols.responses.reading import ResponsesReader
from gatewayctl.protocols.responses.stream import ResponsesWatcher
from gatewayctl.protocols.responses.writing import ResponsesWriter
from gatewayctl.protocols.told import error_in


class ResponsesCodec(ResponsesBodies):
    """See ``codec.Codec``."""

    breaks_off = False

    def address(self, model: str, query: str, *, stream: bool) -> str:  # noqa: ARG002
        """Return the path, which is the same for every model."""
        return f"/responses?{query}" if query else "/responses"

    def patch(self, body: bytes, changes: Changes, layout: Layout | None = None) -> bytes:
        """Return the body with the changes spliced in."""
        return request.changed(body, changes, patch.members(body) if layout is None else layout)

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:  # noqa: ARG002
        """Return a side parser of one stream, whose usage is part of its last event."""
        return ResponsesWatcher()

    def usage_requested(self, body: bytes, layout: Layout | None = None) -> bool:  # noqa: ARG002
        """Return True: every stream carries its usage."""
        return True

    def read_reply(self, body: bytes) -> ReplyFacts:
        """Read a whole reply."""
        return response.read(body)

    def error(self, error: ApiError, *, too_large_status: int | None = None) -> WireError:
        """Render an error reply."""
        return errors.whole(error, too_large_status)

    def tells_overflow(self, body: bytes) -> bool:
        """Tell whether a refusal has the code that agents look for."""
        told = error_in(body)
        return "context_length_exceeded" in told.codes

    def tells_limit(self, body: bytes, wait: float | None) -> bool:
        """Tell whether the wait is short, or the refusal one that Codex stops at."""
        return errors.tells_limit(body, wait)

    def read_prompt(self, body: bytes) -> Prompt:
        """Read a whole request."""
        return prompts.read(body)

    def write_prompt(self, prompt: Prompt, target: Target) -> Written:
        """Write a request for an upstream."""
        return requests.write(prompt, target)

    def read_events(self, body: bytes) -> Sequence[Event]:
        """Read a whole reply as events."""
        return replies.read(body)

    def write_reply(self, reply: Reply, context: ReplyContext) -> bytes:
        """Write a whole reply."""
        return replies.write(reply, context)

    def event_reader(self) -> EventReader:
        """Return what reads one upstream stream."""
        return ResponsesReader()

    def event_writer(self, context: ReplyContext) -> EventWriter:
        """Return what writes one stream for a client."""
        return ResponsesWriter(context)

    def stream_error(self, error: ApiError, *, seen: StreamWatcher | None) -> bytes:
        """Render ``response.failed``, going on from the id and number the stream had.

        Where nothing was sent before, a ``response.created`` comes first: without one OpenAI's own
        accumulator takes nothing.
        """
        if not isinstance(seen, ResponsesWatcher):
            return errors.failed_at_once(error)
        return errors.failed(error, seen.response, seen.sequence_number + 1)

    def opening(self, unsent: str | None) -> bytes:
        """Return ``response.created``, which has to come before any other event."""
        return b"" if unsent is None else errors.created(errors.pending(unsent))

    def keepalive(self, *, seen: StreamWatcher | None, unsent: str | None) -> bytes:
        """Return ``response.in_progress`` under the last number, so that none is used up.

        Codex counts events alone as life; but OpenAI's own accumulator gives up when a response's
        id changes, so its clients get a comment until the upstream has named its response.
        """
        if isinstance(seen, ResponsesWatcher) and seen.response.id is not None:
            return errors.in_progress(seen.response, max(0, seen.sequence_number))
        return errors.COMMENT if unsent is None else errors.in_progress(errors.pending(unsent), 0)
