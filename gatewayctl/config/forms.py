"""The forms a single value of the file can take: sizes, durations, URLs, numbers in a range.

Each form reads one TOML value and says in JSON Schema what it takes. Which key has which form is
``schema``'s business; whether a value makes sense beside others is ``resolve``'s.
"""

import ipaddress
import re
import unicodedata
from decimal import Decimal
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from gatewayctl.config.problems import Wrong, did_you_mean
from gatewayctl.config.settings import OverflowStatus

_SIZE = re.compile(r"([0-9][0-9_]*)([KM])")
_FRACTION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKmM]?)(?:i?[bB])?")
_FACTORS = {"K": 1024, "M": 1024 * 1024}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_DIGITS = 18
"""More digits than any figure here has; it keeps absurd input from costing time."""
_DECIMALS = 18
_LARGEST_SIZE = 10**15
_LONGEST_DURATION = 10**9
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


VOCABULARIES = ("o200k_base", "cl100k_base")
"""The vocabularies in the package: tiktoken's, by their usual names."""
_TIKTOKEN = "tiktoken"
TOKENIZERS = (
    "auto",
    "char_ratio",
    *(f"{_TIKTOKEN}:{name}" for name in VOCABULARIES),
    "huggingface",
)

_TYPE_NAMES = (
    (bool, "a boolean"),  # before int, which it is a kind of
    (str, "a string"),
    (int, "an integer"),
    (Decimal, "a number"),
    (list, "an array"),
    (dict, "a table"),
)


def is_header_name(name: str) -> bool:
    """Tell whether HTTP allows a header of this name."""
    return _HEADER_NAME.fullmatch(name) is not None


class Form(Protocol):
    """One way to write a value."""

    def read(self, value: object) -> object:
        """Return the value as the program uses it; raise ``Wrong``."""
        ...

    def json_schema(self) -> dict[str, object]:
        """Return what this takes, in JSON Schema."""
        ...


class Required(msgspec.Struct, frozen=True):
    """Marks a key that must be there; the code and hint of the problem when it is not."""

    code: str
    hint: str = ""


def type_name(value: object) -> str:
    """Name a TOML value's type as people call it."""
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), "a date or time")


_WRITTEN = {
    "a boolean": "write true or false, without quotes",
    "an integer": "write digits, without quotes and without a point",
    "a number": "write a number, without quotes",
    "a URL": 'write it in quotes, like "https://host:port/path"',
    "an array": "write it in brackets: [ … ]",
    "a table": "write keys and values: { key = … }, or under a header of its own",
}


def wrong_type(wanted: str, value: object, hint: str = "") -> Wrong:
    """Return the problem of a value that is of another type."""
    usual = _WRITTEN.get(wanted.partition(" or ")[0], "write it in quotes")
    return Wrong("wrong-type", f"expected {wanted}, found {type_name(value)}", hint or usual)


class Text(msgspec.Struct, frozen=True):
    """A string that is not empty."""

    def read(self, value: object) -> str:
        """Return the string."""
        if not isinstance(value, str):
            raise wrong_type("a string", value)
        if not value.strip():
            raise Wrong("empty-string", "must not be empty", "write something, or remove the key")
        return value

    def json_schema(self) -> dict[str, object]:
        """Return a string that is more than blanks."""
        return {"type": "string", "pattern": r"\S"}


class Ident(msgspec.Struct, frozen=True):
    """The name of a model, a route or an alias: no blanks around it, nothing that is not seen."""

    def read(self, value: object) -> str:
        """Return the name."""
        name = Text().read(value)
        if why := not_a_name(name):
            raise Wrong("name-out-of-form", why, "remove what cannot be seen")
        return name

    def json_schema(self) -> dict[str, object]:
        """Return a string that begins and ends with something."""
        return {"type": "string", "pattern": r"^\S(.*\S)?$"}


def not_a_name(name: str) -> str:
    """Say why nobody could ask for a name as it is written, ``""`` where they can."""
    if name != name.strip():
        return "a name has no blanks before or after it"
    if not name or any(unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} for char in name):
        return "a name is not empty and has only characters that can be seen"
    return ""


