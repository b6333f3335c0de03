from typing import Any, get_args

import msgspec
import pytest
from multidict import CIMultiDict
from openai.types.responses import ResponseError

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.protocols.told import Told
from gatewayctl.upstream.failures import in_json, in_reply, in_stream

from .conftest import anthropic, openai

CHAT = WireProtocol.CHAT_COMPLETIONS
RESPONSES = WireProtocol.RESPONSES
MESSAGES = WireProtocol.MESSAGES
JSON = CIMultiDict({"Content-Type": "application/json"})
NONE: CIMultiDict[str] = CIMultiDict()
VLLM_WORDS = "This model's maximum context length is 4096 tokens."
CONTENT = {
    CHAT: {"choices": [{"delta": {"content": "x"}}]},
    RESPONSES: {"type": "response.output_text.delta", "delta": "x"},
    MESSAGES: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
}


def test_an_error_object_is_found_whatever_its_content_type() -> None:
    """Some servers send an error as the body of what they call an event stream."""
    found = in_json(CHAT, NONE, openai("busy", code="server_is_overloaded"))
    assert found is not None
    assert found.kind == FailureKind.OVERLOADED
    assert in_json(CHAT, NONE, b"data: {}") is None


@pytest.mark.parametrize("body", [b'{"error":"\xff"}', b'{"type":"\xc3"}', b"\xff\xfe{\x00}\x00"])
def test_a_whole_reply_that_is_not_utf8_is_no_reply(body: bytes) -> None:
    """It goes on to the next candidate, instead of failing in the gateway itself."""
    found = in_reply(CHAT, NONE, body)
    assert found is not None
    assert found.kind == FailureKind.BAD_RESPONSE
    assert in_json(CHAT, NONE, body) is None


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        (JSON, b'{"choices":[]}', None),
        (JSON, b'{"object":"response","status":"completed","error":null}', None),
        (CIMultiDict({"Content-Type": "application/problem+json"}), b"{}", None),
        (NONE, b"{}", None),
        (CIMultiDict({"Content-Type": "text/html"}), b"{}", "bad_response"),
        (JSON, b"", "bad_response"),
        (JSON, b"[]", "bad_response"),
        (JSON, b'{"choices":[', "bad_response"),
        (JSON, b"[" * 100_000, "bad_response"),
        (JSON, openai(code=429), "rate_limited"),
        (JSON, openai(code="502"), "server_error"),
        (JSON, openai(code="server_error"), "server_error"),
        (JSON, openai(code="rate_limit_exceeded"), "rate_limited"),
        (JSON, openai(code="never_seen"), "bad_response"),
        (JSON, b'{"error":"words"}', "bad_response"),
        (JSON, b'{"type":"error"}', "bad_response"),
        (JSON, anthropic("overloaded_error"), "overloaded"),
    ],
)
def test_success_that_is_none_is_recognised(
    headers: CIMultiDict[str], body: bytes, kind: str | None
) -> None:
    """A 200 counts only with JSON in it and no error object inside."""
    failure = in_reply(CHAT, headers, body)
    assert (failure and failure.kind) == kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("overloaded_error", "overloaded"),
        ("api_error", "server_error"),
        ("invalid_request_error", "bad_request"),
        ("context_length_exceeded", "context_overflow"),
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "quota_exhausted"),
        ("server_error", "server_error"),
        ("invalid_prompt", "bad_request"),
        ("image_content_policy_violation", "content_filter"),
        ("unsupported_image_media_type", "bad_request"),
        ("invalid_base64_image", "bad_request"),
        ("vector_store_timeout", "timeout"),
        ("never_seen", "server_error"),
        ("503", "overloaded"),
        (None, "server_error"),
    ],
)
def test_error_event_is_classified_by_its_code(code: str | None, kind: str) -> None:
    """An error inside a stream has no status: its code or type decides."""
    told = Told(message="words", codes=() if code is None else (code,))
    assert in_stream(told).kind == kind


@pytest.mark.parametrize("code", get_args(ResponseError.model_fields["code"].annotation))
def test_every_code_of_a_failed_response_is_known(code: str) -> None:
    """None of those that OpenAI lists is taken for something that a second try could help."""
    retried = {"server_error", "rate_limit_exceeded", "vector_store_timeout"}
    kind = in_stream(Told(message="words", codes=(code,))).kind
    assert (kind in {"server_error", "rate_limited", "timeout"}) is (code in retried)


@pytest.mark.parametrize(
    ("protocol", "event", "kind", "words"),
    [
        (
            RESPONSES,
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded"}}},
            "rate_limited",
            "rate_limit_exceeded",
        ),
        (
            RESPONSES,
            {"type": "response.failed", "response": {"error": None}},
            "server_error",
            "the response failed",
        ),
        (
            RESPONSES,
            {"type": "error", "code": "server_error", "message": "busy", "param": None},
            "server_error",
            "busy",
        ),
        (
            RESPONSES,
            {"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded"}},
            "rate_limited",
            "rate_limit_exceeded",
        ),
        (
            MESSAGES,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            "overloaded",
            "Overloaded",
        ),
        (MESSAGES, {"type": "error"}, "server_error", "no error message"),
        (CHAT, {"error": {"message": "gone", "code": 502}}, "server_error", "gone"),
        (CHAT, {"error": "gone"}, "server_error", "gone"),
        (CHAT, {"error": {"code": 400, "message": VLLM_WORDS}}, "context_overflow", "4096"),
    ],
)
@pytest.mark.parametrize("after_content", [True, False])
def test_an_error_event_says_the_same_before_the_commit_and_after_it(
    protocol: WireProtocol, event: dict[str, Any], kind: str, words: str, *, after_content: bool
) -> None:
    """Before it the failure falls back, after it the same words end the client's stream."""
    watcher = CODECS[protocol].watcher(usage_requested=False)
    if after_content:
        assert watcher.see(_event(CONTENT[protocol])) is Phase.CONTENT
    assert watcher.see(_event(event)) is Phase.ERROR
    failure = in_stream(watcher.told)
    assert failure.kind == kind
    assert words in failure.message


def test_an_error_event_may_say_how_long_to_wait() -> None:
    """What stands in the event, else in the headers of the reply that it came with."""
    limited = Told(codes=("rate_limit_exceeded",))
    assert in_stream(limited).retry_after is None
    assert in_stream(limited, CIMultiDict({"retry-after": "3"})).retry_after == 3.0
    assert in_stream(msgspec.structs.replace(limited, wait=7.0)).retry_after == 7.0


@pytest.mark.parametrize(
    ("name", "kind"), [("error", "server_error"), ("rate_limit_exceeded", "server_error")]
)
def test_a_chat_event_named_error_is_one(name: str, kind: str) -> None:
    """Some servers say it with the event's name, and put the object itself into the data."""
    watcher = CODECS[CHAT].watcher(usage_requested=False)
    event = _event({"message": "it crashed"}, name)
    assert watcher.see(event) is (Phase.ERROR if name == "error" else Phase.LIFECYCLE)
    assert in_stream(watcher.told).kind == kind


def _event(data: Any, name: str = "") -> SseEvent:
    encoded = msgspec.json.encode(data)
    return SseEvent(raw=b"data: " + encoded + b"\n\n", event=name, data=encoded)
