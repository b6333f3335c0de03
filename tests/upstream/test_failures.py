import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.told import Told
from gatewayctl.upstream.failures import LONGEST_MESSAGE, classify, in_json, in_reply, in_stream
from gatewayctl.upstream.waits import LONGEST_WAIT

CHAT = WireProtocol.CHAT_COMPLETIONS
MESSAGES = WireProtocol.MESSAGES
JSON = CIMultiDict({"Content-Type": "application/json"})
NONE: CIMultiDict[str] = CIMultiDict()
REQUEST = "invalid_request_error"
VLLM_WORDS = "This model's maximum context length is 4096 tokens."
GOOGLE_BAD_KEY = (
    b'[{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid.",'
    b'"details":[{"reason":"API_KEY_INVALID"}]}}]'
)


def openai(message: str = "words", **fields: object) -> bytes:
    """Return an error body as OpenAI writes it."""
    return msgspec.json.encode({"error": {"message": message, "param": None, **fields}})


def anthropic(kind: str, message: str = "words") -> bytes:
    """Return an error body as Anthropic writes it."""
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, "bad_response"),
        (400, "bad_request"),
        (401, "auth"),
        (402, "quota_exhausted"),
        (403, "forbidden"),
        (404, "bad_response"),
        (407, "network"),
        (408, "timeout"),
        (413, "context_overflow"),
        (418, "bad_request"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (520, "server_error"),
        (529, "overloaded"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error":null}', b"[" * 9999])
def test_status_decides_where_the_body_says_nothing(status: int, kind: str, body: bytes) -> None:
    """Without a readable error object the status alone is read, and no bytes are passed on."""
    failure = classify(CHAT, status, NONE, body)
    assert (failure.kind, failure.status, failure.body) == (FailureKind(kind), status, b"")


@pytest.mark.parametrize(
    ("protocol", "status", "body", "kind"),
    [
        (CHAT, 400, openai(code="context_length_exceeded"), "context_overflow"),
        (CHAT, 413, openai(code="rate_limit_exceeded", type="tokens"), "rate_limited"),
        (CHAT, 429, openai(code="insufficient_quota"), "quota_exhausted"),
        (CHAT, 429, openai(type="engine_overloaded_error"), "overloaded"),
        (CHAT, 404, openai(code="model_not_found"), "model_not_found"),
        (CHAT, 404, openai(type="NotFoundError", code=404), "model_not_found"),
        (CHAT, 404, openai(type="invalid_request_error"), "bad_request"),
        (CHAT, 404, b'{"detail":"Not Found"}', "bad_response"),
        (CHAT, 400, openai(code="content_filter"), "content_filter"),
        (CHAT, 400, openai(code=400, type="exceed_context_size_error"), "context_overflow"),
        (CHAT, 500, openai(type="api_error"), "server_error"),
        (CHAT, 400, openai(type="api_error"), "bad_request"),
        (CHAT, 400, openai(VLLM_WORDS, type="BadRequestError"), "context_overflow"),
        (CHAT, 400, openai(VLLM_WORDS, type="made_up"), "bad_request"),
        (CHAT, 400, GOOGLE_BAD_KEY, "auth"),
        (CHAT, 400, b'{"error":"plain words"}', "bad_request"),
        (MESSAGES, 404, anthropic("not_found_error"), "model_not_found"),
        (MESSAGES, 529, anthropic("overloaded_error"), "overloaded"),
        (MESSAGES, 413, anthropic("request_too_large"), "context_overflow"),
        (MESSAGES, 400, anthropic(REQUEST, "prompt is too long: 9 > 8"), "context_overflow"),
        (MESSAGES, 400, anthropic(REQUEST, "Your credit balance is too low"), "quota_exhausted"),
        (MESSAGES, 500, anthropic("api_error", "prompt is too long: 9 > 8"), "server_error"),
        (MESSAGES, 400, anthropic(REQUEST), "bad_request"),
        (MESSAGES, 403, anthropic("permission_error"), "forbidden"),
    ],
)  # fmt: skip
def test_structured_errors_say_more_than_their_status(
    protocol: WireProtocol, status: int, body: bytes, kind: str
) -> None:
    """Codes and types decide; words only together with the status and type that belong to them."""
    assert classify(protocol, status, JSON, body).kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"retry-after-ms": "120000", "retry-after": "1"}, 120.0),
        ({"retry-after": "999999999"}, LONGEST_WAIT),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (
            {
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
                "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT",
            },
            30.0,
        ),
        (
            {
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
                "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT",
            },
            0.0,
        ),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds and dates are understood, bounded to a day, and nonsense is no wait at all."""
    assert classify(CHAT, 429, CIMultiDict(headers), b"").retry_after == seconds


def test_retry_delay_of_google_is_read_from_the_body() -> None:
    """Where no header says how long to wait, RetryInfo does."""
    body = b'[{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"33.5s"}]}}]'
    failure = classify(CHAT, 429, JSON, body)
    assert (failure.kind, failure.retry_after) == (FailureKind.RATE_LIMITED, 33.5)


def test_failure_keeps_what_a_client_of_the_protocol_may_see() -> None:
    """Body, content type and the end-to-end headers are kept, cookies are not."""
    headers = CIMultiDict({"Content-Type": "text/json", "x-request-id": "r1", "Set-Cookie": "a"})
    failure = classify(CHAT, 400, headers, openai("no"))
    assert (failure.body, failure.content_type) == (openai("no"), "text/json")
    assert dict(failure.headers) == {"Content-Type": "text/json", "x-request-id": "r1"}


@pytest.mark.parametrize("body", [b"<html>busy", b'{"ok":1}', b'{"error":{"message":"cut o'])
def test_a_page_or_a_scrap_is_not_kept_for_the_client(body: bytes) -> None:
    """Only an error object can be read by a client of the protocol; the rest is told in ours."""
    assert classify(CHAT, 502, NONE, body).body == b""


def test_an_error_object_is_found_whatever_its_content_type() -> None:
    """Some servers send an error as the body of what they call an event stream."""
    found = in_json(CHAT, NONE, openai("busy", code="server_is_overloaded"))
    assert found is not None
    assert found.kind == FailureKind.OVERLOADED
    assert in_json(CHAT, NONE, b"data: {}") is None


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-proj-abcdefghijkl1234.",
        "bad header Bearer abcdefghijklmn",
        "key AIzaSyA1234567890abcdefghij is invalid",
        "credential 0123456789abcdef0123456789abcdef rejected",
    ],
)
def test_echoed_credential_is_not_repeated(words: str) -> None:
    """A provider that quotes the key it refuses does not get it into our messages."""
    message = classify(CHAT, 401, JSON, openai(words)).message
    assert "…" in message
    assert not any(part in message for part in ("abcdefghij", "0123456789abcdef"))


@given(st.text(), st.sampled_from([200, 400, 401, 404, 429, 500]))
def test_messages_are_one_bounded_printable_line(words: str, status: int) -> None:
    """Whatever an upstream says, a message fits in a log line."""
    message = classify(CHAT, status, JSON, openai(words * 50)).message
    assert len(message) <= LONGEST_MESSAGE + 20
    assert message.isprintable()


@given(st.binary(), st.integers(min_value=300, max_value=599))
@example(b'{"error":{"message":"\xff"}}', 500)
def test_any_body_is_classified(body: bytes, status: int) -> None:
    """No body of a failed reply makes the classification itself fail."""
    assert classify(MESSAGES, status, NONE, body).status == status


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
        ("never_seen", "server_error"),
        (None, "server_error"),
    ],
)
def test_error_event_is_classified_by_its_code(code: str | None, kind: str) -> None:
    """An error inside a stream has no status: its code or type decides."""
    told = Told(message="words", codes=() if code is None else (code,))
    assert in_stream(told).kind == kind
