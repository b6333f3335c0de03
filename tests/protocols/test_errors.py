"""Errors in each client's own dialect: statuses, headers, bodies, and frames in a stream."""

from typing import Any

import msgspec
import pytest
from anthropic.types import ErrorResponse
from support import strict
from support.golden import CASES

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import Phase
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.sse import SseEvent, SseParser

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
TOO_LARGE = ApiError(
    kind=ErrorKind.TOO_LARGE,
    message="m cannot hold this.",
    tokens=41_000,
    limit=32_768,
    should_retry=False,
    details={"request_id": "r1", "ceiling": 32_768},
)


def decoded(body: bytes) -> dict[str, Any]:
    """Decode an object."""
    return msgspec.json.decode(body, type=dict[str, Any])


def one_event(frame: bytes) -> SseEvent:
    """Return the one whole event that a frame must be."""
    parser = SseParser(1 << 20)
    (event,) = parser.feed(frame)
    assert parser.tail == b""
    return event


STATUSES = {
    ErrorKind.TOO_LARGE: (413, 400, 413),
    ErrorKind.UNKNOWN_MODEL: (404, 404, 404),
    ErrorKind.MALFORMED: (400, 400, 400),
    ErrorKind.UNSUPPORTED: (400, 400, 400),
    ErrorKind.BODY_TOO_LARGE: (413, 400, 413),
    ErrorKind.UNAUTHORIZED: (401, 401, 401),
    ErrorKind.FORBIDDEN: (403, 403, 403),
    ErrorKind.NOT_FOUND: (404, 404, 404),
    ErrorKind.METHOD_NOT_ALLOWED: (405, 405, 405),
    ErrorKind.RATE_LIMITED: (429, 429, 429),
    ErrorKind.UNAVAILABLE: (503, 503, 529),
    ErrorKind.UPSTREAM_AUTH: (502, 502, 502),
    ErrorKind.UPSTREAM_FAILED: (502, 502, 502),
    ErrorKind.UPSTREAM_TIMEOUT: (504, 504, 504),
    ErrorKind.INTERNAL: (500, 500, 500),
}


@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_has_its_status_and_a_whole_body_in_each_dialect(kind: ErrorKind) -> None:
    """Status by dialect; message, kind and details in the body; no retry header unasked."""
    error = ApiError(kind=kind, message="said", param="$.x", details={"request_id": "r1"})
    for codec, status in zip((CHAT, RESPONSES, MESSAGES), STATUSES[kind], strict=True):
        wire = codec.error(error)
        assert (wire.status, wire.headers) == (status, ())
        told = decoded(wire.body)["error"]
        assert told["message"] == "said"
        assert told["gatewayctl"] == {"kind": kind.value, "request_id": "r1"}


# ``request_too_large`` stands in Anthropic's documentation, but not in the SDK's union.
@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - {ErrorKind.BODY_TOO_LARGE}))
def test_anthropics_own_type_accepts_every_error(kind: ErrorKind) -> None:
    """The type of the error is one that the vendor's client knows."""
    wire = MESSAGES.error(ApiError(kind=kind, message="said", details={"request_id": "r1"}))
    parsed = ErrorResponse.model_validate_json(wire.body, strict=True)
    assert (parsed.error.message, parsed.request_id) == ("said", "r1")


def test_a_refusal_by_size_is_what_each_dialects_agents_act_on() -> None:
    """Codes, fields and the first words that make agents compact or stop with a clear message."""
    chat, responses, messages = (codec.error(TOO_LARGE) for codec in (CHAT, RESPONSES, MESSAGES))
    for wire, param in ((chat, "messages"), (responses, "input")):
        told = decoded(wire.body)["error"]
        assert (told["code"], told["param"]) == ("context_length_exceeded", param)
        assert told["type"] == "invalid_request_error"
        assert told["gatewayctl"]["ceiling"] == 32_768
    told = decoded(messages.body)
    assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
    assert told["error"]["message"] == "prompt is too long: 41000 tokens > 32768 maximum"
    assert {wire.headers for wire in (chat, responses, messages)} == {
        (("x-should-retry", "false"),)
    }


@every_codec
@pytest.mark.parametrize("status", [400, 413])
def test_the_status_of_a_refusal_by_size_can_be_forced(codec: Codec, status: int) -> None:
    """Only that of a refusal by size."""
    assert codec.error(TOO_LARGE, too_large_status=status).status == status
    other = ApiError(kind=ErrorKind.UNKNOWN_MODEL, message="no such model")
    assert codec.error(other, too_large_status=status).status == 404


@every_codec
def test_headers_say_when_to_come_back_and_never_that_a_retry_is_wanted(codec: Codec) -> None:
    """``retry-after`` is in whole seconds, rounded up."""
    error = ApiError(kind=ErrorKind.RATE_LIMITED, message="slow down", retry_after=1.2)
    assert codec.error(error).headers == (("retry-after", "2"),)
    vain = ApiError(kind=ErrorKind.UNSUPPORTED, message="no", should_retry=False)
    assert codec.error(vain).headers == (("x-should-retry", "false"),)


