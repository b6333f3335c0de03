"""What replies give away about a window: believed where it is sound, and never beyond that."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.anchors import Added
from gatewayctl.core.errors import Failure, FailureKind
from gatewayctl.core.estimate import Counted
from gatewayctl.core.events import Usage
from gatewayctl.core.learning import (
    LEAST,
    LEAST_NAMED,
    Cap,
    Cause,
    Recent,
    Truncation,
    Truncations,
    believed_of,
    closer,
    from_refusal,
    from_truncation,
    holds,
    input_tokens,
    pinned,
    recent,
    short,
    surely,
    truncated,
)
from gatewayctl.core.model import (
    EstimatorKind,
    EstimatorSettings,
    ModelFacts,
    Sourced,
    WireProtocol,
)
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.routing.place import ASSUMED
from gatewayctl.core.shape import Image, Measured, RequestShape, Segment, TextStats

AT = "2026-01-02T03:04:05Z"
NEAR = Estimate(low=250_000, likely=270_000, high=290_000, method=Method.RATIO)
SIZES = st.integers(0, 2_000_000)
SHAPE = RequestShape(
    protocol=WireProtocol.CHAT_COMPLETIONS, model="m", stream=False, body_bytes=99_000
)
NOTHING = Measured(segments={})


@st.composite
def _estimates(draw: st.DrawFn) -> Estimate:
    low, likely, high = sorted((draw(SIZES), draw(SIZES), draw(SIZES)))
    return Estimate(low=low, likely=likely, high=high, method=draw(st.sampled_from(Method)))


def _refused(**given: Any) -> Failure:
    values: dict[str, Any] = {
        "kind": FailureKind.CONTEXT_OVERFLOW,
        "message": "HTTP 400: the upstream's words",
        "status": 400,
        "quotes": True,
        "code": "context_length_exceeded",
    }
    return Failure(**values | given)


def _cut(metered: int, low: int = 9000) -> Truncation:
    return Truncation(at=AT, metered=metered, low=low)


def _earlier(metered: int, count: int = 1) -> Truncations:
    return Truncations(count=count, last=_cut(metered))


def test_a_refusal_without_a_figure_caps_to_what_was_sent_cliproxyapi_4126() -> None:
    """Bug row 18: a million advertised, refused near 270k; the very same request fits no more."""
    cap = from_refusal(_refused(), NEAR, 4096, 1_000_000, AT)
    assert cap is not None
    assert cap.window == 270_000 + 4096 - 1
    assert (cap.cause, cap.over, cap.at, cap.sure) == (Cause.REFUSED, 1_000_000, AT, False)
    assert "HTTP 400: context_overflow (context_length_exceeded)" in cap.evidence
    assert "270,000 + 4,096" in cap.evidence
    assert "words" not in cap.evidence


def test_a_named_limit_is_the_window_litellm_10793() -> None:
    """Bug row 4: what the upstream itself says, with its own count, before any guess of ours."""
    failure = _refused(window=278_528, counted=400_007, code=None)
    cap = from_refusal(failure, NEAR, 4096, 1_000_000, AT)
    assert cap is not None
    assert (cap.window, cap.sure) == (278_528, True)
    assert "278,528" in cap.evidence
    assert "400,007" in cap.evidence


@pytest.mark.parametrize(
    ("failure", "believed"),
    [
        (_refused(window=278_528, counted=400_007), 278_528),
        (_refused(window=278_528, counted=400_007), 200_000),
        (_refused(window=LEAST_NAMED - 1, counted=400_007), 1_000_000),
        (_refused(window=0), 1_000_000),
        (_refused(window=294_096), None),  # no less than all that was sent can have been
        (_refused(window=278_528, counted=200_000), None),
        (_refused(), 270_000 + 4095),
        (_refused(by_tokens=False), 1_000_000),
        (_refused(by_tokens=False, window=278_528), 1_000_000),
        (_refused(kind=FailureKind.BAD_REQUEST, window=200_000), 1_000_000),
        (_refused(kind=FailureKind.RATE_LIMITED, window=200_000), 1_000_000),
    ],
)
def test_what_is_not_plausible_teaches_nothing(failure: Failure, believed: int | None) -> None:
    """No limit above what is believed, none too small, none that what was sent is within."""
    assert from_refusal(failure, NEAR, 4096, believed, AT) is None


def test_a_small_limit_that_is_named_is_believed() -> None:
    """A local server may well run with so little, and says it."""
    cap = from_refusal(_refused(window=LEAST_NAMED), NEAR, 16, 4096, AT)
    assert cap is not None
    assert cap.window == LEAST_NAMED


@pytest.mark.parametrize(
    ("estimate", "remote"),
    [
        (Estimate(low=10, likely=20, high=30, method=Method.RATIO), 0),
        (Estimate(low=1000, likely=2000, high=3000, method=Method.RATIO), 0),
        (Estimate(low=0, likely=9300, high=9300, method=Method.BOUND), 0),
        (NEAR, 1),
    ],
)
def test_a_small_request_that_is_refused_without_a_figure_teaches_nothing(
    estimate: Estimate, remote: int
) -> None:
    """What was too large is not in the body then: an earlier response, or nothing at all."""
    assert from_refusal(_refused(), estimate, 4096, 128_000, AT, remote=remote) is None
    named = from_refusal(
        _refused(window=8192, counted=9000), estimate, 4096, 128_000, AT, remote=remote
    )
    assert named is not None


def test_a_bound_teaches_where_it_is_large() -> None:
    """It is never too low; the next refusal is measured, and lowers the cap."""
    bound = Estimate(low=0, likely=900_000, high=900_000, method=Method.BOUND)
    first = from_refusal(_refused(), bound, 4096, 1_000_000, AT)
    assert first is not None
    assert first.window == 904_095
    then = from_refusal(_refused(), NEAR, 4096, 1_000_000, AT)
    assert then is not None
    assert closer(then, first) == then


@given(
    estimate=_estimates(),
    wanted=SIZES,
    believed=st.none() | SIZES,
    window=st.none() | SIZES,
    counted=st.none() | SIZES,
)
def test_no_refusal_raises_a_window_or_leaves_less_than_the_least(
    estimate: Estimate, wanted: int, believed: int | None, window: int | None, counted: int | None
) -> None:
    """Whatever an upstream says of whatever request."""
    failure = _refused(window=window, counted=counted)
    cap = from_refusal(failure, estimate, wanted, believed, AT)
    if cap is None:
        return
    assert believed is None or cap.window < believed
    assert cap.window >= (LEAST if window is None else LEAST_NAMED)
    assert cap.window == window or window is None
    assert cap.window < (estimate.high + wanted if counted is None or window is None else counted)
    assert holds(cap, believed)


def test_all_input_is_metered_input() -> None:
    """From a cache, into one, seen and heard; what nothing is said of is unknown, and so is 0."""
    usage = Usage(
        input=1,
        input_cache_read=20,
        input_cache_write_5m=300,
        input_cache_write_1h=4000,
        image=50_000,
        audio=600_000,
        output=7_000_000,
        reasoning_output=7,
    )
    assert input_tokens(usage) == 654_321
    assert input_tokens(Usage(output=5)) is None
    assert input_tokens(Usage(input=0, input_cache_read=0, output=5)) is None


@pytest.mark.parametrize(
    ("usage", "low", "method", "expected"),
    [
        (Usage(input=4096), 9000, Method.RATIO, True),
        (Usage(input=3871), 9000, Method.RATIO, True),
        (Usage(input=3871), 9000, Method.ANCHOR, True),
        (Usage(input=4096), 40_000, Method.EXACT, True),
        (Usage(input=8200), 9000, Method.RATIO, False),  # not clearly fewer
        (Usage(input=8200), 9000, Method.EXACT, False),
        (Usage(input=7000), 9000, Method.EXACT, False),  # tools may be written in fewer
        (Usage(input=100, input_cache_read=8900), 9000, Method.RATIO, False),
        (Usage(input=100, input_cache_write_5m=8900), 9000, Method.RATIO, False),
        (Usage(input=2000, image=7000), 9000, Method.RATIO, False),
        (Usage(), 9000, Method.RATIO, False),
        (Usage(input=0), 9000, Method.RATIO, False),
        (Usage(output=9), 9000, Method.RATIO, False),
        (Usage(input=5), 0, Method.BOUND, False),
        (Usage(input=57), 9000, Method.RATIO, False),  # what a prompt cache leaves to evaluate
        (Usage(input=57), 9000, Method.ANCHOR, False),
    ],
)
def test_a_reply_that_counts_clearly_too_little_is_truncated_ollama_17889(
    usage: Usage, low: int, method: Method, expected: bool
) -> None:
    """Bug row 17: 4096 of what is advertised are served; caches and silence explain the others."""
    estimate = Estimate(low=low, likely=2 * low, high=3 * low, method=method)
    assert truncated(usage, estimate) is expected


def test_what_only_the_newest_messages_cost_is_a_prompt_caches_count() -> None:
    """A large tool result on a server that reports what it evaluated anew, and nothing else."""
    usage = Usage(input=5000)
    estimate = Estimate(low=27_000, likely=30_000, high=33_000, method=Method.ANCHOR)
    assert truncated(usage, estimate)
    assert truncated(usage, estimate, recent=Recent(least=3000, most=4999))
    assert not truncated(usage, estimate, recent=Recent(least=3000, most=5000))
    assert not truncated(Usage(input=4096), estimate, recent=Recent(least=3000, most=5000))
    # not even all of the newest messages: a cache does not explain that
    assert truncated(Usage(input=4096), estimate, recent=Recent(least=20_000, most=30_000))


def test_a_cache_holds_all_but_the_last_turn() -> None:
    """At least what came last is evaluated, at most the model's own turn and all since it."""
    words = TextStats(chars=5000, words=1000, letters=4000, runs=1000)
    turn = Measured(segments={Segment.MESSAGES: words}, messages=1)
    instructions = Measured(segments={Segment.SYSTEM: words}, messages=1)
    last = recent(SHAPE, Added(replied=turn, rest=turn), EstimatorSettings())
    assert 500 < last.least <= 1000
    assert 2000 <= last.most < 3000
    begun = recent(SHAPE, Added(replied=NOTHING, rest=instructions + turn), EstimatorSettings())
    assert (begun.least, begun.most < 2000) == (last.least, True)
    assert recent(SHAPE, Added(replied=turn, rest=turn), EstimatorSettings(), 9000).most == 9000


