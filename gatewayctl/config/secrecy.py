"""Which values of a config are secrets, and the document without them."""

import re
from collections.abc import Mapping
from decimal import Decimal

MASK = "********"
_SECRET_NAME = re.compile(
    r"api[-_.]?key|authori[sz]ation|bearer|cookie|credential|passphrase|passw|secret"
    r"|token(?!s|i[sz]e)"
    r"|(?:^|[-_.])auth(?:$|[-_.])|keys?\d*(?:$|[-_.])",
    re.IGNORECASE,
)
"""What a name says that it holds; people write words together and add numbers."""
_SECRET_HEADER = re.compile(
    r"jwt|oauth|dpop|assertion|saml|signature|ticket|^code$"
    r"|(?:^|[-_.])(?:cert|creds?|otp|pass|pat|pwd|sas|sid|sig)(?:$|[-_.])"
    r"|(?:^|[-_.])session$",
    re.IGNORECASE,
)
"""What only headers and queries hold under such names; in a config they are words like others."""
_REFERENCES = frozenset({"borrow", "env", "file", "name", "path", "type"})
"""Keys that say where a secret is and hold none."""
_PROGRAMS = frozenset({"argv", "command"})
_NOT_SECRET = frozenset(
    {"auth", "authorize_url", "chars_per_token", "first_token", "key_hint", "token_url"}
)
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|ghp|gho|AIza|eyJ|csk|fw|tgp)[-_A-Za-z0-9.]{16,}"
    r"|(?<=\bbearer )[^\s\"']+|(?<=\bbasic )[^\s\"']{8,}",
    re.IGNORECASE,
)

_URL_USER = re.compile(r"(?<=://)[^/\s\"'@]+(?=@)")
_SAYS_SECRET = re.compile(
    r"(?i)(?:keys?(?![a-z])|(?<!first[-_])(?<!per[-_])token(?!s|i[sz]e)|secret|passw(?:or)?d"
    r"|authori[sz]ation|bearer|cookie|credential|command|argv)[\w.-]*[\"']?\s*[=:]?(?=\s*[\"'\[{])"
)
"""What says so in a line, and how the value may follow that is not even TOML."""
_REFERS = re.compile(
    r"(?i)(?:\b(?:env|file|name|path|type|borrow)|(?:command|argv)\s*=\s*\[)\s*=?\s*$"
)
"""What stands before a string that says where a secret is: a name, a path, a program."""
_WORD = re.compile(r"[^\s\"'\[\]{},=]{6,}+(?!\s*=)")
_STRING = re.compile(r"""(["'])((?:\\.|(?!\1).)*)(\1|$)""")


def is_secret_header(name: str) -> bool:
    """Tell whether a header of this name carries a credential."""
    return _SECRET_NAME.search(name) is not None or _SECRET_HEADER.search(name) is not None


def is_secret_url(url: str) -> bool:
    """Tell whether a URL carries a password, or a user name that may be one."""
    return _URL_USER.search(url) is not None


def masked(value: object, name: str = "") -> object:
    """Return TOML values with every secret replaced by ``MASK``, environment names kept."""
    match value:
        case Mapping():
            return {key: _entry(key, item, name) for key, item in value.items()}
        case list() | tuple():
            return [masked(item, name) for item in value]
        case str():
            return MASK if value and _holds_secret(name) else _text(value)
        case _:
            return value


def _entry(key: str, item: object, parent: str) -> object:
    if not _holds_secret(parent):
        return masked(item, key)
    if key in _REFERENCES:
        return _text(item) if isinstance(item, str) else item
    if key in _PROGRAMS and isinstance(item, list | tuple):
        # the program stays visible, its arguments may hold anything
        return [*item[:1], *([MASK] if len(item) > 1 else [])]
    return masked(item, parent)


def _holds_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET_NAME.search(name) is not None


def _text(value: str) -> str:
    """Mask the user part of a URL, and what looks like a key wherever it stands."""
    return _URL_USER.sub(MASK, _LOOKS_SECRET.sub(MASK, value))


def told(text: str) -> str:
    """Return words about a config without what looks like a secret in them."""
    return _text(text)


def hidden(line: str, *, every: bool = False) -> str:
    """Return a line of a file with what may be a secret in it starred out, as long as before.

    ``every``: nobody knows what its value is, so all of its strings are.
    """
    line = _URL_USER.sub(_stars, _LOOKS_SECRET.sub(_stars, line))
    if any(line.count(quote) % 2 for quote in ('"', "'")):
        # a quote is missing, and which of its words are meant as strings nobody knows
        key, equals, value = line.partition("=")
        line = key + equals + _WORD.sub(_stars, value)
    said = _SAYS_SECRET.search(line)
    start = line.find("=") + 1 if every and "=" in line else len(line)
    start = min(start, len(line) if said is None else said.end())
    rest = line[start:]

    def starred(it: re.Match[str]) -> str:
        if not every and _REFERS.search(line[: start + it.start()]):
            return it[0]
        return f"{it[1]}{'*' * len(it[2])}{it[3]}"

    return line[:start] + _STRING.sub(starred, rest)


def _stars(found: re.Match[str]) -> str:
    return "*" * len(found[0])


def plain(value: object) -> object:
    """Return values as TOML and JSON writers take them: decimals as floats, None left out."""
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [plain(item) for item in value]
        case Decimal():
            return float(value)
        case _:
            return value
