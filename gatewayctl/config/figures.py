"""The forms of figures: sizes, durations, integers and decimals in a range.

Like all forms (``forms``) each reads one TOML value and says in JSON Schema what it takes.
"""

import re
from decimal import Decimal

import msgspec

from gatewayctl.config.forms import wrong_type
from gatewayctl.config.problems import Wrong, did_you_mean

_SIZE = re.compile(r"([0-9][0-9_]*)([KM])")
_FRACTION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmM]?)(?:i?[bB])?")
_FACTORS = {"K": 1024, "M": 1024 * 1024}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_DIGITS = 18
"""More digits than any figure here has; it keeps absurd input from costing time."""
_DECIMALS = 18
_MOST = Decimal(10**12)
_LARGEST_SIZE = 10**15
_LONGEST_DURATION = 10**9


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """An integer in a range."""

    least: int
    most: int
    code: str = "out-of-range"

    def read(self, value: object) -> int:
        """Return the integer."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type("an integer", value)
        if not self.least <= value <= self.most:
            message = f"must be between {self.least} and {self.most}, found {value}"
            raise Wrong(self.code, message, f"write an integer up to {self.most}")
        return value

    def json_schema(self) -> dict[str, object]:
        """Return an integer with both ends."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A decimal in a range; ``above`` is exclusive. ``code`` names what is out of it.

    ``over`` is the code of what is more than ``most``, where that has one of its own, and ``hint``
    what to do about it.
    """

    code: str = "out-of-range"
    above: Decimal | None = None
    least: Decimal | None = None
    most: Decimal = _MOST
    over: str = ""
    hint: str = "write less"

    def read(self, value: object) -> Decimal:
        """Return the number as a decimal."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise wrong_type("a number", value)
        number = Decimal(value)
        if not number.is_finite():
            raise Wrong("not-finite", "must be a finite number", f"write one {self._range()}")
        exponent = number.as_tuple().exponent
        if number and isinstance(exponent, int) and exponent < -_DECIMALS:
            # arithmetic is exact: a tiny number would be a fraction of astronomical integers
            message = f"must have at most {_DECIMALS} decimals"
            raise Wrong("too-precise", message, "round it")
        low = (self.above is not None and number <= self.above) or (
            self.least is not None and number < self.least
        )
        over = self.over or ("out-of-range" if self.most == _MOST else "")
        if number > self.most and over:
            message = f"must be at most {self.most}, found {_short(number)}"
            raise Wrong(over, message, self.hint)
        if low or number > self.most:
            message = f"must be {self._range()}, found {_short(number)}"
            raise Wrong(self.code, message, f"write a number {self._range()}")
        return number

    def _range(self) -> str:
        bounds = []
        if self.above is not None:
            bounds.append(f"greater than {self.above}")
        if self.least is not None:
            bounds.append(f"at least {self.least}")
        if self.most != _MOST or not bounds:
            bounds.append(f"at most {self.most}")
        return " and ".join(bounds)

    def json_schema(self) -> dict[str, object]:
        """Return a number with its bounds."""
        schema: dict[str, object] = {"type": "number", "maximum": _plain(self.most)}
        if self.above is not None:
            schema["exclusiveMinimum"] = _plain(self.above)
        if self.least is not None:
            schema["minimum"] = _plain(self.least)
        return schema


def _short(number: Decimal) -> str:
    """Write a number; one with thousands of digits by its size alone."""
    return f"{number}" if len(number.as_tuple().digits) <= _DIGITS else f"{number:.3e}"


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens or bytes: an integer, or a string with ``K`` (1024) or ``M`` (1024²).

    ``least`` is the smallest allowed, ``zero_code`` the problem's code below it; ``word`` is a
    string that stands for None (``"auto"``).
    """

    least: int = 0
    zero_code: str = "out-of-range"
    word: str = ""

    def read(self, value: object) -> int | None:
        """Return the number of tokens or bytes, None for the word."""
        if self.word and value == self.word:
            return None
        size = self._size(value)
        if size < 0:
            raise Wrong("size-out-of-form", "must not be negative", "write 0 or more")
        if size > _LARGEST_SIZE:
            raise Wrong("size-out-of-form", f"must be at most {_LARGEST_SIZE}", "write less")
        if size < self.least:
            hint = f"write {self.least} or more, or remove the key"
            if self.word:
                hint = f'write "{self.word}" for the registry\'s value'
            raise Wrong(self.zero_code, f"must be at least {self.least}, found {size}", hint)
        return size

    def _size(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise wrong_type("a size", value, 'write an integer, or a string like "256K"')
        found = _SIZE.fullmatch(value)
        if found is None or len(found[1]) > _DIGITS:
            raise Wrong(
                "size-out-of-form",
                f"{msgspec.json.encode(value).decode()} is not a size",
                did_you_mean(value, [self.word] * bool(self.word)) or _size_hint(value),
            )
        return int(found[1].replace("_", "")) * _FACTORS[found[2]]

    def json_schema(self) -> dict[str, object]:
        """Return an integer or a string with a suffix, or the word."""
        ways: list[dict[str, object]] = [
            {"type": "integer", "minimum": self.least, "maximum": _LARGEST_SIZE},
            {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
        ]
        if self.word:
            ways.append({"const": self.word})
        return {"anyOf": ways}


def _size_hint(written: str) -> str:
    """Say how a size is written, with the integer where it is plain what was meant."""
    found = _FRACTION.fullmatch(written.strip())
    usual = 'write an integer, or digits with K or M ("256K" is 262144)'
    if found is None or len(found[1]) > _DIGITS:
        return usual
    size = Decimal(found[1]) * _FACTORS.get(found[2].upper(), 1)
    return f"write {int(size)}" if size == size.to_integral_value() else usual


class Duration(msgspec.Struct, frozen=True):
    """A string like ``"500ms"``, ``"5s"``, ``"10m"``, ``"1h"``, longer than nothing."""

    def read(self, value: object) -> float:
        """Return the duration in seconds."""
        hint = 'write a string like "500ms", "5s", "10m" or "1h"'
        if not isinstance(value, str):
            raise wrong_type("a duration", value, hint)
        found = _DURATION.fullmatch(value)
        if found is None or len(found[1]) > _DIGITS:
            shown = msgspec.json.encode(value).decode()
            raise Wrong("duration-out-of-form", f"{shown} is not a duration", hint)
        seconds = Decimal(found[1]) * _SECONDS[found[2]]
        if not seconds:
            raise Wrong("duration-out-of-form", "a duration must be longer than 0", hint)
        if seconds > _LONGEST_DURATION:
            message = f"a duration must be at most {_LONGEST_DURATION:,} s"
            raise Wrong("duration-out-of-form", message, hint)
        return float(seconds)

    def json_schema(self) -> dict[str, object]:
        """Return a string of digits, not all of them zero, with a unit."""
        return {"type": "string", "pattern": f"^(?=.*[1-9]){_DURATION.pattern}$"}