@pytest.mark.parametrize("kind", [EstimatorKind.AUTO, EstimatorKind.CHAR_RATIO])
def test_only_what_every_server_counts_is_sure(kind: EstimatorKind) -> None:
    """No tools, formats and thoughts; and a ratio of the user's own is about room, not truth."""
    words = TextStats(chars=5000, words=1000, letters=4000, runs=1000)
    plain = Measured(segments={Segment.SYSTEM: words, Segment.MESSAGES: words}, messages=2)
    segments = dict.fromkeys(Segment, words)
    full = Measured(segments=segments, messages=2, tools=9, images=((Image(width=999), 9),))
    settings = EstimatorSettings(kind=kind, chars_per_token=Decimal(1))
    low = surely(SHAPE, plain, settings).low
    assert 1000 < low < 2100
    assert surely(SHAPE, full, settings).low == low
    thought = msgspec.structs.replace(full, thought=1000)
    assert surely(SHAPE, thought, settings).low == low - 500
    counted = Counted(tokens=dict.fromkeys(Segment, 1000), overhead=99)
    assert surely(SHAPE, thought, settings, counted).low == 1000


def test_a_count_that_falls_short_for_any_reason_measures_nothing() -> None:
    """Neither a truncated reply nor one from a prompt cache is to be learned or anchored from."""
    estimate = Estimate(low=9000, likely=10_000, high=11_000, method=Method.RATIO)
    assert short(Usage(input=57), estimate)
    assert short(Usage(input=4096), estimate)
    assert not short(Usage(input=9500), estimate)
    assert not short(Usage(), estimate)


