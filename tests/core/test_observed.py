"""What replies teach of a model's tokens: exact, bounded, monotone, and not easily misled."""

import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import shape

from gatewayctl.core.anchors import Added, Anchor, Anchored
from gatewayctl.core.correction import ENOUGH, GROUPS, UNCORRECTED, UNIT
from gatewayctl.core.estimate import AUTO_SLACK, bound, by_ratio, features
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, Vision
from gatewayctl.core.observed import Observed, Sample, observe, sample_of
from gatewayctl.core.shape import Image, Measured, Segment, TextStats

AUTO = EstimatorSettings()
AT = {name: place for place, name in enumerate(GROUPS)}


def text(size: int, *, beyond: int = 0) -> Measured:
    """Return the measure of a message of so many words, and of characters beyond ASCII."""
    stats = TextStats(
        chars=size * 6 + beyond,
        words=size,
        letters=size * 5,
        runs=size,
        weight=size * 24,
        lines=size // 10,
        digit_runs=size // 20,
        beyond=beyond * 25,
        extra=beyond * 2,
    )
    return Measured(segments={Segment.MESSAGES: stats}, messages=1)


def usual(measured: Measured) -> int:
    """Return the usual count in tokens."""
    found = features(measured)
    return sum(map(lambda each, factor: each * factor, found, UNCORRECTED)) // (UNIT * 1000)


def samples(
    count: int, dearer: float = 1.0, *, constant: int = 0, noise: float = 0.0, seed: int = 1
) -> list[Sample]:
    """Return replies that metered so many times the usual, and a constant."""
    rng = random.Random(seed)  # noqa: S311 - the same in every run
    made = []
    for _ in range(count):
        measured = text(rng.randint(20, 4_000))
        tokens = usual(measured) * dearer * rng.uniform(1 - noise, 1 + noise) + constant
        made.append(Sample(features=features(measured), tokens=round(tokens)))
    return made


def learned(count: int, dearer: float = 1.0, **more: float) -> Observed:
    """Return the correction of such replies."""
    found = observe(samples(count, dearer, **more))  # type: ignore[arg-type]
    assert found is not None
    return found


def likely(observed: Observed | None, measured: Measured) -> int:
    """Return the likely figure of a text."""
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    return by_ratio(asked, measured, EstimatorSettings(observed=observed)).likely


@pytest.mark.parametrize("dearer", [0.7, 1.0, 1.35])
def test_a_model_whose_tokens_are_dearer_throughout_is_met(dearer: float) -> None:
    """After 200 replies the likely figure of another text is within 1 % of what will be metered."""
    observed = learned(200, dearer, constant=40)
    for size in (100, 900, 20_000):
        metered = usual(text(size)) * dearer + 40
        assert likely(observed, text(size)) == pytest.approx(metered, rel=0.01)


def test_each_kind_of_text_is_corrected_by_itself() -> None:
    """What is beyond ASCII may cost half as much again where plain words cost no more."""
    rng = random.Random(5)  # noqa: S311 - the same in every run
    made = []
    for _ in range(200):
        plain, beyond = rng.randint(10, 900), rng.choice([0, rng.randint(10, 4_000)])
        both, only = text(plain, beyond=beyond), text(plain)
        tokens = usual(only) + (usual(both) - usual(only)) * 3 // 2
        made.append(Sample(features=features(both), tokens=tokens))
    observed = observe(made)
    assert likely(observed, text(5_000)) == pytest.approx(usual(text(5_000)), rel=0.02)
    mixed = text(100, beyond=9_000)
    metered = usual(text(100)) + (usual(mixed) - usual(text(100))) * 1.5
    assert likely(observed, mixed) == pytest.approx(metered, rel=0.02)


def test_what_a_provider_adds_once_is_told_from_what_text_costs() -> None:
    """A preamble of 300 tokens is a constant, not a dearer kind of text."""
    observed = learned(100, constant=300)
    assert likely(observed, text(30)) == pytest.approx(usual(text(30)) + 300, rel=0.03)
    assert likely(observed, text(40_000)) == pytest.approx(usual(text(40_000)), rel=0.03)


def tooled(measured: Measured, tools: int = 3) -> Measured:
    """Return the measure of a request with tools besides."""
    definitions = TextStats(chars=900, words=60, letters=600, runs=150, weight=2_000)
    segments = {**measured.segments, Segment.TOOLS: definitions}
    return msgspec.structs.replace(measured, segments=segments, tools=tools)


def test_what_a_provider_puts_before_tools_is_told_from_what_they_cost() -> None:
    """However many there are, it comes once; without any, not at all."""
    rng = random.Random(8)  # noqa: S311 - the same in every run
    made = []
    for _ in range(200):
        plain = text(rng.randint(20, 600))
        count = rng.choice([0, 1, 5])
        measured = tooled(plain, count) if count else plain
        preamble = 320 if count else 0
        made.append(Sample(features=features(measured), tokens=usual(measured) + preamble))
    observed = observe(made)
    assert likely(observed, text(100)) == pytest.approx(usual(text(100)), rel=0.02)
    for count in (1, 5):
        with_tools = tooled(text(100), count)
        assert likely(observed, with_tools) == pytest.approx(usual(with_tools) + 320, rel=0.03)