@pytest.mark.parametrize(
    ("retry_after", "should_retry", "delay"),
    [(1.5, True, "1.500s"), (7200.0, False, "7200.000s"), (None, False, "86400.000s")],
)
def test_gemini_cli_hears_for_how_long_to_wait(
    retry_after: float | None, should_retry: bool, delay: str
) -> None:
    """It stops at more than five minutes; told no time it would ask again and again."""
    error = ApiError(
        kind=ErrorKind.RATE_LIMITED,
        message="no",
        retry_after=retry_after,
        should_retry=should_retry,
    )
    details = decoded(CODECS[WireProtocol.GEMINI].error(error).body)["error"]["details"]
    assert [each["retryDelay"] for each in details if "retryDelay" in each] == [delay]


@pytest.mark.parametrize("codec", [CHAT, RESPONSES])
def test_money_that_ran_out_is_told_from_a_pace_that_is_too_fast(codec: Codec) -> None:
    """OpenAI's own word for it, at which agents stop instead of waiting."""
    for exhausted, code in ((True, "insufficient_quota"), (False, "rate_limit_exceeded")):
        error = ApiError(kind=ErrorKind.RATE_LIMITED, message="no", exhausted=exhausted)
        told = codec.error(error)
        assert (told.status, decoded(told.body)["error"]["code"]) == (429, code)


@pytest.mark.parametrize("wait", [None, 61.0, 86_400.0])
def test_codex_is_told_of_a_long_wait_so_that_it_stops_and_shows_why(wait: float | None) -> None:
    """It waits in silence for as long as it is told, but for one type; the reason is a header."""
    error = ApiError(
        kind=ErrorKind.RATE_LIMITED, message="spent\nbis Mär…", retry_after=wait, should_retry=False
    )
    told = RESPONSES.error(error)
    assert told.status == 429
    assert decoded(told.body)["error"]["type"] == "usage_limit_reached"
    assert decoded(told.body)["error"]["message"] == error.message
    assert dict(told.headers).get("x-codex-promo-message") == "spent?bis M?r?"
    assert ("retry-after" in dict(told.headers)) is (wait is not None)


def test_codex_waits_for_a_minute_by_itself() -> None:
    """As every agent does, and then goes on."""
    error = ApiError(kind=ErrorKind.RATE_LIMITED, message="no", retry_after=60.0)
    told = RESPONSES.error(error)
    assert decoded(told.body)["error"]["type"] == "rate_limit_error"
    assert dict(told.headers) == {"retry-after": "60"}


@pytest.mark.parametrize(
    ("error", "wait", "tells"),
    [
        ({"type": "requests", "code": "rate_limit_exceeded"}, 3600.0, False),
        ({"type": "requests", "code": "rate_limit_exceeded"}, 60.0, True),
        ({"type": "requests", "code": "rate_limit_exceeded"}, None, True),
        ({"type": "usage_limit_reached", "resets_at": 1}, 3600.0, True),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, 3600.0, True),
    ],
)
def test_an_upstreams_refusal_is_passed_on_to_codex_where_it_stops_or_waits_for_a_minute(
    error: dict[str, object], wait: float | None, *, tells: bool
) -> None:
    """Those that would have it wait for an hour are told in the gateway's words."""
    body = msgspec.json.encode({"error": {"message": "no", **error}})
    assert RESPONSES.tells_limit(body, wait) is tells
    assert all(codec.tells_limit(body, wait) for codec in (CHAT, MESSAGES))


@pytest.mark.parametrize(
    ("details", "wait", "tells"),
    [
        ([], None, True),
        ([], 30.0, False),
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}], 30.0, True),
    ],
)
def test_an_upstreams_refusal_is_passed_on_to_gemini_cli_where_it_tells_the_wait_there_is(
    details: list[object], wait: float | None, *, tells: bool
) -> None:
    """It looks for that in the body alone, and asks again at once where it finds nothing."""
    body = msgspec.json.encode({"error": {"code": 429, "message": "no", "details": details}})
    assert CODECS[WireProtocol.GEMINI].tells_limit(body, wait) is tells


@every_codec
@pytest.mark.parametrize("kind", ErrorKind)
def test_an_error_frame_is_an_error_to_our_own_watcher(codec: Codec, kind: ErrorKind) -> None:
    """What ends a broken stream can never be taken for its proper end."""
    error = ApiError(kind=kind, message="broke off", details={"request_id": "r1"})
    *before, event = SseParser(1 << 20).feed(codec.stream_error(error, seen=None))
    watcher = codec.watcher(usage_requested=True)
    assert all(watcher.see(each) is Phase.LIFECYCLE for each in before)
    assert watcher.see(event) is Phase.ERROR
    assert watcher.error == "broke off"
    assert b'"gatewayctl":{' in event.data


