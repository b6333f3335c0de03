"""What each built-in kind's own errors mean, against tests/fixtures/failures/<kind>.json.

The shapes follow the providers' documentation, their servers' source and reports by people who met
them; each file names the pages to compare it with. Messages are examples, but for the words that
``meanings`` looks for. Bodies that are text stand for replies without JSON.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from gatewayctl.config.kinds import kinds
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.simulator.overflows import PROVIDERS, overflow
from gatewayctl.simulator.problems import Vendor
from gatewayctl.upstream.failures import classify, in_reply, in_stream

_FOLDER = Path(__file__).parents[1] / "fixtures" / "failures"
_JSON = {"Content-Type": "application/json"}
_EVERYWHERE = {"server_error", "model_not_found", "context_overflow", "bad_request"}
_HOSTED = {"auth", "quota_exhausted", "rate_limited", "overloaded"}


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reply whose status says an error, and what it means."""

    case: str
    status: int
    body: Any
    kind: str
    headers: dict[str, str] = {}
    retry_after: float | None = None
    should_retry: bool | None = None


class Streamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event of a stream that says an error, and what it means."""

    case: str
    data: Any
    kind: str


class Replied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A 200 with an error inside, and what it means."""

    case: str
    body: Any
    kind: str


class Shapes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All errors of one kind."""

    kind: str
    protocol: WireProtocol
    sources: list[str]
    refusals: list[Refusal]
    streams: list[Streamed] = []
    replies: list[Replied] = []


SHAPES = [
    msgspec.json.decode(path.read_bytes(), type=Shapes) for path in sorted(_FOLDER.glob("*.json"))
]


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def _named(each: tuple[Shapes, Any]) -> str:
    return f"{each[0].kind}: {each[1].case}"


def test_every_built_in_kind_has_its_shapes() -> None:
    """No kind is left out, and each tells how it says the failures that matter."""
    built_in = {name for name in kinds() if not name.endswith("-compatible")}
    assert {shapes.kind for shapes in SHAPES} == built_in
    for shapes in SHAPES:
        local = kinds()[shapes.kind].local
        wanted = _EVERYWHERE if local else _EVERYWHERE | _HOSTED
        assert wanted <= {refusal.kind for refusal in shapes.refusals}, shapes.kind
        assert shapes.protocol in kinds()[shapes.kind].protocols


@pytest.mark.parametrize(
    "each", [(shapes, refusal) for shapes in SHAPES for refusal in shapes.refusals], ids=_named
)
def test_a_refusal_is_classified_litellm_10793(each: tuple[Shapes, Refusal]) -> None:
    """The kind, the wait and the advice about retries are read of what the provider really sends.

    Bug row 4: an overflow is recognised by code or type wherever there is one.
    """
    shapes, refusal = each
    headers = CIMultiDict({**_JSON, **refusal.headers})
    failure = classify(shapes.protocol, refusal.status, headers, _bytes(refusal.body))
    assert (failure.kind, failure.retry_after, failure.should_retry) == (
        refusal.kind,
        refusal.retry_after if refusal.retry_after is None else pytest.approx(refusal.retry_after),
        refusal.should_retry,
    )


@pytest.mark.parametrize(
    "each", [(shapes, event) for shapes in SHAPES for event in shapes.streams], ids=_named
)
def test_an_error_in_a_stream_is_classified(each: tuple[Shapes, Streamed]) -> None:
    """The kind is the same whether the event is the first or comes in the middle."""
    shapes, streamed = each
    data = msgspec.json.encode(streamed.data)
    watcher = CODECS[shapes.protocol].watcher(usage_requested=False)
    event = SseEvent(raw=b"data: " + data + b"\n\n", data=data)
    assert watcher.see(event) is Phase.ERROR
    assert in_stream(watcher.told).kind == streamed.kind
    assert watcher.release(event) == event.raw


@pytest.mark.parametrize(
    "each", [(shapes, reply) for shapes in SHAPES for reply in shapes.replies], ids=_named
)
def test_an_error_in_a_success_is_classified(each: tuple[Shapes, Replied]) -> None:
    """A 200 that says an error is that error."""
    shapes, replied = each
    failure = in_reply(shapes.protocol, CIMultiDict(_JSON), msgspec.json.encode(replied.body))
    assert (failure and failure.kind) == replied.kind


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("protocol", "vendor"),
    [
        (WireProtocol.CHAT_COMPLETIONS, Vendor.OPENAI),
        (WireProtocol.RESPONSES, Vendor.OPENAI),
        (WireProtocol.MESSAGES, Vendor.ANTHROPIC),
        (WireProtocol.GEMINI, Vendor.GOOGLE),
    ],
)
def test_every_overflow_of_the_simulator_is_one(
    provider: str, protocol: WireProtocol, vendor: Vendor
) -> None:
    """Its words were gathered apart from those that are recognised here."""
    body = overflow(provider, vendor)
    assert classify(protocol, 400, CIMultiDict(_JSON), body).kind == "context_overflow"
