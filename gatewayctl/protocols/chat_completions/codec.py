"""The Chat Completions codec: its modules behind the one interface."""

from collections.abc import Sequence

from gatewayctl.core.conversation import Prompt
from gatewayctl.core.errors import ApiError
from gatewayctl.core.events import Event, Reply
from gatewayctl.protocols import patch
from gatewayctl.protocols.chat_completions import (
    errors,
    prompts,
    reading,
    replies,
    request,
    requests,
    response,
)
from gatewayctl.protocols.chat_completions.bodies import ChatCompletionsBodies
from gatewayctl.protocols.chat_completions.reading import ChatCompletionsReader
from gatewayctl.protocols.chat_completions.stream import ChatCompletionsWatcher
from gatewayctl.protocols.chat_completions.writing import KEEPALIVE, ChatCompletionsWriter
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
from gatewayctl.protocols.told import error_in


class ChatCompletionsCodec(ChatCompletionsBodies):
    """See ``codec.Codec``."""

    breaks_off = False

    def address(self, model: str, query: str, *, stream: bool) -> str:  # noqa: ARG002
        """Return the path, which is the same for every model."""
        return f"/chat/completions?{query}" if query else "/chat/completions"

    def patch(self, body: bytes, changes: Changes, layout: Layout | None = None) -> bytes:
        """Return the body with the changes spliced in."""
        return request.changed(body, changes, patch.members(body) if layout is None else layout)

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:
        """Return a side parser of one stream."""
        return ChatCompletionsWatcher(usage_requested=usage_requested)

    def usage_requested(self, body: bytes, layout: Layout | None = None) -> bool:
        """Tell whether the client asked for ``stream_options.include_usage``."""
        return request.usage_requested(body, patch.members(body) if layout is None else layout)

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

    def tells_limit(self, body: bytes, wait: float | None) -> bool:  # noqa: ARG002
        """Return True: clients look at ``retry-after``, and give up where it is long."""
        return True

    def stream_error(self, error: ApiError, *, seen: StreamWatcher | None) -> bytes:  # noqa: ARG002
        """Render an error event."""
        return errors.frame(error)

    def opening(self, unsent: str | None) -> bytes:  # noqa: ARG002
        """Return nothing: a keepalive may come first."""
        return b""

    def keepalive(self, *, seen: StreamWatcher | None, unsent: str | None) -> bytes:  # noqa: ARG002
        """Return a comment."""
        return KEEPALIVE

    def read_prompt(self, body: bytes) -> Prompt:
        """Read a whole request."""
        return prompts.read(body)

    def write_prompt(self, prompt: Prompt, target: Target) -> Written:
        """Write a request for an upstream."""
        return requests.write(prompt, target)

    def read_events(self, body: bytes) -> Sequence[Event]:
        """Read a whole reply as events."""
        return reading.whole(body)

    def write_reply(self, reply: Reply, context: ReplyContext) -> bytes:
        """Write a whole reply."""
        return replies.whole(reply, context)

    def event_reader(self) -> EventReader:
        """Return what reads one upstream stream."""
        return ChatCompletionsReader()

    def event_writer(self, context: ReplyContext) -> EventWriter:
        """Return what writes one stream for a client."""
        return ChatCompletionsWriter(context)
