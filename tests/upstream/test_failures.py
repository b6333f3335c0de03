import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.upstream.failures import LONGEST_MESSAGE, classify, in_reply
from gatewayctl.upstream.waits import LONGEST_WAIT

from .conftest import anthropic, openai

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


def test_failure_keeps_what_a_client_of_the_protocol_may_see() -> None:
    """Body, content type and the end-to-end headers are kept, cookies are not."""
    headers = CIMultiDict({"Content-Type": "text/json", "x-request-id": "r1", "Set-Cookie": "a"})
    failure = classify(CHAT, 400, headers, openai("no"))
    assert (failure.body, failure.content_type) == (openai("no"), "text/json")
    assert dict(failure.headers) == {"Content-Type": "text/json", "x-request-id": "r1"}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>busy",
        b'{"ok":1}',
        b'{"error":{"message":"cut o',
        b'{"error":"words alone"}',
        b'{"error":{"code":1}}',
        b'{"detail":"Not Found"}',
        b'[{"error":{"message":"listed"}}]',
    ],
)
def test_a_page_or_a_scrap_is_not_kept_for_the_client(body: bytes) -> None:
    """Only an error object can be read by a client of the protocol; the rest is told in ours."""
    assert classify(CHAT, 502, NONE, body).body == b""


def test_an_error_of_another_dialect_is_not_kept_for_the_client() -> None:
    """A client of Messages reads the error's type, which an error of OpenAI's may not have."""
    assert classify(MESSAGES, 502, NONE, anthropic("api_error")).body
    assert classify(MESSAGES, 502, NONE, openai()).body == b""
    assert classify(CHAT, 502, NONE, openai()).body


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"x-should-retry": "true"}, True),
        ({"X-Should-Retry": " False "}, False),
        ({"x-should-retry": "maybe"}, None),
    ],
)
def test_the_upstreams_advice_about_retries_is_kept(
    headers: dict[str, str], told: bool | None
) -> None:
    """Anthropic and OpenAI say whether one can help."""
    assert classify(CHAT, 500, CIMultiDict(headers), b"").should_retry is told


def test_only_the_proxys_refusal_says_that_nothing_was_reached() -> None:
    """Any other status comes from the provider, so its origin is there."""
    assert classify(CHAT, 407, NONE, b"").connecting
    assert not classify(CHAT, 503, NONE, b"").connecting


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-proj-abcdefghijkl1234.",
        "bad header Bearer abcdefghijklmn",
        "key AIzaSyA1234567890abcdefghij is invalid",
        "credential 0123456789abcdef0123456789abcdef rejected",
        "invalid bearer token: abcdefghij1",
        "invalid bearer token=abcdefghij1",
        "Bearer key-abcdefghij",
    ],
)
def test_echoed_credential_is_not_repeated(words: str) -> None:
    """A provider that quotes the key it refuses does not get it into our messages."""
    message = classify(CHAT, 401, JSON, openai(words)).message
    assert "…" in message
    assert not any(part in message for part in ("abcdefghij", "0123456789abcdef"))


@pytest.mark.parametrize(
    "words",
    ["Invalid bearer token", "No Bearer authentication was found.", "A bearer token is missing"],
)
def test_plain_words_about_a_credential_are_kept(words: str) -> None:
    """They are what a person needs to know."""
    assert words in classify(CHAT, 401, JSON, openai(words)).message


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


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from(["0", "429", "error", "7s", "x" * 3000, "sk-" + "a1" * 20]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "code",
                    "type",
                    "status",
                    "detail",
                    "details",
                    "metadata",
                    "reason",
                    "violations",
                    "quotaId",
                    "retryDelay",
                    "headers",
                    "raw",
                    "error_type",
                    "retry_after_seconds",
                    "choices",
                    "finish_reason",
                    "response",
                    "msg",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=15,
)


@given(VALUES, st.sampled_from([200, 400, 403, 404, 413, 422, 429, 500, 529]))
@example({"error": {"metadata": {"headers": {"Retry-After": "7", "date": "never"}}}}, 429)
@example({"error": {"details": [{"violations": [{"quotaId": 7}]}, 3], "code": True}}, 429)
def test_any_error_object_is_classified(value: object, status: int) -> None:
    """Members of any form are read or left out, in a refusal as in a success."""
    body = json.dumps(value).encode()
    for protocol in WireProtocol:
        refused = classify(protocol, status, JSON, body)
        inside = in_reply(protocol, JSON, body)
        for failure in (refused, inside):
            if failure is not None:
                assert len(failure.message) <= LONGEST_MESSAGE + 40
                assert failure.message.isprintable()
                assert failure.retry_after is None or 0 <= failure.retry_after <= LONGEST_WAIT
                assert "a1a1a1a1" not in failure.message


@pytest.mark.parametrize("depth", [10, 500, 990, 20_000])
def test_no_depth_of_nesting_breaks_the_classification(depth: int) -> None:
    """An error may be nested as deep as it likes: it is read, or it says nothing."""
    for opening, closing in ((b"[", b"]"), (b'{"error":', b"}"), (b'{"details":[', b"]}")):
        body = opening * depth + b"1" + closing * depth
        assert classify(CHAT, 500, JSON, body).kind == "server_error"
        in_reply(CHAT, JSON, body)


@pytest.mark.parametrize(
    ("message", "window"),
    [
        ("prompt is too long: 208544 tokens > 200000 maximum", 200_000),
        ("exceed context limit: 190000 + 32000 > 200000, decrease", 200_000),
        ("This model's maximum context length is 8,192 tokens. However, you requested 9000", 8192),
        ("request (4476 tokens) exceeds the available context size (4096 tokens)", 4096),
        ("greater than the context length (n_keep: 5228 >= n_ctx: 4096)", 4096),
        (
            "The input token count (1200000) exceeds the maximum number of tokens (1048576).",
            1048576,
        ),
        ("too large for model with 32768 maximum context length", 32_768),
        ("Input token length too long", None),
    ],
)
def test_a_refusal_by_size_names_its_limit_in_words(message: str, window: int | None) -> None:
    """For what a client is told; whether it is by size at all, the code has said before."""
    error = {"message": message, "code": "context_length_exceeded"}
    told = classify(CHAT, 400, JSON, json.dumps({"error": error}).encode())
    assert (told.kind, told.window) == (FailureKind.CONTEXT_OVERFLOW, window)
    other = classify(CHAT, 429, JSON, json.dumps({"error": {"message": message}}).encode())
    assert other.window is None
