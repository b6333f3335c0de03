"""Which values of a config are secrets, and the document without them.

A file with an error may hold a secret anywhere: quotes and names may be missing, and comments tell
of older ones. So more is hidden of a line than of a value.
"""

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
_TABLES_OF_SECRETS = frozenset({"extra", "headers"})
"""Tables whose keys are others' words: names of headers and of a login's parameters."""
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
_LOGIN = re.compile(
    r"(?<=://)[^\"]+(?=@)"
    r"|(?<![^\s\"'=,\[{])[^\s\"'=,/:]+:(?!//)[^\s\"']+(?=@)"
)
"""What may be a login in a URL, also in one that is none: all before the last ``@``."""
_QUERY = re.compile(r"(?<=://)([^\s\"'?]*\?)([^\s\"']+)")
_QUERY_VALUE = re.compile(r"(?<==)[^&]+|^[^=&]+$")
_SAYS_SECRET = re.compile(
    r"(?i)(?:keys?(?![a-z])|(?<!first[-_])(?<!per[-_])token(?!s|i[sz]e)|secret|passw(?:or)?d"
    r"|authori[sz]ation|bearer|cookie|credential|command|argv|headers|extra)"
    r"[\w.-]*[\"']?\s*[=:]?(?=\s*[\"'\[{])"
)
"""What says so in a line, and how the value may follow that is not even TOML."""
_REFERS = re.compile(
    r"(?i)(?:\b(?:env|file|name|path|type|borrow)|(?:command|argv)\s*=\s*\[)\s*=?\s*$"
)
"""What stands before a string that says where a secret is: a name, a path, a program."""
_WORD = re.compile(r"[^\s\"'\[\]{},=]+")
_TABLE = re.compile(r"\s*\[\[?[\w.\- ]*\]?\]?\s*")
_KEY = re.compile(r"\s*(?:[\w-]+|\"[^\"]*\")(?:\.(?:[\w-]+|\"[^\"]*\"))*\s*=")
_BLACK = re.compile(r"\S")
_COMMENT = re.compile(r"""("(?:\\.|[^"])*"|'[^']*'|[^#"'])|#.*""")
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
        case Mapping() if name in _TABLES_OF_SECRETS:
            return {
                _text(key): all_masked(it) if is_secret_header(key) else masked(it)
                for key, it in value.items()
            }
        case Mapping():
            return {key: _entry(key, item, name) for key, item in value.items()}
        case list() | tuple() | str() if name in _TABLES_OF_SECRETS:  # where a table should be
            return all_masked(value)
        case list() | tuple():
            return [masked(item, name) for item in value]
        case str():
            return MASK if value and _holds_secret(name) else _text(value)
        case _:
            return value


def all_masked(value: object) -> object:
    """Return TOML values with everything in them but the names of keys replaced by ``MASK``."""
    match value:
        case Mapping():
            return {key: all_masked(item) for key, item in value.items()}
        case list() | tuple():
            return [all_masked(item) for item in value]
        case _:
            return MASK if value else value


def _entry(key: str, item: object, parent: str) -> object:
    if not _holds_secret(parent):
        return masked(item, key)
    if key in _REFERENCES:
        return _text(item) if isinstance(item, str) else item
    if key in _PROGRAMS and isinstance(item, list | tuple):
        # the program stays visible, its arguments may hold anything
        return [*item[:1], *([MASK] if len(item) > 1 else [])]
    return masked(item, parent)


def holds_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret, or a table that may."""
    return name in _TABLES_OF_SECRETS or _holds_secret(name)


def _holds_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET_NAME.search(name) is not None


def _text(value: str) -> str:
    """Mask the login and the query's values of a URL, and what looks like a key anywhere."""
    value = _LOGIN.sub(MASK, _LOOKS_SECRET.sub(MASK, value))
    return _QUERY.sub(lambda it: it[1] + _QUERY_VALUE.sub(MASK, it[2]), value)


def told(text: str) -> str:
    """Return words about a config without what looks like a secret in them."""
    return _text(text)


def hidden(line: str, *, every: bool = False, inside: bool = False) -> str:
    """Return a line of a file with what may be a secret in it starred out, as long as before.

    ``every``: nobody knows what its value is, so all of its strings are. ``inside``: it lies in the
    value of a key that holds a secret, whose name may stand in an earlier line.
    """
    line = _COMMENT.sub(lambda it: it[1] or f"#{_BLACK.sub('*', it[0][1:])}", line)
    line = _LOGIN.sub(_stars, _LOOKS_SECRET.sub(_stars, line))
    line = _QUERY.sub(lambda it: it[1] + _QUERY_VALUE.sub(_stars, it[2]), line)
    said = _SAYS_SECRET.search(line)
    start = len(line) if said is None else said.end()
    if every or inside:
        start = min(start, line.find("=") + 1)

    refers = not every and (said is None or not said[0].lower().startswith(("extra", "headers")))

    def starred(it: re.Match[str]) -> str:
        if refers and _REFERS.search(line[: start + it.start()]):
            return it[0]
        return f"{it[1]}{'*' * len(it[2])}{it[3]}"

    return line[:start] + _STRING.sub(starred, line[start:])


def hidden_unread(line: str) -> str:
    """Return a line that is not TOML, as long as before: its key, and stars for all other words.

    Where no key begins it, it may belong to the value of one in an earlier line.
    """
    if _TABLE.fullmatch(line):
        return line
    key = _KEY.match(line)
    start = 0 if key is None else key.end()
    return line[:start] + _WORD.sub(_stars, line[start:])


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