def test_a_chat_error_frame_has_no_done_after_it() -> None:
    """``[DONE]`` would say that the answer is whole."""
    frame = CHAT.stream_error(TOO_LARGE, seen=None)
    assert frame.startswith(b'data: {"error":{')
    assert b"[DONE]" not in frame


def test_a_messages_error_frame_is_a_named_event() -> None:
    """Clients dispatch on the event's name."""
    event = one_event(MESSAGES.stream_error(TOO_LARGE, seen=None))
    assert event.event == "error"
    assert decoded(event.data)["error"]["message"].startswith("prompt is too long: 41000 tokens")


def test_a_failed_response_goes_on_from_what_the_stream_had() -> None:
    """Id, model, time and numbering continue, and OpenAI's own type accepts the event."""
    (case,) = (c for c in CASES if (c.protocol, c.name) == (WireProtocol.RESPONSES, "text"))
    watcher = RESPONSES.watcher(usage_requested=True)
    for event in case.events[:4]:
        watcher.see(event)
    error = ApiError(kind=ErrorKind.UPSTREAM_FAILED, message="broke off")
    event = one_event(RESPONSES.stream_error(error, seen=watcher))
    parsed = strict.event("responses", event.data)
    assert (event.event, parsed.type, parsed.sequence_number) == ("response.failed",) * 2 + (4,)
    response = parsed.response
    assert (response.id, response.model, response.status) == ("resp_1", "small-1", "failed")
    assert (response.error.code, response.error.message) == ("server_error", "broke off")


def test_a_failed_response_is_valid_where_nothing_was_seen() -> None:
    """Before the first event a response is created and fails: a stream that accumulators take."""
    error = ApiError(
        kind=ErrorKind.RATE_LIMITED, message="m", details={"request_id": "r1", "requested": "a"}
    )
    events = SseParser(1 << 20).feed(RESPONSES.stream_error(error, seen=None))
    created, failed = (strict.event("responses", event.data) for event in events)
    assert (created.type, failed.type) == ("response.created", "response.failed")
    assert (created.response.id, failed.response.id) == ("resp_r1", "resp_r1")
    assert (created.sequence_number, failed.sequence_number) == (0, 1)
    assert failed.response.model == "a"
    told = decoded(RESPONSES.stream_error(TOO_LARGE, seen=None).rpartition(b"data: ")[2])
    assert told["response"]["error"]["code"] == "context_length_exceeded"
    assert told["response"]["error"]["gatewayctl"]["ceiling"] == 32_768


@every_codec
def test_a_keepalive_is_a_whole_frame_without_content(codec: Codec) -> None:
    """Each dialect's own sign of life, which commits nothing and ends nothing."""
    event = one_event(codec.keepalive(seen=None, unsent=None))
    assert codec.watcher(usage_requested=True).see(event) is Phase.LIFECYCLE
    if codec.protocol is WireProtocol.MESSAGES:
        assert (event.event, event.data) == ("ping", b'{"type":"ping"}')
    elif codec.protocol is WireProtocol.GEMINI:
        assert event.raw == b"\n", "after a comment Gemini CLI asks again"
    else:
        assert event.raw == b": keepalive\n\n"


def test_a_keepalive_of_responses_goes_on_from_the_response_that_began() -> None:
    """Codex counts events alone; OpenAI's accumulator wants the id that it knows."""
    watcher = RESPONSES.watcher(usage_requested=True)
    response = {"id": "resp_7", "created_at": 1, "model": "m"}
    created = {"type": "response.created", "sequence_number": 0, "response": response}
    watcher.see(SseEvent(raw=b"", data=msgspec.json.encode(created)))
    event = one_event(RESPONSES.keepalive(seen=watcher, unsent="r1"))
    told = strict.event("responses", event.data)
    assert (told.type, told.response.id) == ("response.in_progress", "resp_7")


def test_a_stream_of_responses_that_opens_early_has_one_id_to_its_own_error() -> None:
    """For Codex, which counts events alone: created, in progress, failed if it comes to that."""
    error = ApiError(kind=ErrorKind.UNAVAILABLE, message="m", details={"request_id": "r1"})
    frames = RESPONSES.opening("r1") + RESPONSES.keepalive(seen=None, unsent="r1")
    frames += RESPONSES.stream_error(error, seen=None)
    told = [strict.event("responses", event.data) for event in SseParser(1 << 20).feed(frames)]
    assert [event.type.removeprefix("response.") for event in told] == [
        "created", "in_progress", "created", "failed",
    ]  # fmt: skip
    assert {event.response.id for event in told} == {"resp_r1"}
    assert RESPONSES.opening(None) == b""
