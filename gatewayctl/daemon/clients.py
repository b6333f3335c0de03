"""Clients by their keys: who asks, what they may use, and what they may still spend.

Which keys there are is ``keyring``'s business, the arithmetic ``core.allowance``'s, which models a
key may use ``permitted``'s. Here a request's key becomes a client, and what stands against it an
error that says what to do. No secret is ever in one, nor in a log, which names it by a short keyed
hash.
"""

import asyncio
import binascii
import itertools
import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from gatewayctl.core.allowance import NO_LIMITS, Account, Ask, Held, Over
from gatewayctl.core.errors import ApiError, ErrorKind, StorageFailed
from gatewayctl.core.periods import iso
from gatewayctl.core.permits import Permit
from gatewayctl.core.pricing import PICO, pico
from gatewayctl.core.routing.world import World
from gatewayctl.daemon.keyring import JUST_NOW, Entry, Keyring
from gatewayctl.daemon.permitted import Client, Permitted
from gatewayctl.storage.client_keys import PREFIX, ClientKey
from gatewayctl.storage.operator import PREFIX as OPERATORS

log = logging.getLogger("gatewayctl.clients")

OWN_HEADER: Final = "x-gatewayctl-key"
_OTHERS: Final = ("x-api-key", "x-goog-api-key")
_BEARER: Final = "bearer "

LONG: Final = 60.0
"""Seconds from which a client is told not to wait: agents do not, and SDKs would ask too soon."""

_SHAPED: Final = re.compile(rf"(?:{PREFIX}|{OPERATORS})[A-Za-z0-9_-]{{4}}")
"""What a key of the gateway's own looks like, wherever it stands."""

_BETWEEN: Final = (re.compile(r"[\s,;\"']+"), re.compile(r"[\s,;\"':&=]+"))
_MOST_PARTS: Final = 16

_MAKE: Final = "gatewayctl keys create NAME makes one"


PATIENCE: Final = 30.0
"""Seconds that a call waits for others of its key, where what they reserved is all in its way."""

MOST_WAITING: Final = 256
"""Calls of one key that wait at once; who comes then is refused."""

Queue = deque[asyncio.Future[None]]


class NotAllowed(Exception):
    """A client may not do what it asks; ``error`` is what it is told."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What an admitted call holds; it has to be settled, whatever comes of the call.

    ``queue`` are the calls of the same key that wait for that.
    """

    account: Account | None = None
    held: Held | None = None
    queue: Queue | None = None


FREE: Final = Reservation()
"""That of a call which nothing bounds."""