@given(estimate=_estimates(), metered=SIZES)
def test_nothing_is_truncated_that_counts_as_much_as_is_certain(
    estimate: Estimate, metered: int
) -> None:
    """And nothing at all by a bound, which is certain of nothing."""
    if truncated(Usage(input=metered), estimate):
        assert short(Usage(input=metered), estimate)
        assert 0 < metered < estimate.low
    low = msgspec.structs.replace(estimate, low=0)
    assert not truncated(Usage(input=metered), low)


@pytest.mark.parametrize(
    ("metered", "window"),
    [(4096, 4096), (4095, 4096), (4088, 4096), (4087, None), (4097, None), (1024, 1024), (0, None)],
)
def test_a_count_just_below_a_multiple_of_1024_is_a_full_window(
    metered: int, window: int | None
) -> None:
    """One that is above it is none of that window."""
    assert pinned(metered) == window


def test_a_full_window_is_a_cap_at_once_ollama_17889() -> None:
    """Bug row 17: 40,960 advertised, 4,096 served."""
    cap = from_truncation(_cut(4095), None, 40_960, AT)
    assert cap is not None
    assert (cap.window, cap.cause, cap.over, cap.sure) == (4096, Cause.TRUNCATED, 40_960, True)
    assert "4,095 of at least 9,000" in cap.evidence


