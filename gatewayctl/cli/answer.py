"""The answer of a login page: read as it comes, and held against the login that waits for it.

How it comes, caught on loopback or pasted, is ``login``'s business; so is what is done with it.
"""

import hmac
import re
from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec

from gatewayctl.cli import render
from gatewayctl.core.errors import GatewayctlError

_LONGEST = 64 * 1024
"""Characters of an address: a server's own limit is lower."""
_LONGEST_WORDS = 300
"""Characters of what a login page says of a failure."""
_SHOWN = re.compile(r"([^\s?&#:]+)#([\w.~+/=-]+)")
"""A code and its state as a page shows them, and no part of an address."""


class LoginFailed(GatewayctlError):
    """A login ended without tokens: the message says why."""


class NoAnswer(GatewayctlError):
    """What came is no answer to this login, which goes on waiting; the message says why."""


class Answered(GatewayctlError):
    """The login had its answer before; this one changes nothing."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a login page sends the browser back with: a code, or an error in its own words."""

    code: str | None = None
    state: str | None = None
    error: str | None = None
    description: str | None = None

    def __repr__(self) -> str:
        return "Answer(…)"


def read(query: str) -> Answer:
    """Return what a query says; raise ``NoAnswer``, also where it says something twice."""
    try:
        found = parse_qs(query, max_num_fields=50)
    except ValueError:
        found = {}
    single = {name: values[0] for name, values in found.items() if len(values) == 1}
    if "code" not in single and "error" not in single:
        raise NoAnswer("there is no ?code=…&state=… in it")
    return Answer(
        code=single.get("code"),
        state=single.get("state"),
        error=single.get("error"),
        description=single.get("error_description"),
    )


def pasted(text: str) -> Answer:
    """Return what a person pasted: a whole URL, one without its host, or ``?code=…&state=…``.

    A page that shows the code itself often shows ``CODE#STATE``: that will do as well. Raises
    ``NoAnswer``.
    """
    address = text.strip().strip("\"'<>")
    if len(address) > _LONGEST:
        raise NoAnswer("it is too long for an address")
    if (shown := _SHOWN.fullmatch(address)) is not None:
        return Answer(code=shown[1], state=shown[2])
    before, mark, query = address.partition("?")
    if not mark and "=" in before:
        query = before
    return read(query.partition("#")[0])


class Expected:
    """What one login waits for: its state, which is good once and until ``until``."""

    def __init__(self, state: str, until: float, clock: Callable[[], float]) -> None:
        self._state = state
        self._until = until
        self._clock = clock
        self._answered = False

    def take(self, answer: Answer) -> str:
        """Return the code of the answer to this login.

        Raises ``NoAnswer`` for one to another login, whose code may be somebody else's: any page in
        the browser can send one. Raises ``Answered`` for a second one, and ``LoginFailed`` for one
        that ends the login.
        """
        if not self._is_own(answer.state or ""):
            raise NoAnswer("it belongs to another login: its state is not this one's")
        if self._answered:
            raise Answered("this login was answered before")
        self._answered = True
        if self._clock() > self._until:
            raise LoginFailed("the answer came too late")
        if answer.error is not None:
            raise LoginFailed(_refusal(answer.error, answer.description))
        if not answer.code:
            raise LoginFailed("the answer holds an empty code")
        return answer.code

    def _is_own(self, state: str) -> bool:
        return hmac.compare_digest(state.encode(errors="replace"), self._state.encode())


def _refusal(error: str, description: str | None) -> str:
    said = f"{error}: {description}" if description else error
    words = render.printable(said[:_LONGEST_WORDS])
    if error == "access_denied":
        return f"the login was declined ({words})"
    return f"the login page refused ({words})"