class Clients:
    """Tells clients by their keys, and keeps their accounts. Use within one event loop.

    ``world`` is what their permits are held against.
    ``spent`` returns the pico-dollars that a key has spent by the ledger in ``folder`` since a
    time, and blocks. ``wall`` is the time in seconds since 1970, ``clock`` seconds that never run
    backwards.
    """

    def __init__(
        self,
        ring: Keyring,
        world: World,
        spent: Callable[[Path, str, float], int],
        folder: Path,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._ring = ring
        self._permitted = Permitted(world)
        self._operator = Client("operator", self._permitted, operator=True)
        self._spent = spent
        self._folder = folder
        self._wall = wall
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._queues: dict[str, Queue] = {}
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
        if _SHAPED.search(value) is not None:
            return True
        return any(self._ring.find(each) is not None for each in _parts(value))

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
            raise _not_allowed(ErrorKind.UNAVAILABLE, f"nobody is let in: {self._ring.trouble}")
        if not presented:
            message = f"the gateway asks for a client key, and the request has none: {_MAKE}"
            raise _not_allowed(ErrorKind.UNAUTHORIZED, f"{message}; {_HOW}")
        where, secret = presented[0]
        log.info("a key that nobody has was refused: %s in %s", self._short(secret), where)
        message = f"what stands in {where} is no client key of this gateway: {_MAKE}"
        raise _not_allowed(ErrorKind.UNAUTHORIZED, message)

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

    async def admit(
        self, client: Client | None, ask: Ask, *, counted: bool = True, patience: float = PATIENCE
    ) -> Reservation:
        """Reserve what a call may take, or raise ``NotAllowed`` with when to try again.

        A call waits, up to ``patience`` seconds, where what others of its key have reserved is all
        that stands against it: they mostly take less. ``counted`` is False for another attempt of
        a request that was admitted before.
        """
        if client is None or client.limits == NO_LIMITS:
            return FREE
        account = await self._account(client)
        queue = self._queues.setdefault(client.name, deque())
        until = self._clock() + min(patience, PATIENCE)
        while True:
            wall = self._wall()
            found = account.admit(ask, wall, self._clock(), counted=counted)
            if not isinstance(found, Over):
                return Reservation(account=account, held=found, queue=queue)
            left = until - self._clock()
            if not (found.under_way and await _settled(queue, left)):
                log.info("client key %s is over its limit: %s", client.name, _limit(found))
                raise NotAllowed(_over(client, found, wall))

    def settle(self, reservation: Reservation, cost: Decimal | None, tokens: int) -> None:
        """Enter what a call took, once: USD and tokens; all that it reserved where that is unknown.

        Whoever waits for it tries again, in the order of their coming.
        """
        account, held = reservation.account, reservation.held
        if account is not None and held is not None:
            money = held.cost if cost is None else pico(cost)
            account.settle(held, money, tokens, self._wall(), self._clock())
        for turn in reservation.queue or ():
            if not turn.done():
                turn.set_result(None)

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
            raise _not_allowed(
                ErrorKind.UNAUTHORIZED, f'the client key "{key.name}" in {where} {why}'
            )
        known = self._known.get(key.name)
        if known is not None and known[0] is key:
            return known[1]
        permit = Permit(patterns=key.models)
        client = Client(key.name, self._permitted, permit=permit, limits=key.limits)
        if len(self._known) > len(self._ring.names):
            names = self._ring.names
            self._known = {name: it for name, it in self._known.items() if name in names}
            self._accounts = {name: it for name, it in self._accounts.items() if name in names}
            self._queues = {name: it for name, it in self._queues.items() if it or name in names}
        self._known[key.name] = key, client
        return client

    async def _account(self, client: Client) -> Account:
        """Return a key's book, with what it spent before entered; raise ``NotAllowed``."""
        account = self._accounts.get(client.name)
        if account is None:
            account = self._accounts[client.name] = Account(client.limits, self._wall())
        account.limit(client.limits, self._wall())
        while unread := account.unread(self._wall()):
            period, since = unread[0]
            try:
                spent = await asyncio.to_thread(self._spent, self._folder, client.name, since)
            except StorageFailed as error:
                log.warning("what client key %s has spent is unknown: %s", client.name, error)
                message = f'what the client key "{client.name}" has spent is unknown: {error}'
                raise _not_allowed(ErrorKind.UNAVAILABLE, message) from error
            account.read(period, since, spent)
        return account

    def _short(self, secret: str) -> str:
        data = secret.encode(errors="surrogateescape")
        return blake2b(data, key=self._secret, digest_size=4).hexdigest()


async def _settled(queue: Queue, seconds: float) -> bool:
    """Wait in line until some call is settled; False where that takes too long."""
    if seconds <= 0 or len(queue) >= MOST_WAITING:
        return False
    turn = asyncio.get_running_loop().create_future()
    queue.append(turn)
    try:
        async with asyncio.timeout(seconds):
            await turn
    except TimeoutError:
        return False
    finally:
        queue.remove(turn)
    return True


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


def _parts(value: str) -> list[str]:
    """Return what a credential may be in a text: all of it, behind a scheme, or a word of it."""
    scheme, _, rest = value.strip().partition(" ")
    texts = [value, rest.strip()]
    if scheme.lower() == "basic":
        try:
            texts.append(binascii.a2b_base64(rest).decode(errors="replace"))
        except ValueError:
            texts.append(rest)
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


def _limit(over: Over) -> str:
    return f"{over.rate} {over.limit}" if over.budget is None else f"budget {over.budget}"


def _over(client: Client, over: Over, wall: float) -> ApiError:
    """Return what a client is told that is over a limit: which, and until when."""
    wait = over.retry_after
    resets = None if wait is None else iso(wall + wait)
    details: dict[str, object] = {"client": client.name}
    if over.budget is None:
        said, why = _over_rate(over, resets)
        details |= {over.rate: over.limit}
    else:
        said, why = f"has a budget of ${over.budget}", _over_budget(over, resets)
        spent, reserved = over.spent / PICO, over.reserved / PICO
        details |= {"budget": str(over.budget), "spent": spent, "reserved": reserved}
    return ApiError(
        kind=ErrorKind.RATE_LIMITED,
        message=f'the client key "{client.name}" {said}: {why}',
        retry_after=wait,
        should_retry=wait is not None and wait <= LONG,
        exhausted=over.budget is not None,
        details={**details, "resets_at": resets},
    )


def _over_rate(over: Over, resets: str | None) -> tuple[str, str]:
    said = f"may use {over.limit:,} {'requests' if over.rate == 'rpm' else 'tokens'} a minute"
    if over.retry_after is None:
        return said, f"this request alone has {over.needed:,}, so that no waiting helps"
    used = f"{over.spent:,} were used in the last one"
    return said, f"{used}; the next may come in {over.retry_after:.1f} s, at {resets}"


def _over_budget(over: Over, resets: str | None) -> str:
    if over.needed > over.limit:
        return f"the input of this call alone costs up to {_usd(over.needed)}"
    gone = f"{_usd(over.spent)} is spent and {_usd(over.reserved)} reserved for calls under way"
    until = "it is never reset" if resets is None else f"it is reset at {resets}"
    return f"{gone}, so that this call does not fit; {until}"


def _usd(amount: int) -> str:
    """Return pico-dollars to the hundredth of a cent, less than that to two digits."""
    exact = Decimal(amount).scaleb(-12)
    places = max(4, 1 - exact.adjusted()) if amount else 2
    return f"${exact:.{places}f}"


def _not_allowed(kind: ErrorKind, message: str) -> NotAllowed:
    retry = kind is ErrorKind.UNAVAILABLE
    return NotAllowed(ApiError(kind=kind, message=message, should_retry=retry))
