"""Chance as arithmetic: a seed goes in, so that equal seeds give equal draws.

Where a seed comes from is the caller's business. Not for secrets.
"""

from typing import Final

_MASK: Final = (1 << 64) - 1


def drawn(state: int) -> tuple[int, int]:
    """SplitMix64 (Steele, Lea, Flood 2014): the next state and 64 bits of chance."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, mixed ^ (mixed >> 31)
