"""Arithmetic on all bytes of a text at once: one large integer with a lane of eight bits for each.

``"ab"`` is 0x6261: two lanes. Shifted by eight, each lane holds what its predecessor held; ``&``
with a mask keeps one bit of each; and ``bit_count`` counts the lanes that have it. That is a few
operations on a long integer for what would be thousands of steps of a loop.
"""

from typing import Final

WINDOW: Final = 16 * 1024
"""The most bytes that one integer holds: beyond that they no longer fit the processor's cache."""


def filled(value: int) -> int:
    """Return an integer with the same value in every lane of a window."""
    return int.from_bytes(bytes([value]) * WINDOW, "little")


def of(data: bytes) -> int:
    """Return the lanes of at most ``WINDOW`` bytes, the first in the lowest."""
    return int.from_bytes(data, "little")


_BITS: Final = [filled(1 << bit) for bit in range(8)]


def total(lanes: int, first: int = 0) -> int:
    """Return the sum over all lanes of what stands in them from bit ``first`` on."""
    bits = range(first, 8) if lanes else ()
    return sum((lanes & _BITS[bit]).bit_count() << (bit - first) for bit in bits)
