"""Clients by their keys: who asks, and whether one of the gateway's own credentials is in a text.

Which keys there are is ``keyring``'s business, which models a key may use ``permitted``'s, what it
may still spend that of ``accounts``. Here a request's key becomes a client, and what stands against
it an error that says what to do. No secret is ever in one, nor in a log, which names it by a short
keyed hash.
"""

import binascii
import itertools
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.periods import iso
from gatewayctl.core.permits import Permit
from gatewayctl.core.routing.world import World
from gatewayctl.daemon.accounts import Accounts
from gatewayctl.daemon.keyring import JUST_NOW, Entry, Keyring
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.storage.client_keys import PREFIX, ClientKey
from gatewayctl.storage.operator import PREFIX as OPERATORS

log = logging.getLogger("gatewayctl.clients")

OWN_HEADER: Final = "x-gatewayctl-key"
_OTHERS: Final = ("x-api-key", "x-goog-api-key")
_BEARER: Final = "bearer "

_SHAPED: Final = re.compile(rf"(?:{PREFIX}|{OPERATORS})[A-Za-z0-9_-]{{4}}")
"""What a key of the gateway's own looks like, wherever it stands."""

_BETWEEN: Final = (re.compile(r"[\s,;\"']+"), re.compile(r"[\s,;\"':&=]+"))
_MOST_PARTS: Final = 16

_MAKE: Final = "gatewayctl keys create NAME makes one"
_SHUT: Final = (
    "nobody is let in: the gateway does not know its client keys any more; gatewayctl status on its"
    " machine says why"
)
_OPEN: Final = "and gatewayctl keys list says how to need none again"


class Clients:
    """Tells clients by their keys. Use within one event loop.

    ``world`` is what their permits are held against, ``accounts`` are theirs. ``wall`` is the time
    in seconds since 1970.
    """

    def __init__(
        self, ring: Keyring, world: World, accounts: Accounts, wall: Callable[[], float]
    ) -> None:
        self.accounts = accounts
        self._ring = ring
        self._permitted = Permitted(world)
        self._operator = Client("operator", self._permitted, operator=True)
        self._wall = wall
        self._known: dict[str, tuple[ClientKey, Client]] = {}
        self._secret = secrets.token_bytes(16)

    @property
    def degraded(self) -> str | None:
        """Say what does not work as it should, None when all does."""
        return self._ring.degraded

    @property
    def asked_for(self) -> bool:
        """Tell whether a key is needed."""
        return not self._ring.empty

    async def looked(self) -> None:
        """Look at the keys as they are now, for whoever is told how they fare."""
        await self._ring.refreshed()

    def is_ours(self, value: str) -> bool:
        """Tell whether one of the gateway's own credentials stands anywhere in a text.

        It goes to no upstream then. Whoever made it up, what is shaped like one counts as one.
        """
        texts = _texts(value)
        if any(_SHAPED.search(each) is not None for each in texts):
            return True
        # Only the config's keys may be of any form: words are hashed where there are some.
        return self._ring.of_any_form and any(
            self._ring.find(each) is not None for each in _words(texts)
        )

    async def identify(
        self, headers: Mapping[str, str], query_key: str | None = None
    ) -> Client | None:
        """Return who asks, None where no key is asked for; raise ``NotAllowed``.

        ``query_key`` is the ``key`` of the URL's query.
        """
        await self._ring.refreshed()
        if self._ring.empty:
            return None
        presented = list(_presented(headers, query_key))
        found = self._found(presented)
        if found is None and presented:
            await self._ring.refreshed(within=JUST_NOW)
            found = self._found(presented)
        if found is not None:
            return self._client(found)
        if self._ring.trouble is not None:
            raise _not_allowed(ErrorKind.UNAVAILABLE, _SHUT)  # a stranger learns of no folder
        if not presented:
            message = "the gateway asks for a client key, and the request has none"
            message += f": {self._remedy()}"
            raise _not_allowed(ErrorKind.UNAUTHORIZED, f"{message}; {_HOW}")
        where, secret = presented[0]
        log.info("a key that nobody has was refused: %s in %s", self._short(secret), where)
        message = f"what stands in {where} is no client key of this gateway: {self._remedy()}"
        raise _not_allowed(ErrorKind.UNAUTHORIZED, f"{message}; {_BESIDE}")

    async def knows(self, headers: Mapping[str, str]) -> bool:
        """Tell whether it is somebody who may call: without keys, everybody is."""
        try:
            await self.identify(headers)
        except NotAllowed:
            return False
        return True

    def named(self, name: str) -> Client | None:
        """Return whose key is called so, whether it is good or not; None where nobody's is."""
        key = self._ring.named(name)
        if key is None:
            return None
        permit = Permit(patterns=key.models)
        return Client(key.name, self._permitted, permit=permit, limits=key.limits)

    def _found(self, presented: list[tuple[str, str]]) -> tuple[str, Entry] | None:
        """Return the first secret that is known, and where it stood."""
        for where, secret in presented:
            if (entry := self._ring.find(secret)) is not None:
                return where, entry
        return None

    def _client(self, found: tuple[str, Entry]) -> Client:
        """Return whose a secret is; raise ``NotAllowed`` where it is no longer good."""
        where, entry = found
        key = entry.key
        if key is None:
            return self._operator
        why = _ended(key, entry.until, self._wall())
        if why is not None:
            log.info("client key %s was refused: %s", key.name, why)
            message = f'the client key "{key.name}" in {where} {why}'
            if key.revoked is not None:
                message += f"; {self._remedy()}"
            raise _not_allowed(ErrorKind.UNAUTHORIZED, message)
        known = self._known.get(key.name)
        if known is not None and known[0] is key:
            return known[1]
        permit = Permit(patterns=key.models)
        client = Client(key.name, self._permitted, permit=permit, limits=key.limits)
        if len(self._known) > len(self._ring.names):
            names = self._ring.names
            self._known = {name: it for name, it in self._known.items() if name in names}
            self.accounts.keep(names)
        self._known[key.name] = key, client
        return client

    def _remedy(self) -> str:
        """Say how to come by a key, and where none is good any more, how to do without."""
        return _MAKE if self._ring.has_good(self._wall()) else f"{_MAKE}, {_OPEN}"

    def _short(self, secret: str) -> str:
        data = secret.encode(errors="surrogateescape")
        return blake2b(data, key=self._secret, digest_size=4).hexdigest()


