"""What a token server says: new tokens, a refusal with its code, or nothing that can be used.

Pure. Nothing of it is believed further than it has to be: a token that cannot be sent is none, a
lifetime that cannot be meant is unknown. What follows from it is ``renewal``'s business.
"""

import base64
import binascii
import math
from typing import Any, Final

import msgspec

from gatewayctl.core.errors import FailureKind
from gatewayctl.protocols.told import in_body
from gatewayctl.storage.credentials import Account
from gatewayctl.upstream.failures import one_line

TERMINAL: Final = frozenset(
    {
        "app_session_terminated",
        "invalid_grant",
        "invalid_refresh_token",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
    }
)
"""Codes after which nothing can be had with a refresh token any more."""

LONGEST_TOKEN: Final = 16 * 1024
"""Characters of a token."""
_LONGEST_FACT = 200  # characters of what is shown of an account
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """New tokens. ``access_token`` is None where it cannot be used, ``unusable`` says why.

    ``refresh_token`` None: the old one stays. ``lifetime`` is seconds from the request on,
    ``expires_at`` what the token itself says (seconds since 1970); None is not told, as are the
    fields of ``account``. ``scopes`` None: those that were asked for.
    """

    access_token: str | None
    refresh_token: str | None = None
    unusable: str | None = None
    lifetime: float | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] | None = None
    account: Account = Account()

    def __repr__(self) -> str:
        return "Tokens(…)"

    def __rich_repr__(self) -> Any:
        yield "…"


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The token server refused, and said why by a code. ``message`` is bounded, without secrets."""

    code: str
    message: str

    @property
    def terminal(self) -> bool:
        """Whether asking again with the same refresh token is in vain."""
        return self.code in TERMINAL


def read(body: bytes) -> Tokens | Refused | None:
    """Read a token server's reply; None where it is neither tokens nor a refusal with a code."""
    value = _object(body)
    if value is None:
        return None
    if "access_token" not in value and (refused := _refusal(value)) is not None:
        return refused
    access, refresh = sendable(value.get("access_token")), sendable(value.get("refresh_token"))
    if access is None and refresh is None:
        return None
    unusable = None if access is not None else "it has no access token that can be sent"
    kind = value.get("token_type")
    if isinstance(kind, str) and kind.strip().lower() not in {"", "bearer"}:
        unusable = f"its access token is of the type {_fact(kind)}, which is not bearer"
    claims, identity = _claims(access), _claims(value.get("id_token"))
    return Tokens(
        access_token=None if unusable else access,
        refresh_token=refresh,
        unusable=unusable,
        lifetime=_seconds(value.get("expires_in")),
        expires_at=_seconds(claims.get("exp")),
        scopes=_scopes(value.get("scope")),
        account=_account(value, identity),
    )


def refusal(body: bytes) -> Refused | None:
    """Read the body of an error status; None where it says no code."""
    value = _object(body)
    return None if value is None else _refusal(value)


def _refusal(value: dict[str, Any]) -> Refused | None:
    told = in_body(value)
    error = value.get("error")
    codes = [*([error] if isinstance(error, str) else []), *told.codes, *told.reasons]
    codes = [code for code in codes if code and len(code) <= _LONGEST_FACT and " " not in code]
    if not codes:
        return None
    code = next((each for each in codes if each in TERMINAL), codes[0])
    words = value.get("error_description")
    words = words if isinstance(words, str) and words else told.message
    code = one_line(code, FailureKind.AUTH)
    words = one_line(words, FailureKind.AUTH)
    return Refused(code=code, message=code if words in {"", code} else f"{code}: {words}")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except _UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def sendable(value: Any) -> str | None:
    """Return a token if it can be sent in a header: visible ASCII and nothing else."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TOKEN:
        return None
    return value if value.isascii() and all(33 <= ord(char) < 127 for char in value) else None  # noqa: PLR2004 - visible ASCII


def _seconds(value: Any) -> float | None:
    """Return a positive number of seconds, also where it is written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return seconds


def _scopes(value: Any) -> tuple[str, ...] | None:
    """Return scopes, which the standard has as one text; some servers send a list."""
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list) or not value:
        return None
    return tuple(dict.fromkeys(_fact(each) for each in value if isinstance(each, str)))


def _claims(token: Any) -> dict[str, Any]:
    """Return what a token says of itself, if it is a JWT. Not verified: it is shown, not trusted.

    It came over the same connection as the rest of the reply.
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        return {}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        return _object(base64.urlsafe_b64decode(padded)) or {}
    except (binascii.Error, ValueError):
        return {}


def _account(value: dict[str, Any], identity: dict[str, Any]) -> Account:
    """Return whose tokens they are, from where the providers say it."""
    account, organization = _member(value, "account"), _member(value, "organization")
    openai = _member(identity, "https://api.openai.com/auth")
    return Account(
        who=_first(
            account.get("email_address"),
            account.get("email"),
            value.get("email"),
            identity.get("email"),
            organization.get("name"),
        ),
        plan=_first(
            value.get("subscription_type"),
            value.get("plan"),
            organization.get("organization_type"),
            openai.get("chatgpt_plan_type"),
        ),
    )


def _member(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _first(*values: Any) -> str | None:
    return next((_fact(each) for each in values if isinstance(each, str) and each.strip()), None)


def _fact(text: str) -> str:
    """Return text that can be shown: one line, bounded."""
    line = "".join(char if char.isprintable() else "?" for char in text[:_LONGEST_FACT])
    return line.strip()
