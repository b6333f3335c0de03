"""Faults in words: error replies, each as the vendor of the protocol writes it.

Silence and broken bytes are ``breaks``'.
"""

from typing import Final

import msgspec

from gatewayctl.simulator import gemini, overflows, plays
from gatewayctl.simulator.plays import Change, Fault, Kind, Occasion, Play, body, refusal
from gatewayctl.simulator.problems import Problem, Vendor

FLAPPING: Final = 60.0
"""Seconds from its first call for which a flapping model goes up and down."""

_PERIOD: Final = 10.0
_RETRY_AFTER: Final = "retry-after"

_EXPIRED: Final = {
    Vendor.OPENAI: Problem(
        status=401,
        message="Your authentication token has expired. Please try signing in again.",
        code="token_expired",
    ),
    Vendor.ANTHROPIC: Problem(
        status=401,
        message=(
            "OAuth token has expired. Please obtain a new token or refresh your existing token."
        ),
    ),
    Vendor.GOOGLE: Problem(
        status=400,
        message="API key expired. Please renew the API key.",
        details={"ErrorInfo": {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}},
    ),
}
_QUOTA: Final = {
    Vendor.OPENAI: Problem(
        status=429,
        message="You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
        kind="insufficient_quota",
    ),
    Vendor.ANTHROPIC: Problem(
        status=400,
        message=(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits."
        ),
    ),
    Vendor.GOOGLE: Problem(
        status=429,
        message="You exceeded your current quota, please check your plan and billing details.",
        details={
            "QuotaFailure": {
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]
            }
        },
    ),
}
_FILTERED: Final = {
    Vendor.OPENAI: Problem(
        status=400,
        message="The response was filtered due to the prompt triggering the content policy.",
        code="content_filter",
        param="prompt",
    ),
    Vendor.ANTHROPIC: Problem(
        status=400, message="Output blocked by content filtering policy", code="content_filter"
    ),
}


def _status(status: int, message: str, code: str | None = None) -> Change:
    """Make a fault that answers with an error; its argument is a ``retry-after`` in seconds."""

    def change(_play: Play, fault: Fault, occasion: Occasion) -> Play:
        problem = Problem(status=status, message=message, code=code, retry_after=fault.arg)
        return refusal(occasion.wire, problem)

    return change


def _by_vendor(problems: dict[Vendor, Problem]) -> Change:
    def change(_play: Play, _fault: Fault, occasion: Occasion) -> Play:
        return refusal(occasion.wire, problems[occasion.wire.VENDOR])

    return change


def _blocked(play: Play, fault: Fault, occasion: Occasion) -> Play:
    """Refuse what the prompt says; Google does it in a reply without an answer."""
    made = occasion.made
    if occasion.wire.VENDOR is not Vendor.GOOGLE:
        return _filtered_prompt(play, fault, occasion)
    if not play.streams:
        return body(gemini.blocked(made))
    return plays.play(
        iter([gemini.blocked_frame(made)]), content_type=play.content_type, streams=True
    )


def _do_not_retry(play: Play, _fault: Fault, _occasion: Occasion) -> Play:
    headers = (*play.headers, ("x-should-retry", "false"))
    return msgspec.structs.replace(play, headers=headers)


def _unknown_model(_play: Play, _fault: Fault, occasion: Occasion) -> Play:
    return refusal(occasion.wire, occasion.wire.unknown_model(occasion.made.ask.model))


def _overflow(_play: Play, fault: Fault, occasion: Occasion) -> Play:
    vendor = occasion.wire.VENDOR
    return body(overflows.overflow(fault.arg or vendor.value, vendor), status=400)


def _flap(play: Play, fault: Fault, occasion: Occasion) -> Play:
    period = fault.number(_PERIOD) or _PERIOD
    is_down = occasion.age < FLAPPING and occasion.age % period < period / 2
    return _unavailable(play, Fault(name=fault.name), occasion) if is_down else play


_filtered_prompt: Final = _by_vendor(_FILTERED)
_unavailable: Final = _status(503, "The simulator is unavailable on purpose.")

REFUSALS: Final[dict[str, Kind]] = {
    "400": Kind(
        change=_status(400, "The simulator did not like this request."),
        meaning="a request that is malformed in the provider's eyes",
    ),
    "401": Kind(
        change=_status(401, "Incorrect API key provided.", "invalid_api_key"),
        meaning="a wrong key",
    ),
    "403": Kind(
        change=_status(403, "Your account may not use this model."), meaning="a forbidden model"
    ),
    "404": Kind(change=_unknown_model, meaning="an unknown model"),
    "429": Kind(
        change=_status(429, "Rate limit reached; try again later.", "rate_limit_exceeded"),
        meaning="a rate limit",
        argument=_RETRY_AFTER,
    ),
    "500": Kind(
        change=_status(500, "The simulator failed on purpose."),
        meaning="an internal error",
        argument=_RETRY_AFTER,
    ),
    "502": Kind(
        change=_status(502, "Bad gateway, on purpose."),
        meaning="a bad gateway",
        argument=_RETRY_AFTER,
    ),
    "503": Kind(change=_unavailable, meaning="unavailable", argument=_RETRY_AFTER),
    "529": Kind(
        change=_status(529, "Overloaded"),
        meaning="overloaded, as Anthropic says it",
        argument=_RETRY_AFTER,
    ),
    "expired-key": Kind(change=_by_vendor(_EXPIRED), meaning="a 401 for a key that has expired"),
    "quota": Kind(change=_by_vendor(_QUOTA), meaning="the account's quota or credit is used up"),
    "content-filter": Kind(
        change=_blocked,
        meaning="a 400 because of what the prompt says; gemini: a 200 without an answer",
    ),
    "overflow": Kind(
        change=_overflow,
        meaning="a 400 because the prompt is too long, in the words of a provider",
        argument="provider",
        choices=overflows.PROVIDERS,
    ),
    "do-not-retry": Kind(
        change=_do_not_retry, meaning="besides another fault: x-should-retry says false"
    ),
    "flap": Kind(
        change=_flap,
        meaning="for a minute, 503 in the first half of each period, 10 seconds unless told",
        argument="seconds",
    ),
}
"""Every such fault by name."""