_BESIDE: Final = f"where a credential of your own is to go along, send the key as {OWN_HEADER}"
_HOW: Final = f'send it as {OWN_HEADER}, as "Authorization: Bearer …" or as your SDK\'s API key'


def _presented(headers: Mapping[str, str], query_key: str | None) -> Iterator[tuple[str, str]]:
    """Yield each value that may be a client key with where it stands; the header of our own alone.

    A tool may have two credentials, of which any may be the one for the gateway.
    """
    own = headers.get(OWN_HEADER)
    if own:
        yield OWN_HEADER, own
        return
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER and (bare := authorization[7:].strip()):
        yield "authorization", bare
    for name in _OTHERS:
        if value := headers.get(name):
            yield name, value
    if query_key:
        yield "the URL's key", query_key


def _texts(value: str) -> list[str]:
    """Return what a credential may stand in: all of a value, behind a scheme, and behind base64."""
    scheme, _, rest = value.strip().partition(" ")
    texts = [value, rest.strip()]
    if scheme.lower() == "basic":
        try:
            texts.append(binascii.a2b_base64(rest).decode(errors="replace"))
        except ValueError:
            texts.append(rest)
    return texts


def _words(texts: Sequence[str]) -> list[str]:
    """Return what may be a credential: each text, and each word of one."""
    words = (each.split(text, _MOST_PARTS) for text in texts for each in _BETWEEN)
    return [*filter(None, {*texts, *itertools.chain.from_iterable(words)})]


def _ended(key: ClientKey, until: float | None, now: float) -> str | None:
    """Say why a secret is no longer good, None while it is."""
    if key.revoked is not None:
        return f"was revoked at {iso(key.revoked)}"
    if key.expires is not None and key.expires <= now:
        hint = f"gatewayctl keys rotate {key.name} --expires 30d gives it more time"
        return f"expired at {iso(key.expires)}; {hint}"
    if until is not None and until <= now:
        return f"was replaced by a new secret, and is not good since {iso(until)}"
    return None


def _not_allowed(kind: ErrorKind, message: str) -> NotAllowed:
    retry = kind is ErrorKind.UNAVAILABLE
    return NotAllowed(ApiError(kind=kind, message=message, should_retry=retry))
