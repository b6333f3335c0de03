"""Exact arithmetic on token counts: decimals in, integers out, no binary fractions on the way.

``ceil(180000 × 1.10)`` is 198000 here, where floating point says 198001.
"""

from decimal import Decimal


def floor_product(count: int, factor: Decimal) -> int:
    """Return floor(count × factor)."""
    numerator, denominator = factor.as_integer_ratio()
    return count * numerator // denominator


def ceil_product(count: int, factor: Decimal) -> int:
    """Return ceil(count × factor)."""
    numerator, denominator = factor.as_integer_ratio()
    return -(-count * numerator // denominator)


def floor_quotient(count: int, divisor: Decimal) -> int:
    """Return floor(count / divisor)."""
    numerator, denominator = divisor.as_integer_ratio()
    return count * denominator // numerator


def ceil_quotient(count: int, divisor: Decimal) -> int:
    """Return ceil(count / divisor)."""
    numerator, denominator = divisor.as_integer_ratio()
    return -(-count * denominator // numerator)


def ceil_ratio(count: int, factor: Decimal, divisor: Decimal) -> int:
    """Return ceil(count × factor / divisor), rounded once."""
    up, below = factor.as_integer_ratio()
    numerator, denominator = divisor.as_integer_ratio()
    return -(-count * up * denominator // (below * numerator))
