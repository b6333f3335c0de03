import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.upstream.failures import classify
from gatewayctl.upstream.waits import LONGEST_WAIT

CHAT = WireProtocol.CHAT_COMPLETIONS
JSON = CIMultiDict({"Content-Type": "application/json"})


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
def test_retry_after_is_read_in_both_forms_litellm_7669(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Bug row 11: seconds and dates are understood, up to a day, and nonsense is no wait."""
    assert classify(CHAT, 429, CIMultiDict(headers), b"").retry_after == seconds


NOON = {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2d"}, LONGEST_WAIT),
        ({"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": ""}, None),
        (
            {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "5s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "9s",
            },
            9.0,
        ),
        (
            {
                "retry-after": "2",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "5s",
            },
            2.0,
        ),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"}, 20.0),
        ({**NOON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262430"}, 30.0),
        ({**NOON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262430500"}, 30.5),
        ({**NOON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262000"}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262430"}, None),
        ({**NOON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 13}, LONGEST_WAIT),
        ({**NOON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 15}, None),
        (
            {
                **NOON,
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-21T12:00:07Z",
            },
            7.0,
        ),
        (
            {
                **NOON,
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:07",
            },
            None,
        ),
        (
            {
                **NOON,
                "anthropic-ratelimit-unified-status": "allowed",
                "anthropic-ratelimit-unified-reset": "1795262430",
            },
            None,
        ),
        (
            {
                **NOON,
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": "1795262430",
            },
            30.0,
        ),
    ],
)
def test_the_reset_of_an_exhausted_limit_is_a_wait(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Only where nothing else says how long, and only of a limit of which nothing remains."""
    found = classify(CHAT, 429, CIMultiDict(headers), b"").retry_after
    assert found == (None if seconds is None else pytest.approx(seconds))
    if "retry-after" not in headers:
        assert classify(CHAT, 500, CIMultiDict(headers), b"").retry_after is None


@given(st.text(), st.text(), st.text())
@example("0", "9" * 15, "Sat, 21 Nov 2026 12:00:00 GMT")
@example("0", "0001-01-01T00:00:00+23:59", "Fri, 31 Dec 9999 23:59:59 -2359")
def test_no_header_whatever_breaks_the_wait(remaining: str, reset: str, date: str) -> None:
    """Waits are seconds of at most a day, or none."""
    names = ("x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "date")
    headers = CIMultiDict(zip(names, (remaining, reset, reset, date), strict=True))
    wait = classify(CHAT, 429, headers, b"").retry_after
    assert wait is None or 0 <= wait <= LONGEST_WAIT


def test_retry_delay_of_google_is_read_from_the_body() -> None:
    """Where no header says how long to wait, RetryInfo does."""
    body = b'[{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"33.5s"}]}}]'
    failure = classify(CHAT, 429, JSON, body)
    assert (failure.kind, failure.retry_after) == (FailureKind.RATE_LIMITED, 33.5)
