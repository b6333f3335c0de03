"""Which values of a config are secrets, and the document without them.

Lines of a file, which need not even be TOML, are ``config.hiding``'s business.
"""

import re
from collections.abc import Callable, Mapping

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
                told(key): all_masked(it) if is_secret_header(key) else masked(it)
                for key, it in value.items()
            }
        case Mapping():
            return {key: _entry(key, item, name) for key, item in value.items()}
        case list() | tuple() | str() if name in _TABLES_OF_SECRETS:  # where a table should be
            return all_masked(value)
        case list() | tuple():
            return [masked(item, name) for item in value]
        case str():
            return MASK if value and _holds_secret(name) else told(value)
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
        return told(item) if isinstance(item, str) else item
    if key in _PROGRAMS and isinstance(item, list | tuple):
        # the program stays visible, its arguments may hold anything
        return [*item[:1], *([MASK] if len(item) > 1 else [])]
    return masked(item, parent)


def holds_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret, or a table that may."""
    return name in _TABLES_OF_SECRETS or _holds_secret(name)


def _holds_secret(name: str) -> bool:
    return name not in _NOT_SECRET and _SECRET_NAME.search(name) is not None


def told(text: str) -> str:
    """Return a value, or words about a config, without what looks like a secret in them."""
    return covered(text, lambda _: MASK)


def covered(text: str, cover: Callable[[re.Match[str]], str]) -> str:
    """Return text with ``cover`` over logins, values of queries, and what looks like a key."""
    text = _LOGIN.sub(cover, _LOOKS_SECRET.sub(cover, text))
    return _QUERY.sub(lambda it: it[1] + _QUERY_VALUE.sub(cover, it[2]), text)
