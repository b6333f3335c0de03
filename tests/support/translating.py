"""The cases of translation: what clients ask and upstreams answer, and what becomes of it.

``tests/fixtures/translation`` has ``requests`` (one body a protocol in which the case can be said)
and ``replies`` (one whole and as a stream a protocol in which the case happens), written from the
APIs' published shapes. What the codecs make of them is computed here, for golden files, for checks
of what must always hold, and for the table in docs/translation.md.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Prompt
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.events import Event, Reply, fold
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import RequestShape
from gatewayctl.protocols import translation
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, ReplyContext, Target, Translator
from gatewayctl.protocols.gemini import request
from gatewayctl.protocols.sse import SseEvent, SseParser

ROOT: Final = Path(__file__).parents[1] / "fixtures" / "translation"
PROTOCOLS: Final = tuple(WireProtocol)
MODEL: Final = "small-1"
ORIGIN: Final = f"up/{MODEL}"
NOW: Final = 1_700_000_000.0
REQUEST_ID: Final = "req_0123456789abcdef"
_LIMIT: Final = 1 << 20
_REQUIRED_BUDGET: Final = 32_000

_ASKED: Final[dict[WireProtocol, dict[str, Any]]] = {
    WireProtocol.CHAT_COMPLETIONS: {
        "model": "small",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 2,
        "n": 2,
    },
    WireProtocol.RESPONSES: {
        "model": "small",
        "input": "Hi",
        "store": False,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 2,
    },
    WireProtocol.MESSAGES: {
        "model": "small",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "adaptive"},
    },
    WireProtocol.GEMINI: {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {
            "thinkingConfig": {"includeThoughts": True},
            "responseLogprobs": True,
            "logprobs": 2,
            "candidateCount": 2,
        },
    },
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a request: its body in each protocol that can say it."""

    theme: str
    title: str
    bodies: dict[WireProtocol, bytes]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a reply: whole and as a stream in each protocol in which it happens."""

    theme: str
    title: str
    wholes: dict[WireProtocol, bytes]
    streams: dict[WireProtocol, bytes]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream is sent of a request, or why it is not: ``refused`` is what is said."""

    body: bytes = b""
    dropped: tuple[str, ...] = ()
    refused: str | None = None


def codec(protocol: WireProtocol) -> Translator:
    """Return what translates a protocol."""
    return CODECS[protocol]


def requests() -> list[Asked]:
    """Return the cases of requests."""
    return [
        Asked(
            theme=theme,
            title=title,
            bodies={WireProtocol(p): msgspec.json.encode(body) for p, body in bodies.items()},
        )
        for theme, title, bodies in _cases("requests")
    ]


def replies() -> list[Answered]:
    """Return the cases of replies."""
    return [
        Answered(
            theme=theme,
            title=title,
            wholes={WireProtocol(p): msgspec.json.encode(r["whole"]) for p, r in found.items()},
            streams={WireProtocol(p): streamed(p, r["stream"]) for p, r in found.items()},
        )
        for theme, title, found in _cases("replies")
    ]


def _cases(folder: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in sorted((ROOT / folder).glob("*.json")):
        for title, found in msgspec.json.decode(path.read_bytes()).items():
            yield path.stem, title, found


def streamed(protocol: str, events: Iterable[dict[str, Any]]) -> bytes:
    """Return a stream's bytes as such an upstream sends them."""
    match protocol:
        case "chat_completions":
            return b"".join(map(_frame, events)) + b"data: [DONE]\n\n"
        case "gemini":
            return b"".join(_frame(event, ends=b"\r\n") for event in events)
        case _:
            return b"".join(b"event: %b\n" % e["type"].encode() + _frame(e) for e in events)


def _frame(event: dict[str, Any], ends: bytes = b"\n") -> bytes:
    return b"data: " + msgspec.json.encode(event) + ends * 2


def shape(client: WireProtocol, body: bytes) -> RequestShape:
    """Return what routing knows of a request; Gemini's clients name the model in a path."""
    if client is WireProtocol.GEMINI:
        return request.shape(body, "small", stream=False, counting=False)
    return CODECS[client].shape(body)


def sent(
    body: bytes, client: WireProtocol, upstream: WireProtocol, *, origin: str = ORIGIN
) -> Sent:
    """Return what becomes of a client's request on its way to an upstream."""
    budget = _REQUIRED_BUDGET if upstream is WireProtocol.MESSAGES else None
    changes = Changes(
        model=MODEL, output_budget=shape(client, body).output_budget or budget, strip_billing=True
    )
    try:
        found = translation.outgoing(
            codec(client),
            codec(upstream),
            body,
            Target(origin=origin, changes=changes),
        )
    except RequestInvalid as error:
        return Sent(refused=str(error))
    return Sent(body=found.body, dropped=found.dropped)


def asked(client: WireProtocol) -> Prompt:
    """Return what a client asked whose reply may have everything in it."""
    return codec(client).read_prompt(msgspec.json.encode(_ASKED[client]))


def context(client: WireProtocol, *, stream: bool) -> ReplyContext:
    """Return what a translated reply is written with."""
    prompt = msgspec.structs.replace(asked(client), model="small", stream=stream)
    return ReplyContext(id=REQUEST_ID, origin=ORIGIN, prompt=prompt, now=lambda: NOW)


def whole(body: bytes, upstream: WireProtocol, client: WireProtocol) -> bytes:
    """Return a whole reply of an upstream as its client gets it."""
    return translation.whole(codec(client), codec(upstream), body, context(client, stream=False))


def stream(pieces: Iterable[bytes], upstream: WireProtocol, client: WireProtocol) -> bytes:
    """Return a stream of an upstream, which comes in pieces, as its client gets it."""
    parser = SseParser(_LIMIT)
    reader = codec(upstream).event_reader()
    writer = codec(client).event_writer(context(client, stream=True))
    told = [
        writer.write([event for frame in parser.feed(piece) for event in reader.read(frame)])
        for piece in pieces
    ]
    return b"".join(told) + writer.write(reader.end())


def read(protocol: WireProtocol, body: bytes) -> Reply:
    """Return what a whole reply says."""
    return fold(codec(protocol).read_events(body))


def read_stream(protocol: WireProtocol, body: bytes) -> Reply:
    """Return what a stream says."""
    return fold(events(protocol, frames(body)))


def frames(body: bytes) -> list[SseEvent]:
    """Return a stream's frames."""
    return SseParser(len(body) + 1).feed(body)


def events(protocol: WireProtocol, found: Iterable[SseEvent]) -> list[Event]:
    """Return what a stream's frames say, one after another, and its end."""
    reader = codec(protocol).event_reader()
    return [*(event for frame in found for event in reader.read(frame)), *reader.end()]


def decoded(body: bytes) -> dict[str, Any]:
    """Return a body's fields."""
    found: dict[str, Any] = msgspec.json.decode(body)
    return found
