"""The forms a single value of the file can take: names, URLs, hosts; figures are in ``figures``.

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

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEY_HASH = re.compile(r"sha256:[0-9A-Fa-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    quoted = "write one text in quotes" if isinstance(value, list | dict) else "write it in quotes"
    usual = _WRITTEN.get(wanted.partition(" or ")[0], quoted)
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


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An http or https URL with a host; ``""`` only where that means something.

    ``exact``: not something that paths are added to, so that each character counts.
    """

    empty: bool = False
    exact: bool = False

    def read(self, value: object) -> str:
        """Return the URL, without trailing slashes unless it is exact."""
        if not isinstance(value, str):
            raise wrong_type("a URL", value)
        if value or not self.empty:
            self._check(value)
        return value if self.exact else value.rstrip("/")

    def _check(self, value: str) -> None:
        hint = 'write it like "https://host:port/path"'
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise Wrong("url-out-of-form", "is not a URL", hint) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise Wrong("url-out-of-form", "must be an http or https URL with a host", hint)
        if parts.fragment or any(char <= " " for char in value):
            raise Wrong("url-out-of-form", "must have no fragment or white space", hint)
        if parts.query and not self.exact:
            raise Wrong("url-out-of-form", "must have no query", hint)

    def json_schema(self) -> dict[str, object]:
        """Return a string that starts like an HTTP URL."""
        url = "https?://[^\\s#]+" if self.exact else "https?://[^\\s?#]+"
        return {"type": "string", "pattern": f"^({url})?$" if self.empty else f"^{url}$"}


class Host(msgspec.Struct, frozen=True):
    """A host name or an IP address to listen on, without a port."""

    def read(self, value: object) -> str:
        """Return the host, an IPv6 address without brackets."""
        if not isinstance(value, str):
            raise wrong_type("a host", value)
        host = value.removeprefix("[").removesuffix("]")
        if not _is_address(host) and not _HOST.fullmatch(host):
            message = f"{msgspec.json.encode(value).decode()} is no host name or IP address"
            raise Wrong("host-out-of-form", message, "the port stands in its own key")
        return host

    def json_schema(self) -> dict[str, object]:
        """Return a string of at least one character."""
        return {"type": "string", "minLength": 1}


class HostHeader(msgspec.Struct, frozen=True):
    """A host as requests name it in their Host header, without a port."""

    def read(self, value: object) -> str:
        """Return the host, an IPv6 address in brackets."""
        host = Text().read(value)
        bare = host.removeprefix("[").removesuffix("]")
        if _is_address(bare):
            return f"[{bare}]" if ":" in bare else bare
        if not _HOST.fullmatch(host.replace("_", "-")):
            message = f"{msgspec.json.encode(host).decode()} is no host name or IP address"
            hint = "write a name alone: without scheme and port, and no pattern"
            raise Wrong("host-out-of-form", message, hint)
        return host

    def json_schema(self) -> dict[str, object]:
        """Return a string without what never stands in a host."""
        return {"type": "string", "pattern": r"^[^\s/*?]+$"}


class KeyHash(msgspec.Struct, frozen=True):
    """The SHA-256 of a client key, as ``keys create --json`` tells it."""

    def read(self, value: object) -> str:
        """Return the hash. What is none may be the key itself, so that it is not repeated."""
        text = Text().read(value)
        if not _KEY_HASH.fullmatch(text):
            hint = 'write "sha256:" and 64 hexadecimal digits; gatewayctl keys create makes a key'
            raise Wrong("key-hash-out-of-form", "is no hash of a client key", hint)
        return text.lower()

    def json_schema(self) -> dict[str, object]:
        """Return a string of 64 hexadecimal digits behind the name of the hash."""
        return {"type": "string", "pattern": f"^{_KEY_HASH.pattern}$"}


class Variable(msgspec.Struct, frozen=True):
    """The name of an environment variable."""

    def read(self, value: object) -> str:
        """Return the name. What is none may be the secret itself, so that it is not repeated."""
        name = Text().read(value)
        if not _VARIABLE.fullmatch(name):
            meant = name.removeprefix("$").removeprefix("{").removesuffix("}")
            hint = 'a secret itself stands alone: api_key = "…"'
            if _VARIABLE.fullmatch(meant):
                hint = "write its name alone, without $"
            raise Wrong("variable-out-of-form", "is no name of an environment variable", hint)
        return name

    def json_schema(self) -> dict[str, object]:
        """Return a string of letters, digits and underscores."""
        return {"type": "string", "pattern": f"^{_VARIABLE.pattern}$"}


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
