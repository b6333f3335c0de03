from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gatewayctl.core.quota import LONGEST, MOST_WINDOWS, Snapshot, Window, spent
from gatewayctl.upstream.quotas import read

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""

DATE = {"Date": "Sat, 21 Nov 2026 12:00:00 GMT"}
UNIFIED = "anthropic-ratelimit-unified-"


def heard(headers: Mapping[str, str], at: float = NOON) -> Snapshot:
    """Return the snapshot that these headers make."""
    found = read(CIMultiDict(headers), at)
    assert found is not None
    return found


def unified(**said: str) -> Snapshot:
    """Return the snapshot of unified headers, named with underscores for hyphens."""
    return heard({UNIFIED + name.replace("_", "-"): value for name, value in said.items()})


def only(headers: Mapping[str, str], at: float = NOON) -> Window:
    """Return the one window of these headers."""
    (window,) = heard(headers, at).windows
    return window


def test_the_unified_headers_of_a_subscription_are_read_whole() -> None:
    """Status, reset in unix seconds, fallback, claim, windows with utilization, and the overage."""
    reset, week = int(NOON + 900), int(NOON + 90_000)
    said = unified(
        status="allowed_warning",
        reset=str(reset),
        fallback="available",
        fallback_percentage="0.5",
        representative_claim="five_hour",
        **{
            "5h_status": "allowed_warning",
            "5h_reset": str(reset),
            "5h_utilization": "0.91",
            "5h_surpassed_threshold": "0.9",
            "7d_status": "allowed",
            "7d_reset": str(week),
            "7d_utilization": "0.16666666666666666",
            "overage_status": "rejected",
            "overage_disabled_reason": "org_level_disabled",
        },
    )
    assert said == Snapshot(
        at=NOON,
        status="allowed_warning",
        resets_at=reset,
        fallback="available",
        representative="five_hour",
        overage="rejected",
        overage_reason="org_level_disabled",
        windows=(
            Window(name="5h", utilization=0.91, resets_at=reset, status="allowed_warning"),
            Window(name="7d", utilization=0.16666666666666666, resets_at=week, status="allowed"),
            Window(name="overage", status="rejected"),
        ),
    )


def test_the_limits_of_an_anthropic_key_are_read() -> None:
    """Requests and three kinds of tokens, resets as RFC 3339, with an offset or Z."""
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-21T12:01:00Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "29000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
        "anthropic-ratelimit-tokens-reset": "2026-11-21T13:00:30+01:00",
    }
    assert heard(headers).windows == (
        Window(name="requests", limit=50, remaining=0, resets_at=NOON + 60),
        Window(name="input-tokens", limit=30_000, remaining=29_000),
        Window(name="output-tokens", remaining=8_000),
        Window(name="tokens", resets_at=NOON + 30),
    )


DIALECTS = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "X-RateLimit-Limit-Tokens": "160000",
            "X-RateLimit-Remaining-Tokens": "159976",
            "X-RateLimit-Reset-Tokens": "6m0s",
        },
        (
            Window(name="requests", limit=5000, remaining=4999, resets_at=NOON + 0.012),
            Window(name="tokens", limit=160_000, remaining=159_976, resets_at=NOON + 360),
        ),
    ),
    "groq": (
        {"x-ratelimit-limit-requests": "14400", "x-ratelimit-reset-requests": "2m59.56s"},
        (Window(name="requests", limit=14_400, resets_at=NOON + 179.56),),
    ),
    "azure": (
        {"x-ratelimit-remaining-tokens": "19913", "x-ratelimit-reset-tokens": "3"},
        (Window(name="tokens", remaining=19_913, resets_at=NOON + 3),),
    ),
    "mistral": (
        {
            "x-ratelimit-limit-req-minute": "60",
            "x-ratelimit-remaining-req-minute": "59",
            "x-ratelimit-limit-tokens-month": "1000000000",
            "x-ratelimitbysize-limit-minute": "500000",
            "x-ratelimitbysize-remaining-minute": "499000",
            "ratelimitbysize-reset": "42",
        },
        (
            Window(name="requests-minute", limit=60, remaining=59),
            Window(name="tokens-month", limit=1_000_000_000),
            Window(name="tokens-minute", limit=500_000, remaining=499_000),
            Window(name="tokens", resets_at=NOON + 42),
        ),
    ),
    "xai": (
        {"x-ratelimit-limit-requests": "480", "x-ratelimit-remaining-requests": "479"},
        (Window(name="requests", limit=480, remaining=479),),
    ),
    "openrouter": (
        {
            "X-RateLimit-Limit": "50",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int((NOON + 3600) * 1000)),
        },
        (Window(name="requests", limit=50, remaining=0, resets_at=NOON + 3600),),
    ),
    "together": (
        {
            "x-ratelimit-limit": "60",
            "x-ratelimit-remaining": "59",
            "x-ratelimit-reset": "0.25",
            "x-tokenlimit-limit": "2000",
            "x-tokenlimit-remaining": "1990",
        },
        (
            Window(name="requests", limit=60, remaining=59, resets_at=NOON + 0.25),
            Window(name="tokens", limit=2000, remaining=1990),
        ),
    ),
    "fireworks": (
        {
            "x-ratelimit-limit-tokens-prompt": "60000",
            "x-ratelimit-remaining-tokens-generated": "35000",
            "x-ratelimit-over-limit": "no",
        },
        (
            Window(name="tokens-prompt", limit=60_000),
            Window(name="tokens-generated", remaining=35_000),
        ),
    ),
    "cerebras": (
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "14399",
            "x-ratelimit-reset-requests-day": "33011.382867",
            "x-ratelimit-remaining-tokens-minute": "59000",
            "x-ratelimit-reset-tokens-minute": "11.38",
        },
        (
            Window(
                name="requests-day", limit=14_400, remaining=14_399, resets_at=NOON + 33_011.382867
            ),
            Window(name="tokens-minute", remaining=59_000, resets_at=NOON + 11.38),
        ),
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_provider_is_read_in_its_own_dialect(dialect: str) -> None:
    """Names, durations, seconds and epochs of each: a window is what its headers say together."""
    headers, windows = DIALECTS[dialect]
    assert heard(headers).windows == windows