def test_without_a_reply_to_tools_there_is_room_for_words_before_them() -> None:
    """In high alone, and only where there are tools."""
    observed = learned(200)
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    settings = EstimatorSettings(observed=observed)
    with_tools = by_ratio(asked, tooled(text(100)), settings)
    assert with_tools.high - with_tools.likely > 400
    assert with_tools.likely == pytest.approx(usual(tooled(text(100))), rel=0.03)
    without = by_ratio(asked, text(100), settings)
    assert without.high - without.likely < 60


def test_a_few_replies_correct_a_little_and_keep_the_margins_of_the_ratio() -> None:
    """Low and high then still hold what the plain ratio holds, and the corrected figure too."""
    observed, measured = learned(3, 1.3), text(1_000)
    assert not observed.enough
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    plain = by_ratio(asked, measured, AUTO)
    got = by_ratio(asked, measured, EstimatorSettings(observed=observed))
    assert plain.likely < got.likely <= usual(measured) * 1.31
    assert got.low == plain.low
    assert got.high >= got.likely * AUTO_SLACK * AUTO.safety_margin


def test_one_reply_alone_is_believed_in_part() -> None:
    """It was of one kind of text, and the next may be of another."""
    observed, measured = learned(1, 2.0), text(2_000)
    assert usual(measured) * 1.05 < likely(observed, measured) < usual(measured) * 1.6
    assert likely(learned(30, 2.0), measured) > usual(measured) * 1.9


@pytest.mark.parametrize(
    "stats",
    [
        TextStats(chars=9_000, words=1, weight=9_000, repeated=8_998),
        TextStats(chars=9_000, words=1, beyond=9_000 * 40, repeated_beyond=8_999 * 40),
        TextStats(chars=9_000, words=1, lines=4_500, gaps=4_500),
        TextStats(chars=9_000, words=1, blanks=9_000, extra=18_000, kana=9_000, hangul=9_000),
    ],
)
def test_what_may_come_to_nothing_is_not_in_low(stats: TextStats) -> None:
    """One character over and over, blank lines and blanks: however well the model is known."""
    observed = learned(200)
    free = tuple(max(UNIT, factor) for factor in observed.least)
    observed = msgspec.structs.replace(observed, least=free)
    measured = Measured(segments={Segment.MESSAGES: stats}, messages=1)
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    assert by_ratio(asked, measured, EstimatorSettings(observed=observed)).low <= 25


def test_from_fifty_replies_on_low_and_high_follow_the_errors_that_were_seen() -> None:
    """A model that is met closely has a narrow range, with the user's margin on it once."""
    observed, measured = learned(ENOUGH, 1.2, noise=0.02), text(2_000)
    assert observed.enough
    assert Decimal("0.93") < observed.low <= 1 <= observed.high < Decimal("1.07")
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    for margin in (Decimal(1), Decimal("1.10"), Decimal("1.5")):
        settings = EstimatorSettings(observed=observed, safety_margin=margin)
        got = by_ratio(asked, measured, settings)
        assert got.low < got.likely < got.high
        assert got.high <= got.likely * Decimal("1.07") * margin + 2
        assert got.low >= got.likely * Decimal("0.93") / margin - 2
        assert got.low <= got.likely / margin


def test_a_kind_that_was_never_seen_keeps_the_slack_of_the_ratio() -> None:
    """Two hundred replies to plain words say nothing of what is beyond ASCII."""
    observed = learned(200, noise=0.01)
    assert observed.most[AT["words"]] < UNIT * 1.1
    assert observed.most[AT["beyond"]] >= UNIT * AUTO_SLACK * Decimal("0.99")
    assert observed.least[AT["beyond"]] <= UNIT * 0.51


@pytest.mark.parametrize("odd", [0.05, 30.0])
def test_odd_replies_change_next_to_nothing(odd: float) -> None:
    """One of twenty that was cut off, or metered by another rule, is left out."""
    rest, strange = samples(190, 1.2, noise=0.02), samples(10, 1.2 * odd, seed=9)
    mixed = rest + strange
    random.Random(3).shuffle(mixed)  # noqa: S311 - the same in every run
    clean, misled = observe(rest), observe(mixed)
    assert clean is not None
    assert misled is not None
    for size in (100, 3_000):
        assert likely(misled, text(size)) == pytest.approx(likely(clean, text(size)), rel=0.02)
    assert abs(misled.high - clean.high) < Decimal("0.03")
    assert abs(misled.low - clean.low) < Decimal("0.03")


ROWS = st.lists(
    st.builds(
        Sample,
        features=st.tuples(*[st.integers(0, 10**7)] * len(GROUPS)),
        tokens=st.integers(1, 10**7),
    ),
    min_size=1,
    max_size=80,
)
STATS = st.builds(
    TextStats, **{name: st.integers(0, 10**5) for name in TextStats.__struct_fields__}
)


