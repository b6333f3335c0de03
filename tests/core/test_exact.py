"""Token arithmetic is exact: decimals in, integers out."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.exact import (
    ceil_product,
    ceil_quotient,
    ceil_ratio,
    floor_product,
    floor_quotient,
)

counts = st.integers(0, 10**9)
factors = st.decimals("0.01", "100", places=4)


def test_a_margin_of_ten_percent_is_exactly_ten_percent() -> None:
    """180,000 × 1.10 is 198,000; binary floating point would round up to 198,001."""
    assert ceil_product(180_000, Decimal("1.10")) == 198_000
    assert ceil(180_000 * 1.10) == 198_001


def test_eight_characters_at_four_with_a_margin_are_three_tokens() -> None:
    """The worked example: ceil(8 / 4 × 1.25) = ceil(2.5) = 3, rounded once."""
    assert ceil_ratio(8, Decimal("1.25"), Decimal(4)) == 3


def test_ceilings_of_the_worked_examples() -> None:
    """32,768 × 0.75, 1,048,576 × 0.95 and 262,144 × 0.85 round down to the specified ceilings."""
    assert floor_product(32_768, Decimal("0.75")) == 24_576
    assert floor_product(1_048_576, Decimal("0.95")) == 996_147
    assert floor_product(262_144, Decimal("0.85")) == 222_822


@given(counts, factors, factors)
def test_all_agree_with_fractions(count: int, factor: Decimal, divisor: Decimal) -> None:
    """Every function equals the same arithmetic done in exact fractions."""
    up, down = Fraction(factor), Fraction(divisor)
    assert floor_product(count, factor) == floor(count * up)
    assert ceil_product(count, factor) == ceil(count * up)
    assert floor_quotient(count, divisor) == floor(count / down)
    assert ceil_quotient(count, divisor) == ceil(count / down)
    assert ceil_ratio(count, factor, divisor) == ceil(count * up / down)