def test_any_other_figure_has_to_come_twice_in_a_row() -> None:
    """Within 5 %; the larger of the two is what the server held."""
    assert from_truncation(_cut(3871), None, 40_960, AT) is None
    assert from_truncation(_cut(3871), _earlier(3600), 40_960, AT) is None
    cap = from_truncation(_cut(3871), _earlier(3900), 40_960, AT)
    assert cap is not None
    assert (cap.window, cap.sure) == (3900, False)
    assert from_truncation(_cut(3871), _earlier(3871), 3871, AT) is None
    assert from_truncation(_cut(900), _earlier(900), 40_960, AT) is None


def test_a_window_that_was_larger_has_to_be_filled_twice() -> None:
    """What a model once took, it rarely takes no more: rather a cache made the count small."""
    assert from_truncation(_cut(4096), None, 40_960, AT, largest=9000) is None
    assert from_truncation(_cut(3900), _earlier(3900), 40_960, AT, largest=9000) is None
    assert from_truncation(_cut(4096), _earlier(8192), 40_960, AT, largest=9000) is None
    cap = from_truncation(_cut(4096), _earlier(4090), 40_960, AT, largest=9000)
    assert cap is not None
    assert cap.window == 4096
    assert from_truncation(_cut(4096), None, 40_960, AT, largest=4096) is not None


@given(
    metered=st.integers(1, 300_000),
    earlier=st.none() | st.integers(1, 300_000),
    believed=st.none() | st.integers(1, 300_000),
)
def test_no_truncation_raises_a_window_or_takes_what_was_held(
    metered: int, earlier: int | None, believed: int | None
) -> None:
    """A cap is no smaller than what the server counted, and never below the least."""
    cap = from_truncation(
        _cut(metered), None if earlier is None else _earlier(earlier), believed, AT
    )
    if cap is not None:
        assert max(LEAST, metered) <= cap.window <= metered * 21 // 20 + 8
        assert believed is None or cap.window < believed


def test_what_a_server_says_that_it_serves_is_believed() -> None:
    """So a cap from before it was known, or from when it was less, ends with it."""
    trained = Sourced(value=40_960, source="box")
    facts = ModelFacts(id="box/m", provider="box", context_window=trained)
    assert believed_of(facts) == 40_960
    served = Sourced(value=4_096, source="box")
    assert believed_of(msgspec.structs.replace(facts, served=served)) == 4_096
    assumed = Sourced(value=4_096, source=ASSUMED)
    assert believed_of(msgspec.structs.replace(facts, served=assumed)) == 40_960
    assert believed_of(ModelFacts(id="box/m", provider="box", served=assumed)) is None


def test_a_cap_is_void_once_sources_report_another_window() -> None:
    """A silent source reports no change; one that was silent before does."""
    cap = Cap(window=4096, at=AT, evidence="", cause=Cause.REFUSED, over=40_960)
    assert holds(cap, 40_960)
    assert holds(cap, None)
    assert not holds(cap, 131_072)
    assert not holds(cap, 4096)
    unknown = msgspec.structs.replace(cap, over=None)
    assert holds(unknown, None)
    assert not holds(unknown, 131_072)


@pytest.mark.parametrize(
    ("later", "earlier", "kept"),
    [
        ((270, False), (300, False), 270),
        ((300, False), (270, False), 270),
        ((300, False), (270, True), 270),
        ((200, False), (270, True), 200),
        ((300, True), (270, False), 300),
        ((300, True), (270, True), 300),
        ((270, True), (270, True), 270),
    ],
)
def test_a_guess_never_replaces_a_smaller_window(
    later: tuple[int, bool], earlier: tuple[int, bool], kept: int
) -> None:
    """What an upstream says now replaces anything; the same again is no news."""
    new, old = (
        Cap(window=window, at=at, evidence="", cause=Cause.REFUSED, over=1000, sure=sure)
        for (window, sure), at in ((later, "later"), (earlier, "earlier"))
    )
    assert closer(new, None) == new
    assert closer(new, old).window == kept
    if later == earlier:
        assert closer(new, old).at == "earlier"
    other = msgspec.structs.replace(old, over=2000)
    assert closer(new, other) == new
