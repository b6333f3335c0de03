import msgspec
import pytest
from support import strict
from support.dialects import PROTOCOLS
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
SPECIAL = {
    "expired-key": (401, "token_expired", 401, "authentication_error"),
    "quota": (429, "insufficient_quota", 400, "invalid_request_error"),
    "content-filter": (400, "content_filter", 400, "invalid_request_error"),
}


@pytest.mark.parametrize("fault", ANTHROPIC_TYPES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_error_statuses_come_in_the_dialect(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """Each status fault answers with an error object of the protocol, as JSON, streamed or not."""
    told = await call(simulator, protocol, fault, stream=stream)
    assert (told.status, told.content_type, told.clean) == (int(fault), "application/json", True)
    decoded = msgspec.json.decode(told.body)
    if protocol == "messages":
        assert (decoded["type"], decoded["error"]["type"]) == ("error", ANTHROPIC_TYPES[fault])
    else:
        assert decoded["error"]["code"] == OPENAI_CODES.get(fault)
        assert decoded["error"]["message"]


@pytest.mark.parametrize("fault", SPECIAL)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_accounts_and_filters_refuse_as_their_vendor_does(
    simulator: Simulator, protocol: str, stream: bool, fault: str
) -> None:
    """Expired keys, spent quotas and filters have each vendor's own status and code."""
    told = await call(simulator, protocol, fault, stream=stream)
    openai_status, code, anthropic_status, kind = SPECIAL[fault]
    error = msgspec.json.decode(told.body)["error"]
    if protocol == "messages":
        assert (told.status, error["type"]) == (anthropic_status, kind)
    else:
        assert (told.status, error["code"]) == (openai_status, code)


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
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_filter_stops_an_answer_half_way(
    simulator: Simulator, protocol: str, stream: bool
) -> None:
    """The reply is whole and valid, shorter, and its reason to end is the vendor's own word."""
    told = await call(simulator, protocol, "filtered", stream=stream)
    reason = {
        "chat_completions": b'"finish_reason":"content_filter"',
        "messages": b'"stop_reason":"refusal"',
        "responses": b'"incomplete_details":{"reason":"content_filter"}',
    }[protocol]
    assert reason in told.body
    assert (strict.events if stream else strict.reply)(protocol, told.body)
    whole = await call(simulator, protocol, "tag=1", stream=stream)
    assert len(told.body) < len(whole.body)


@pytest.mark.parametrize("protocol", PROTOCOLS)
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
