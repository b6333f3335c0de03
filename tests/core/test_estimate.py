"""Bounds and ratios: ordered, exact, and never above the bound."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.world import shape

from gatewayctl.core.estimate import UNSEEN_TOKENS, bound, by_bound, by_ratio
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.decision import Method
from gatewayctl.core.shape import Measured, Segment, TextStats

AUTO = EstimatorSettings()


def measured(**counts: int) -> Measured:
    """Return one message's text by what was counted in it."""
    return Measured(segments={Segment.MESSAGES: TextStats(**counts)}, messages=1)


def big(size: int) -> int:
    """Return a body length that never caps."""
    return size * 8 + 10**6


def test_char_ratio_is_exactly_what_the_config_says() -> None:
    """8 characters at 4 each with margin 1.25: 1, 2 and 3 tokens, no overhead added."""
    settings = EstimatorSettings(
        kind=EstimatorKind.CHAR_RATIO, chars_per_token=Decimal(4), safety_margin=Decimal("1.25")
    )
    got = by_ratio(shape(), measured(chars=8, letters=8, words=1), settings)
    assert (got.low, got.likely, got.high) == (1, 2, 3)
    assert got.method is Method.RATIO


def test_the_bound_is_the_body_and_what_providers_add() -> None:
    """A byte-level token covers at least one byte, and a preamble is added unseen."""
    assert bound(shape()) == 100 + UNSEEN_TOKENS
    got = by_bound(shape())
    assert (got.low, got.high, got.method) == (0, 100 + UNSEEN_TOKENS, Method.BOUND)


def test_forty_thousand_words_are_at_least_forty_thousand_tokens() -> None:
    """No tokenizer in use joins words, so a low estimate never falls under their count."""
    body = msgspec.structs.replace(shape(), body_bytes=big(80_000))
    got = by_ratio(body, measured(chars=80_000, letters=40_000, words=40_000, runs=40_000), AUTO)
    assert got.low >= 40_000


@given(
    st.builds(
        measured,
        **{name: st.integers(0, 10**6) for name in TextStats.__struct_fields__},
    ),
    st.sampled_from([EstimatorKind.AUTO, EstimatorKind.CHAR_RATIO]),
    st.decimals("1", "3", places=2),
    st.integers(0, 10**7),
)
def test_low_likely_high_and_bound_are_in_order(
    text: Measured, kind: EstimatorKind, margin: Decimal, length: int
) -> None:
    """Whatever the text and settings: low ≤ likely ≤ high ≤ bound."""
    body = msgspec.structs.replace(shape(), body_bytes=length)
    got = by_ratio(body, text, EstimatorSettings(kind=kind, safety_margin=margin))
    assert 0 <= got.low <= got.likely <= got.high <= bound(body)
