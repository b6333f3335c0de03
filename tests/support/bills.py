"""What an upstream bills, by arithmetic of its own: tokens as they were drawn, money in fractions.

Nothing of the gateway's pricing is used here: this is what its books are compared with.
"""

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import msgspec

DIMENSIONS: Final = (
    "input",
    "input_cache_read",
    "input_cache_write_5m",
    "input_cache_write_1h",
    "output",
    "image",
    "audio",
)
"""What is paid for; parts of the output with it, but for those that have their own price."""

PARTS: Final = ("output_image", "output_audio")

READ: Final = tuple(each for each in DIMENSIONS if each != "output")
_INSTEAD: Final = {
    "input": ("input",),
    "input_cache_read": ("input_cache_read", "input"),
    "input_cache_write_5m": ("input_cache_write_5m", "input"),
    "input_cache_write_1h": ("input_cache_write_1h", "input_cache_write_5m", "input"),
    "output": ("output",),
    "image": ("image", "input"),
    "audio": ("audio", "input"),
}
_PER_TOKEN: Final = Fraction(10**12, 10**6)
"""Pico-dollars a token for each dollar a million tokens."""

STEP: Final = 200_000

PRICES: Final[Mapping[str, Mapping[str, str]]] = {
    "plain": {"input": "2.5", "input_cache_read": "0.25", "output": "15"},
    "tiers": {
        "input": "2.5", "input@flex": "1.25", "input@priority": "5",
        "input@fast": "15", "input_cache_read@fast": "1.5", "output@fast": "75",
        "input_cache_read": "0.25", "input_cache_read@flex": "0.13",
        "input_cache_read@priority": "0.5",
        "output": "15", "output@flex": "7.5", "output@priority": "30",
    },
    "steps": {
        "input": "2.5", "input>200000": "5",
        "input_cache_read": "0.25", "input_cache_read>200000": "0.5",
        "output": "15", "output>200000": "22.5",
    },
    "caches": {
        "input": "3", "input_cache_read": "0.3", "input_cache_write_5m": "3.75",
        "input_cache_write_1h": "6", "output": "15",
    },
    "one-write": {"input": "3", "input_cache_write_5m": "3.75", "output": "15"},
    "odd": {"input": "0.333333", "output": "0.7777777", "image": "1.23", "audio": "9.87"},
    "pictures": {"input": "0.3", "output": "2.5", "output_image": "30", "output_audio": "12"},
    "free": {"input": "0", "output": "0"},
    "unknown": {},
    "half": {"input": "1"},
}  # fmt: skip
"""USD per million tokens by the name of a model."""

TIERS: Final = ("", "flex", "priority", "default", "fast", "unheard-of")


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer is metered: disjoint, but for what is part of the output.

    That are ``reasoning``, pictures and sound.
    """

    input: int = 0
    input_cache_read: int = 0
    input_cache_write_5m: int = 0
    input_cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    output_image: int = 0
    output_audio: int = 0
    image: int = 0
    audio: int = 0

    @property
    def read(self) -> int:
        """All input tokens together."""
        return sum(getattr(self, each) for each in READ)


def drawn(chance: random.Random, protocol: str) -> Tokens:
    """Return what an answer in a protocol may be metered: what it can tell, and no more."""

    def sometimes(often: float, most: int) -> int:
        return chance.randint(1, most) if chance.random() < often else 0

    large = chance.random() < 0.1
    writes = 0.3 if protocol == "messages" else 0.0
    media = 0.1 if protocol != "messages" else 0.0
    output = chance.randint(1, 4000)
    reasoning = sometimes(0.3, output)
    picture = min(sometimes(media, output), output - reasoning)
    return Tokens(
        input=chance.randint(190_000, 250_000) if large else chance.randint(200, 5000),
        input_cache_read=sometimes(0.4, 20_000),
        input_cache_write_5m=sometimes(writes or 0.1 * (protocol == "chat_completions"), 3000),
        input_cache_write_1h=sometimes(writes, 3000),
        output=output,
        reasoning=reasoning,
        output_image=picture,
        output_audio=min(sometimes(media, output), output - reasoning - picture),
        image=sometimes(media, 2000),
        audio=sometimes(media, 2000),
    )


def owed(model: str, counts: Mapping[str, int | None], tier: str) -> int | None:
    """Return the pico-dollars for some counts, None where a price that is needed is unknown."""
    prices = PRICES[model]
    told = {name: count for name, count in counts.items() if count is not None}
    step = f">{STEP}" if sum(told.get(each, 0) for each in READ) > STEP else ""
    known = any(name in told for name in DIMENSIONS)
    total = Fraction(0)
    for name in PARTS:
        if name in told and name in prices:
            total += told[name] * Fraction(prices[name]) * _PER_TOKEN
            told["output"] -= told[name]
    for name in DIMENSIONS:
        count = told.get(name, 0)
        if not count:
            continue
        found = next((each for each in _INSTEAD[name] if each in prices), None)
        if found is None:
            return None
        keys = (f"{found}@{tier}", f"{found}{step}", found)
        rate = next(prices[key] for key in keys if key in prices)
        total += count * Fraction(rate) * _PER_TOKEN
    return round(total) if known else None
