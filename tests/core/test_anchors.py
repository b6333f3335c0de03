"""Estimates that go on from a metered count."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import shape

from gatewayctl.core.anchors import FRAMING_TOKENS, Added, Anchor, Anchored, anchor_of, by_anchor
from gatewayctl.core.correction import GROUPS, UNCORRECTED, UNIT, Observed
from gatewayctl.core.estimate import AUTO_SLACK, bound, by_ratio
from gatewayctl.core.model import Capability, EstimatorSettings, Vision
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.shape import Image, Measured, RequestShape, Segment, TextStats

AUTO = EstimatorSettings()
NOTHING = Measured(segments={})
PICTURE = ((Image(width=1024, height=1024), 1),)


def text(words: int, messages: int = 1) -> Measured:
    """Return the measure of so many words: about 1.6 tokens each."""
    stats = TextStats(
        chars=words * 6, words=words, letters=words * 5, runs=words, weight=words * 24
    )
    return Measured(segments={Segment.MESSAGES: stats}, messages=messages)


def large(**more: object) -> RequestShape:
    """Return a request whose bound is far away."""
    return msgspec.structs.replace(shape(), body_bytes=10**8, **more)


def usual(measured: Measured) -> int:
    """Return the usual count."""
    return anchor_of(large(), measured, AUTO, 1).raw


def estimated(
    anchor: Anchor,
    prefix: Measured,
    rest: Measured,
    replied: Measured = NOTHING,
    settings: EstimatorSettings = AUTO,
    asked: RequestShape | None = None,
) -> Estimate:
    """Estimate a request that goes on from a prefix."""
    whole = prefix + replied + rest
    anchored = Anchored(anchor=anchor, added=Added(replied=replied, rest=rest))
    found = by_anchor(asked or large(), whole, anchored, settings)
    assert found is not None
    return found


def anchor(prefix: Measured, dearer: float = 1.0, output: int = 0) -> Anchor:
    """Return the anchor that a reply made which metered so many times the usual."""
    return anchor_of(large(), prefix, AUTO, round(usual(prefix) * dearer), output)


def test_the_same_request_again_is_what_it_was_metered_as() -> None:
    """Nothing was added, so that nothing is unsure."""
    prefix = text(900)
    got = estimated(anchor(prefix, 1.3), prefix, NOTHING)
    assert got.low == got.likely == got.high == round(usual(prefix) * 1.3)
    assert got.method is Method.ANCHOR


def test_only_what_was_added_has_a_margin() -> None:
    """Ten thousand metered tokens and a hundred words: the range is that of the words."""
    prefix, added = text(6_000), text(100)
    found = anchor(prefix)
    got = estimated(found, prefix, added)
    part = got.likely - found.tokens
    assert part == pytest.approx(usual(added), abs=5)
    slack = AUTO.safety_margin * AUTO_SLACK
    assert got.high - found.tokens == pytest.approx(part * slack + FRAMING_TOKENS, abs=2)
    assert got.low - found.tokens == pytest.approx(part / slack - FRAMING_TOKENS, abs=2)


@pytest.mark.parametrize("dearer", [0.7, 1.0, 1.4])
def test_the_anchor_teaches_what_the_rest_costs(dearer: float) -> None:
    """Where the prefix came to 1.4 times the usual, so will what was added."""
    prefix, added = text(6_000), text(3_000)
    got = estimated(anchor(prefix, dearer), prefix, added)
    assert got.likely == pytest.approx((usual(prefix) + usual(added)) * dearer, rel=0.01)


def test_a_small_anchor_teaches_little_and_no_anchor_the_absurd() -> None:
    """A provider's preamble is most of a short prefix, and says nothing of the text."""
    prefix, added = text(10), text(3_000)
    preamble = Anchor(tokens=usual(prefix) + 60, raw=usual(prefix))
    got = estimated(preamble, prefix, added)
    assert got.likely - preamble.tokens < usual(added) * 1.4
    absurd = Anchor(tokens=usual(text(6_000)) * 9, raw=usual(text(6_000)))
    got = estimated(absurd, text(6_000), added)
    assert got.likely - absurd.tokens <= usual(added) * 1.6 + 1