@pytest.mark.parametrize(
    ("value", "resets_at"),
    [
        ("17ms", NOON + 0.017),
        ("1s", NOON + 1),
        ("1h2m3.5s", NOON + 3723.5),
        ("2d", NOON + 172_800),
        ("250µs", NOON + 0.00025),
        ("0", NOON),
        (str(int(NOON + 5)), NOON + 5),
        (str(int(NOON + 5) * 1000), NOON + 5),
        ("2026-11-21T12:00:05.500Z", NOON + 5.5),
        ("2026-11-21T12:00:05", None),
        ("2026-11-21", None),
        ("32503680000", None),
        ("32503680000000", None),
        ("3000-01-01T00:00:00Z", None),
        ("99999999999999", None),
        ("999999999999999999999", None),
        ("99999d", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("6m0", None),
        ("m", None),
        ("", None),
        ("soon", None),
        ("\uff11\uff12", None),
    ],
)
def test_a_reset_is_read_in_every_form_and_nonsense_is_none(
    value: str, resets_at: float | None
) -> None:
    """Durations, seconds, epochs and times of day; what is absurd, negative or no time is None."""
    window = only({"x-ratelimit-limit-requests": "5", "x-ratelimit-reset-requests": value})
    expected = None if resets_at is None else pytest.approx(resets_at, abs=1e-5)
    assert window.resets_at == expected


@pytest.mark.parametrize(
    ("value", "resets_at"),
    [
        (str(int(NOON + 60)), NOON + 60),
        (str(int(NOON + 60) * 1000), NOON + 60),
        ("3600", None),
        ("0", None),
        ("6m0s", None),
        ("32503680000", None),
        ("-1", None),
        ("nan", None),
    ],
)
def test_a_unified_reset_is_unix_seconds(value: str, resets_at: float | None) -> None:
    """Milliseconds are seen through; a small number is a time long past, not a duration."""
    said = unified(status="rejected", reset=value)
    assert (said.resets_at, spent(said, NOON)) == (resets_at, resets_at)


@pytest.mark.parametrize(
    ("value", "utilization"),
    [
        ("0", 0.0),
        ("0.0", 0.0),
        ("1", 1.0),
        ("1.04", 1.0),
        ("5e-05", 0.00005),
        ("42", None),
        ("2.0", None),
        ("-0.1", None),
        ("nan", None),
        ("inf", None),
        ("42%", None),
    ],
)
def test_a_utilization_is_a_part_of_one(value: str, utilization: float | None) -> None:
    """A little more than all is all; a percentage and whatever is no fraction is not known."""
    window = only({f"{UNIFIED}5h-status": "allowed", f"{UNIFIED}5h-utilization": value})
    assert window.utilization == utilization


@pytest.mark.parametrize("value", ["-5", "nan", "many", "", "0x10", "1e9", "10, 20", "9" * 30])
def test_a_figure_that_is_none_is_unknown_and_not_zero(value: str) -> None:
    """Garbage in place of a number is None, and the other figures of the window stay."""
    headers = {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": value}
    assert only(headers) == Window(name="tokens", limit=100)


def test_what_is_said_twice_and_differently_is_not_known() -> None:
    """Two headers of one name that agree count once; two that do not are neither believed."""
    headers = CIMultiDict(
        [
            ("x-ratelimit-limit-requests", "50"),
            ("x-ratelimit-limit-requests", "50"),
            ("x-ratelimit-remaining-requests", "10"),
            ("x-ratelimit-remaining-requests", "49"),
        ]
    )
    found = read(headers, NOON)
    assert found is not None
    assert found.windows == (Window(name="requests", limit=50),)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json", "cf-ray": "8"},
        {"x-ratelimit-over-limit": "yes"},
        {"x-ratelimit-limit-requests": "plenty"},
        {"anthropic-ratelimit-unified-5h-utilization": "NaN"},
        {"anthropic-ratelimit-unified-limit": "5"},
        {"x-gatewayctl-limit": "5"},
        {"x-ratelimit-limit-": "5"},
    ],
)
def test_a_reply_that_says_nothing_of_a_quota_makes_no_snapshot(headers: dict[str, str]) -> None:
    """Neither other headers nor figures that are none become a snapshot."""
    assert read(CIMultiDict(headers), NOON) is None


