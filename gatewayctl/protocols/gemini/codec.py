"""The Gemini codec: its modules behind the one interface."""

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
from gatewayctl.protocols.gemini import (
    edits,
    errors,
    paths,
    prompts,
    replies,
    requests,
    response,
)
from gatewayctl.protocols.gemini.bodies import GeminiBodies
from gatewayctl.protocols.gemini.reading import GeminiEvents
from gatewayctl.protocols.gemini.stream import GeminiWatcher
from gatewayctl.protocols.gemini.writing import KEEPALIVE, GeminiWriter
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.told import error_in


class GeminiCodec(GeminiBodies):
    """See ``codec.Codec``."""

    breaks_off = True

    def address(self, model: str, query: str, *, stream: bool) -> str:
        """Return the path, which names the model, and the client's query without its key."""
        return paths.address(model, query, stream=stream)

    def patch(self, body: bytes, changes: Changes, layout: Layout | None = None) -> bytes:
        """Return the body with the changes spliced in."""
        return edits.changed(body, changes, patch.members(body) if layout is None else layout)

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:  # noqa: ARG002
        """Return a side parser of one stream, whose usage is part of its frames."""
        return GeminiWatcher()

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
        """Tell whether a refusal has Google's words for a prompt that is too long."""
        words = error_in(body).message
        return "input token count" in words and "exceeds the maximum number of tokens" in words

    def tells_limit(self, body: bytes, wait: float | None) -> bool:
        """Tell whether a known wait stands where Gemini CLI looks: else it asks again too soon."""
        return wait is None or b"RetryInfo" in body

    def stream_error(self, error: ApiError, *, seen: StreamWatcher | None) -> bytes:  # noqa: ARG002
        """Render an error frame."""
        return errors.frame(error)

    def opening(self, unsent: str | None) -> bytes:  # noqa: ARG002
        """Return nothing: a keepalive may come first."""
        return b""

    def keepalive(self, *, seen: StreamWatcher | None, unsent: str | None) -> bytes:  # noqa: ARG002
        """Return a blank line."""
        return KEEPALIVE

    def read_prompt(self, body: bytes) -> Prompt:
        """Read a whole request; the model and whether it streams are the path's to say."""
        return prompts.read(body)

    def write_prompt(self, prompt: Prompt, target: Target) -> Written:
        """Write a request for an upstream."""
        return requests.write(prompt, target)

    def read_events(self, body: bytes) -> Sequence[Event]:
        """Read a whole reply."""
        return GeminiEvents().whole(body)

    def write_reply(self, reply: Reply, context: ReplyContext) -> bytes:
        """Write a whole reply."""
        return replies.written(reply, context)

    def event_reader(self) -> EventReader:
        """Return what reads one upstream stream."""
        return GeminiEvents()

    def event_writer(self, context: ReplyContext) -> EventWriter:
        """Return what writes one stream for a client."""
        return GeminiWriter(context)