def test_what_is_known_of_the_model_counts_for_what_was_added() -> None:
    """A small anchor has little to say, a hundred replies more."""
    observed = Observed(
        samples=100,
        factors=tuple(factor * 3 // 2 for factor in UNCORRECTED),
        least=tuple(factor * 4 // 3 for factor in UNCORRECTED),
        most=tuple(factor * 5 // 3 for factor in UNCORRECTED),
        low=Decimal("0.95"),
        high=Decimal("1.02"),
    )
    settings = EstimatorSettings(observed=observed)
    prefix, added = text(10), text(3_000)
    found = Anchor(tokens=usual(prefix) * 3 // 2, raw=usual(prefix))
    got = estimated(found, prefix, added, settings=settings)
    part = got.likely - found.tokens
    assert part == pytest.approx(usual(added) * 1.5, rel=0.01)


def test_what_is_beyond_ascii_is_doubted_until_replies_have_told_its_cost() -> None:
    """Vocabularies differ most there, and the prefix may have had none of it."""
    stats = TextStats(chars=900, runs=9, foreign=9, beyond=24 * 900, extra=1_800)
    added = Measured(segments={Segment.MESSAGES: stats}, messages=1)
    prefix = text(6_000)
    got = estimated(anchor(prefix), prefix, added)
    plain = estimated(anchor(prefix), prefix, text(usual(added) * 5 // 8))
    assert got.high - got.likely > 1.5 * (plain.high - plain.likely)
    assert got.high - anchor(prefix).tokens > usual(added) * 1.6


def test_the_models_own_turn_is_what_its_reply_was_metered_as() -> None:
    """What it wrote was counted when it wrote it; the frame of a message comes on top."""
    prefix, reply, question = text(600), text(800), text(10)
    with_output = estimated(anchor(prefix, output=usual(reply) * 6 // 5), prefix, question, reply)
    without = estimated(anchor(prefix), prefix, question, reply)
    gained = with_output.likely - without.likely
    assert gained == pytest.approx(usual(reply) // 5, abs=12)


@pytest.mark.parametrize("times", [0.3, 4])
def test_a_reply_that_does_not_come_back_as_metered_is_estimated(times: float) -> None:
    """Thinking is metered and may not be sent back; what a client adds to the turn was not."""
    prefix, reply, question = text(600), text(800), text(10)
    found = anchor(prefix, output=round(usual(reply) * times))
    assert estimated(found, prefix, question, reply) == estimated(
        anchor(prefix), prefix, question, reply
    )


def test_an_anchor_of_something_else_is_none() -> None:
    """Where our own count of the prefix is another than it was, the prefix is another."""
    prefix = text(900)
    other = Anchor(tokens=5_000, raw=usual(prefix) * 2)
    anchored = Anchored(anchor=other, added=Added(replied=NOTHING, rest=text(5)))
    assert by_anchor(large(), prefix + text(5), anchored, AUTO) is None


def test_an_anchor_with_images_is_its_tokens_and_teaches_nothing() -> None:
    """What the pictures cost is in what was metered; how much of it was text nobody says."""
    prefix = msgspec.structs.replace(text(500), images=PICTURE)
    asked = large(needs=frozenset({Capability.IMAGES}))
    found = anchor_of(asked, prefix, AUTO, 9_000)
    assert found.raw == 0
    got = estimated(found, prefix, text(100), asked=asked)
    assert got.likely == pytest.approx(9_000 + usual(text(100)), abs=5)


def test_images_that_were_added_cost_what_they_cost() -> None:
    """By the formula of the model, on top of the text."""
    settings = EstimatorSettings(vision=Vision.GPT_4O)
    asked = large(needs=frozenset({Capability.IMAGES}))
    prefix, added = text(500), msgspec.structs.replace(text(10), images=PICTURE)
    with_image = estimated(anchor(prefix), prefix, added, settings=settings, asked=asked)
    without = estimated(anchor(prefix), prefix, text(10), settings=settings, asked=asked)
    assert with_image.likely - without.likely == 765
    assert with_image.high - without.high == 765


def test_what_the_anchor_only_points_to_is_in_it() -> None:
    """An earlier response was metered with it and is not added again."""
    prefix = text(500)
    found = anchor_of(large(remote=1), prefix, AUTO, 9_000)
    assert found.raw == 0
    got = estimated(found, prefix, NOTHING, asked=large(remote=1))
    assert got.low == got.likely == got.high == 9_000


def test_thinking_may_be_left_out_of_the_prefix_later() -> None:
    """Providers drop that of finished turns, so low allows for it; likely and high do not."""
    prefix, added = text(900), text(20)
    plain = estimated(anchor(prefix), prefix, added)
    some, much = (
        estimated(anchor(prefix), msgspec.structs.replace(prefix, thought=chars), added)
        for chars in (100, 10_000)
    )
    assert some.low == plain.low - 100
    assert much.low == by_ratio(large(), prefix + added, AUTO).low < some.low
    for unsure in (some, much):
        assert (unsure.likely, unsure.high) == (plain.likely, plain.high)


def test_a_request_that_may_think_has_not_thought_yet() -> None:
    """Agents allow thinking in every request; what is not in the history is not left out of it."""
    prefix, added = text(900), text(20)
    asked = large(needs=frozenset({Capability.REASONING}))
    assert estimated(anchor(prefix), prefix, added, asked=asked) == estimated(
        anchor(prefix), prefix, added
    )


ANCHORS = st.builds(
    Anchor,
    tokens=st.integers(0, 10**6),
    raw=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
)


@given(
    ANCHORS,
    st.tuples(*[st.integers(0, 10**5)] * 3),
    st.integers(0, 10**7),
    st.decimals("1", "3", places=2),
)
def test_low_likely_high_and_bound_are_in_order(
    found: Anchor, words: tuple[int, int, int], length: int, margin: Decimal
) -> None:
    """Whatever the anchor says."""
    asked = msgspec.structs.replace(shape(), body_bytes=length)
    prefix, replied, rest = map(text, words)
    anchored = Anchored(anchor=found, added=Added(replied=replied, rest=rest))
    settings = EstimatorSettings(safety_margin=margin)
    got = by_anchor(asked, prefix + replied + rest, anchored, settings)
    if got is not None:
        assert 0 <= got.low <= got.likely <= got.high <= bound(asked)


def test_the_usual_factors_are_one_for_what_is_usually_counted() -> None:
    """And nothing for the counts that only a correction may use."""
    assert len(UNCORRECTED) == len(GROUPS)
    assert set(UNCORRECTED) == {0, UNIT}