@given(ROWS, STATS, STATS, st.integers(0, 10**7), st.decimals("1", "3", places=2))
def test_whatever_was_learned_estimates_are_ordered_and_grow_with_the_text(
    rows: list[Sample], one: TextStats, other: TextStats, length: int, margin: Decimal
) -> None:
    """Low ≤ likely ≤ high ≤ bound, and what is appended lowers none of them."""
    observed = observe(rows)
    assert observed is not None
    settings = EstimatorSettings(observed=observed, safety_margin=margin)
    body = msgspec.structs.replace(shape(), body_bytes=length)
    # A line that is marked is a line too, as counts of real texts have it.
    one, other = (
        msgspec.structs.replace(
            each,
            marked_lines=min(each.marked_lines, each.lines),
            foreign=min(each.foreign, each.runs),
            repeated=min(each.repeated, each.weight),
            repeated_beyond=min(each.repeated_beyond, each.beyond),
        )
        for each in (one, other)
    )
    before, after = (
        by_ratio(body, Measured(segments={Segment.MESSAGES: each}, messages=1), settings)
        for each in (one, one + other)
    )
    for each in (before, after):
        assert 0 <= each.low <= each.likely <= each.high <= bound(body)
    assert before.low <= after.low
    assert before.likely <= after.likely
    assert before.high <= after.high


@given(ROWS)
def test_a_correction_is_whole_numbers_and_the_same_each_time(rows: list[Sample]) -> None:
    """No factor is negative, none is a float, and low ≤ likely ≤ high for each of them."""
    observed = observe(rows)
    assert observed == observe(rows)
    assert observed is not None
    for least, factor, most in zip(observed.least, observed.factors, observed.most, strict=True):
        assert {type(least), type(factor), type(most)} == {int}
        assert 0 <= least <= factor <= most
    assert msgspec.json.decode(msgspec.json.encode(observed), type=Observed) == observed


def test_only_the_last_replies_count() -> None:
    """A provider may change its tokenizer."""
    assert observe(samples(300, 2.0) + samples(256, 1.0)) == observe(samples(256, 1.0))


def test_samples_of_another_version_are_ignored() -> None:
    """Features of another length mean something else; without any that can be used, nothing."""
    other = Sample(features=(1, 2, 3), tokens=5)
    assert observe([other]) is None
    assert observe([]) is None
    assert observe([other, *samples(60, 1.1)]) == observe(samples(60, 1.1))


def test_images_of_a_known_price_are_taken_off_and_others_left_out() -> None:
    """A reply to a picture of unknown size teaches nothing about text."""
    known = msgspec.structs.replace(text(50), images=((Image(width=1024, height=1024), 1),))
    unknown = msgspec.structs.replace(text(50), images=((Image(), 1),))
    settings = EstimatorSettings(vision=Vision.GPT_4O)
    sample = sample_of(shape(), known, settings, 1_000)
    assert sample == Sample(features=features(text(50)), tokens=1_000 - 765)
    assert sample_of(shape(), unknown, settings, 1_000) is None
    assert sample_of(shape(), known, settings, 700) is None
    pointing = msgspec.structs.replace(shape(), remote=1)
    assert sample_of(pointing, text(50), settings, 1_000) is None


def test_a_request_that_goes_on_teaches_what_was_added() -> None:
    """Its beginning was metered before, images and all; the constant is not in the rest."""
    added = Added(replied=text(30), rest=text(20))
    anchored = Anchored(anchor=Anchor(tokens=9_000, raw=0), added=added)
    whole = msgspec.structs.replace(text(5_000), images=((Image(), 1),))
    pointing = msgspec.structs.replace(shape(), remote=1)
    sample = sample_of(pointing, whole, AUTO, 9_120, anchored)
    assert sample is not None
    assert sample.tokens == 120
    assert sample.features[AT["start"]] == 0
    assert sample.features[: AT["start"]] == features(text(30) + text(20))[: AT["start"]]
    assert sample_of(pointing, whole, AUTO, 9_000, anchored) is None


def test_a_ratio_of_the_users_own_is_never_corrected() -> None:
    """``char_ratio`` is as the config writes it."""
    asked = msgspec.structs.replace(shape(), body_bytes=10**9)
    own = EstimatorSettings(kind=EstimatorKind.CHAR_RATIO)
    corrected = msgspec.structs.replace(own, observed=learned(200, 2.0))
    assert by_ratio(asked, text(900), own) == by_ratio(asked, text(900), corrected)


def test_no_reply_counts_less_than_nothing() -> None:
    """However far below its estimate one was: what is shown is a ratio of two counts."""
    cheap = Sample(features=(0, 0, 0, 0, 0, 900_000, *[0] * (len(GROUPS) - 6)), tokens=1)
    found = observe([cheap])
    assert found is not None
    assert 0 <= found.low <= found.high
