import msgspec
import pytest
from support import strict
from support.dialects import DIALECTS
from support.faulty import call

from gatewayctl import simulator as simulators
from gatewayctl.simulator import Simulator
from gatewayctl.simulator.refusals import FLAPPING

ANTHROPIC_TYPES = {
    "400": "invalid_request_error",
    "401": "authentication_error",
    "403": "permission_error",
    "404": "not_found_error",
    "429": "rate_limit_error",
    "500": "api_error",
    "502": "api_error",
    "503": "api_error",
    "529": "overloaded_error",
}
OPENAI_CODES = {
    "401": "invalid_api_key",
    "404": "model_not_found",
    "429": "rate_limit_exceeded",
}
GOOGLE_STATUSES = {
    "400": "INVALID_ARGUMENT",
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "NOT_FOUND",
    "429": "RESOURCE_EXHAUSTED",
    "500": "INTERNAL",
    "502": "UNAVAILABLE",
    "503": "UNAVAILABLE",
    "529": "UNAVAILABLE",
}
SPECIAL = {
    "expired-key": {
        "openai": (401, "token_expired"),
        "anthropic": (401, "authentication_error"),
        "google": (400, "INVALID_ARGUMENT"),
    },
    "quota": {
        "openai": (429, "insufficient_quota"),
        "anthropic": (400, "invalid_request_error"),
        "google": (429, "RESOURCE_EXHAUSTED"),
    },
    "content-filter": {
        "openai": (400, "content_filter"),
        "anthropic": (400, "invalid_request_error"),
    },
}


@pytest.mark.parametrize("fault", ANTHROPIC_TYPES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_error_statuses_come_in_the_dialect(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """Each status fault answers with an error object of the protocol, as JSON, streamed or not."""
    told = await call(simulator, protocol, fault, stream=stream)
    assert (told.status, told.content_type, told.clean) == (int(fault), "application/json", True)
    decoded = msgspec.json.decode(told.body)
    if protocol == "messages":
        assert (decoded["type"], decoded["error"]["type"]) == ("error", ANTHROPIC_TYPES[fault])
    elif protocol == "gemini":
        assert decoded["error"]["status"] == GOOGLE_STATUSES[fault]
    else:
        assert decoded["error"]["code"] == OPENAI_CODES.get(fault)
        assert decoded["error"]["message"]


@pytest.mark.parametrize("fault", SPECIAL)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_accounts_and_filters_refuse_as_their_vendor_does(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """Expired keys, spent quotas and filters have each vendor's own status and code."""
    told = await call(simulator, protocol, fault, stream=stream)
    vendor, field = {"messages": ("anthropic", "type"), "gemini": ("google", "status")}.get(
        protocol, ("openai", "code")
    )
    if vendor not in SPECIAL[fault]:
        assert told.status == 200
        return
    error = msgspec.json.decode(told.body)["error"]
    assert (told.status, error[field]) == SPECIAL[fault][vendor]


@pytest.mark.parametrize("stream", [False, True])
async def test_google_answers_a_filtered_prompt_with_nothing(
    simulator: Simulator, stream: bool
) -> None:
    """A 200 whose only reply has a reason and no candidate."""
    told = await call(simulator, "gemini", "content-filter", stream=stream)
    body = told.body.removeprefix(b"data: ") if stream else told.body
    parsed = strict.reply("gemini", body.strip())
    assert parsed.prompt_feedback.block_reason == "SAFETY"
    assert parsed.candidates is None


async def test_google_says_in_the_body_when_to_come_back(simulator: Simulator) -> None:
    """``RetryInfo``, and no header."""
    told = await call(simulator, "gemini", "429=7")
    (detail,) = msgspec.json.decode(told.body)["error"]["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    assert "retry-after" not in told.headers


@pytest.mark.parametrize("status", ["429", "500", "503", "529"])
async def test_a_refusal_may_say_when_to_come_back(simulator: Simulator, status: str) -> None:
    """The argument of a status fault becomes ``retry-after``; without one there is none."""
    for fault, header in ((f"{status}=7", "7"), (status, None)):
        told = await call(simulator, "messages", fault)
        assert (told.status, told.headers.get("retry-after")) == (int(status), header)


async def test_a_refusal_may_say_that_a_retry_is_vain(simulator: Simulator) -> None:
    """``do-not-retry`` adds a header to what another fault answers, and changes nothing else."""
    told = await call(simulator, "chat_completions", "503=3,do-not-retry")
    assert (told.status, told.headers["retry-after"]) == (503, "3")
    assert told.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_filter_stops_an_answer_half_way(
    simulator: Simulator, protocol: str, stream: bool
) -> None:
    """The reply is whole and valid, shorter, and its reason to end is the vendor's own word."""
    told = await call(simulator, protocol, "filtered", stream=stream)
    reason = {
        "chat_completions": b'"finish_reason":"content_filter"',
        "messages": b'"stop_reason":"refusal"',
        "responses": b'"incomplete_details":{"reason":"content_filter"}',
        "gemini": b'"finishReason":"SAFETY"',
    }[protocol]
    assert reason in told.body
    assert (strict.events if stream else strict.reply)(protocol, told.body)
    whole = await call(simulator, protocol, "tag=1", stream=stream)
    assert len(told.body) < len(whole.body)


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_flapping_goes_up_and_down_for_a_minute(protocol: str) -> None:
    """Down in the first half of each period, up in the second, up for good after a minute."""
    times = [0.0, 4.9, 5.0, 9.9, 10.0, 54.0, 55.0, FLAPPING, FLAPPING + 1]
    clock = iter(times)
    simulator = await simulators.start(clock=lambda: 1000.0 + next(clock))
    seen = [
        (await call(simulator, protocol, "flap=10", switch="model", stream=False)).status
        for _ in times
    ]
    await simulator.close()
    assert seen == [503, 503, 200, 200, 503, 503, 200, 200, 200]