@pytest.mark.parametrize("off", [-7200.0, 3600.0, 86_000.0])
def test_a_clock_that_is_wrong_does_not_move_the_reset(off: float) -> None:
    """A time of day is taken relative to the reply's Date where this machine's clock is off."""
    headers = DATE | {f"{UNIFIED}status": "rejected", f"{UNIFIED}reset": str(int(NOON + 60))}
    assert heard(headers, NOON + off).resets_at == NOON + off + 60


@pytest.mark.parametrize(
    ("late", "date"),
    [
        (-1.0, DATE["Date"]),
        (60.0, DATE["Date"]),
        (90_000.0, DATE["Date"]),
        (0.0, "Sun, 21 Nov 2021 12:00:00 GMT"),
        (0.0, "yesterday"),
    ],
)
def test_a_slow_reply_or_a_wrong_date_corrects_nothing(late: float, date: str) -> None:
    """Seconds are latency, and days are a Date that is none: the reset is believed as it is."""
    headers = {"Date": date, f"{UNIFIED}status": "rejected", f"{UNIFIED}reset": str(int(NOON + 9))}
    assert heard(headers, NOON + late).resets_at == NOON + 9


def test_a_duration_counts_from_now_whatever_the_date_says() -> None:
    """Only times of day depend on clocks."""
    headers = DATE | {"x-ratelimit-limit-requests": "5", "x-ratelimit-reset-requests": "6m0s"}
    assert only(headers, NOON + 3600).resets_at == NOON + 3600 + 360


def test_windows_are_bounded_and_their_names_are_names() -> None:
    """An upstream that invents windows fills no memory, and a name holds nothing but a name."""
    many = {f"x-ratelimit-limit-w{n}": "1" for n in range(100)}
    assert len(heard(many).windows) == MOST_WINDOWS
    assert read(CIMultiDict({"x-ratelimit-limit-" + "a" * 60: "1"}), NOON) is None
    assert unified(status="allowed", fallback="<b>available").fallback is None


NAMES = st.sampled_from(
    [name for headers, _ in DIALECTS.values() for name in headers]
    + [UNIFIED + name for name in ("status", "reset", "5h-utilization", "7d-reset", "overage-x")]
    + ["anthropic-ratelimit-tokens-reset", "Date", "x-ratelimit-reset"]
)
VALUES = st.text(max_size=20) | st.from_regex(r"[0-9]{1,25}(\.[0-9]{1,25})?(ms|s|m|h|d|Z)?")


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_whatever_headers_say_every_figure_is_one_or_none(pairs: list[tuple[str, str]]) -> None:
    """No header raises, and nothing that comes out is negative, infinite or beyond a month."""
    found = read(CIMultiDict(pairs), NOON)
    if found is None:
        return
    resets = [found.resets_at, *(window.resets_at for window in found.windows)]
    assert all(reset is None or abs(reset - NOON) <= LONGEST for reset in resets)
    for window in found.windows:
        assert window.utilization is None or 0 <= window.utilization <= 1
        assert all(each is None or each >= 0 for each in (window.limit, window.remaining))
