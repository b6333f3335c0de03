"""``POST /v1/completions``, the legacy form: passed through, each of its prompts sized."""

from typing import Any, Final

import msgspec

from gatewayctl.core.events import Phase, Usage
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import frame
from gatewayctl.protocols.body import Count, Name, Tokens
from gatewayctl.protocols.codec import ReplyFacts, StreamWatcher
from gatewayctl.protocols.endpoints import inputs
from gatewayctl.protocols.endpoints.endpoint import DEMANDS, Endpoint
from gatewayctl.protocols.sink import Sink
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.protocols.told import Told

USUAL_OUTPUT: Final = 16
"""What a request gets that names no ``max_tokens``, by the API's reference."""


class _Request(msgspec.Struct):
    """``prompt`` is text, tokens, or a list of either; without one the model begins by itself."""

    model: Name
    prompt: str | list[Any] | None = None
    suffix: str | None = None


class _Head(msgspec.Struct):
    """What routing needs, without a look into the prompt."""

    model: Name
    prompt: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None
    max_tokens: Tokens | None = None
    n: Count | None = None
    best_of: Count | None = None


class _Choice(msgspec.Struct):
    text: Any = None


class _Reply(msgspec.Struct):
    """A whole reply, or one event of a stream: only what was written is read here."""

    choices: list[_Choice] | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_HEAD = msgspec.json.Decoder(_Head)
_REPLY = msgspec.json.Decoder(_Reply)


class Completions(Endpoint):
    """See ``Endpoint``."""

    name = "completions"
    path = "/completions"
    size_param = "prompt"

    def shape(self, body: bytes, *, counting: bool = False) -> RequestShape:  # noqa: ARG002
        """Read what routing needs."""
        request = request_body.read(_HEAD, body)
        if bytes(memoryview(request.prompt)[:1]) not in (b'"', b"[", b"n", b""):
            raise request_body.invalid("$.prompt", "expected text, or a list of texts or tokens.")
        return RequestShape(
            protocol=self.protocol,
            model=request.model,
            stream=bool(request.stream),
            body_bytes=len(body),
            output_budget=USUAL_OUTPUT if request.max_tokens is None else request.max_tokens,
            n=max(request.n or 1, request.best_of or 1) * inputs.count(request.prompt),
            demands=DEMANDS,
        )

    def walk(self, body: bytes, sink: Sink) -> None:
        """Tell ``sink`` the largest prompt, and what is to come after each."""
        request = request_body.read(_REQUEST, body)
        inputs.tell(sink, request.prompt, self.shape(body), request.suffix or "")

    def watcher(self, *, usage_requested: bool) -> StreamWatcher:
        """Return a side parser of one stream."""
        return _Watcher(self._dialect.watcher(usage_requested=usage_requested))

    def read_reply(self, body: bytes) -> ReplyFacts:
        """Read a whole reply; raise ``BadFrame`` when it is none."""
        facts = self._dialect.read_reply(body)
        return msgspec.structs.replace(facts, written=_written(body))


class _Watcher:
    """Sees what the dialect's side parser sees, and the text that stands elsewhere here."""

    def __init__(self, dialect: StreamWatcher) -> None:
        self._dialect = dialect
        self.usage: Usage = dialect.usage
        self.written = 0
        self.tier: str | None = None
        self.told: Told | None = None
        self.complete = self.resumed = False  # [DONE] says so

    @property
    def error(self) -> str | None:
        """The words of the upstream's in-stream error."""
        return self._dialect.error

    @property
    def error_code(self) -> str | None:
        """Its machine-readable code or type."""
        return self._dialect.error_code

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is no chunk."""
        phase = self._dialect.see(event)
        self.usage, self.tier = self._dialect.usage, self._dialect.tier
        self.told = self._dialect.told
        if phase is not Phase.LIFECYCLE or not event.data:
            return phase
        written = _written(event.data)
        self.written += written
        return Phase.CONTENT if written else phase

    def release(self, event: SseEvent) -> bytes:
        """Return the bytes that the dialect's side parser would."""
        return self._dialect.release(event)


def _written(data: bytes) -> int:
    reply = frame.read(_REPLY, data, "a completion")
    texts = (choice.text for choice in reply.choices or ())
    return sum(len(text) for text in texts if isinstance(text, str))