class Tokenizer(msgspec.Struct, frozen=True):
    """The tokenizer of a model: a kind of estimator, ``tiktoken`` with its vocabulary."""

    def read(self, value: object) -> str:
        """Return the name."""
        if not isinstance(value, str):
            raise wrong_type("a string", value, f"one of: {', '.join(TOKENIZERS)}")
        if value not in TOKENIZERS:
            hint = did_you_mean(value, TOKENIZERS) or f"one of: {', '.join(TOKENIZERS)}"
            if value.startswith(_TIKTOKEN):
                hint = f"vocabularies: {', '.join(VOCABULARIES)}"
            raise Wrong("unknown-value", f'"{value}" is no tokenizer', hint)
        return value

    def json_schema(self) -> dict[str, object]:
        """Return the names."""
        return {"enum": list(TOKENIZERS)}


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


class Status(msgspec.Struct, frozen=True):
    """The HTTP status of a refusal by size: a word, or the bare number."""

    def read(self, value: object) -> OverflowStatus:
        """Return the choice."""
        names = [member.value for member in OverflowStatus]
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise wrong_type("a status", value, f"one of: {', '.join(names)}")
        if str(value) not in names:
            hint = f"one of: {', '.join(names)}"
            raise Wrong("unknown-value", f"{value} is no status of a refusal", hint)
        return OverflowStatus(str(value))

    def json_schema(self) -> dict[str, object]:
        """Return the words, and the numbers among them as numbers too."""
        names = [member.value for member in OverflowStatus]
        return {"enum": [*names, *(int(name) for name in names if name.isdecimal())]}


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A decimal in a range; ``above`` is exclusive. ``code`` names what is out of it."""

    code: str = "out-of-range"
    above: Decimal | None = None
    least: Decimal | None = None
    most: Decimal = Decimal(10**12)

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
        if self.most != Number().most or not bounds:
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
        if size >= 10**_DIGITS:
            raise Wrong("size-out-of-form", "is larger than any size there is")
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
                _size_hint(value),
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
        if not 0 < seconds <= _LONGEST_DURATION:
            raise Wrong("duration-out-of-form", "a duration must be longer than 0", hint)
        return float(seconds)

    def json_schema(self) -> dict[str, object]:
        """Return a string of digits, not all of them zero, with a unit."""
        return {"type": "string", "pattern": f"^(?=.*[1-9]){_DURATION.pattern}$"}


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An http or https URL with a host; ``""`` only where that means something."""

    empty: bool = False

    def read(self, value: object) -> str:
        """Return the URL without trailing slashes."""
        if not isinstance(value, str):
            raise wrong_type("a URL", value)
        if value or not self.empty:
            self._check(value)
        return value.rstrip("/")

    def _check(self, value: str) -> None:
        hint = 'write it like "https://host:port/path"'
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise Wrong("url-out-of-form", "is not a URL", hint) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise Wrong("url-out-of-form", "must be an http or https URL with a host", hint)
        if parts.query or parts.fragment or any(char <= " " for char in value):
            raise Wrong("url-out-of-form", "must have no query, fragment or white space", hint)

    def json_schema(self) -> dict[str, object]:
        """Return a string that starts like an HTTP URL."""
        pattern = "^(https?://[^\\s?#]+)?$" if self.empty else "^https?://[^\\s?#]+$"
        return {"type": "string", "pattern": pattern}


class Host(msgspec.Struct, frozen=True):
    """A host name or an IP address to listen on, without a port."""

    def read(self, value: object) -> str:
        """Return the host, an IPv6 address without brackets."""
        if not isinstance(value, str):
            raise wrong_type("a host", value)
        host = value.removeprefix("[").removesuffix("]")
        if not _is_address(host) and not _HOST.fullmatch(host):
            message = f"{value!r} is no host name or IP address"
            raise Wrong("host-out-of-form", message, "the port stands in its own key")
        return host

    def json_schema(self) -> dict[str, object]:
        """Return a string of at least one character."""
        return {"type": "string", "minLength": 1}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Json(msgspec.Struct, frozen=True):
    """Any value that JSON has too; it goes into a request body as it is."""

    def read(self, value: object) -> msgspec.Raw:
        """Return the value's JSON."""
        return msgspec.Raw(_JSON.encode(_jsonable(value)))

    def json_schema(self) -> dict[str, object]:
        """Return the schema that takes anything."""
        return {}


_JSON = msgspec.json.Encoder(decimal_format="number")


def _jsonable(value: object) -> object:
    match value:
        case dict():
            return {str(name): _jsonable(item) for name, item in value.items()}
        case list():
            return [_jsonable(item) for item in value]
        case Decimal() if not value.is_finite():
            raise Wrong("not-finite", "JSON has neither nan nor inf", "write a finite number")
        case bool() | str() | int() | Decimal():
            return value
        case _:
            raise Wrong("wrong-type", "JSON has no dates or times", "write it as a string")
