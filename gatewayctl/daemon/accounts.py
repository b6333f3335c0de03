"""What clients may still spend: calls are admitted, wait in line, and are settled here.

The arithmetic is ``core.allowance``'s, what was spent without this daemon ``storage.spending``'s,
what a client is told ``over_limit``'s. Who a client is does not belong here.
"""

import asyncio
import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from gatewayctl.core.allowance import NO_LIMITS, Account, Ask, Elsewhere, Held, Over
from gatewayctl.core.errors import ApiError, ErrorKind, StorageFailed
from gatewayctl.core.periods import Period
from gatewayctl.core.pricing import pico
from gatewayctl.daemon.over_limit import NotAllowed, limit, over_limit
from gatewayctl.daemon.permitted import Client
from gatewayctl.storage.spending import News, Spent, Wanted

log = logging.getLogger("gatewayctl.clients")

PATIENCE: Final = 30.0
"""Seconds that a call waits for others of its key, where what they reserved is all in its way."""

HOLD: Final = 5.0
"""Seconds for which a call that waits lets nobody of its key pass who came later."""

MOST_WAITING: Final = 256
"""Calls of one key that wait at once; who comes then is refused."""

FRESH: Final = 1.0
"""Seconds after which the ledger is asked again what others have spent."""

STALE: Final = 3.0
"""Seconds after which a call waits for that, though no longer than ``PROMPT``."""

PROMPT: Final = 0.5

_LEAST: Final = 0.01
"""Seconds between two looks at a limit that is to be reset now, where the clocks do not agree."""


class Spending(Protocol):
    """Knows what was spent without this daemon."""

    def read(self, wanted: Sequence[Wanted]) -> News:
        """Return it; blocks. Raises StorageFailed."""
        ...


class _Place(msgspec.Struct, eq=False):
    """Where a call stands in line: since when, by the clock, and what wakes it."""

    since: float
    turn: asyncio.Event


class _Line:
    """The calls of one key that wait for what others have reserved, in the order of their coming.

    Who would fit passes nobody who came before and has not waited for ``HOLD``: so a large call is
    not kept out by small ones for ever, nor they by it for longer than that.
    """

    def __init__(self) -> None:
        self._places: deque[_Place] = deque()

    @property
    def full(self) -> bool:
        return len(self._places) >= MOST_WAITING

    def join(self, now: float) -> _Place:
        place = _Place(now, asyncio.Event())
        self._places.append(place)
        return place

    def leave(self, place: _Place) -> None:
        """Leave, and wake who comes next: it may fit, or be who is to be woken."""
        self.wake_next(place)
        self._places.remove(place)

    def wake(self) -> None:
        """Let the first one try again; if that changes nothing for others, nobody else wakes."""
        if self._places:
            self._places[0].turn.set()

    def wake_next(self, place: _Place) -> None:
        behind = itertools.dropwhile(lambda it: it is not place, self._places)
        following = next(itertools.islice(behind, 1, None), None)
        if following is not None:
            following.turn.set()

    def held(self, place: _Place | None, now: float) -> float:
        """Return for how many seconds more somebody ahead lets nobody pass, 0 where nobody does."""
        ahead = itertools.takewhile(lambda it: it is not place, self._places)
        return max((it.since + HOLD - now for it in ahead if it.since + HOLD > now), default=0.0)


class _Book(msgspec.Struct):
    """One key's account and line. ``account`` as in ``Wanted``: None until it is first read."""

    account: Account
    line: _Line
    opened: int | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What an admitted call holds; it has to be settled, whatever comes of the call."""

    book: _Book | None = None
    held: Held | None = None

    @property
    def at(self) -> float | None:
        """When it counts, in seconds since 1970; None where it counts nowhere."""
        return None if self.held is None else self.held.at


FREE: Final = Reservation()
"""That of a call which nothing bounds."""


class Accounts:
    """Keeps the accounts of all client keys. Use within one event loop.

    ``wall`` is the time in seconds since 1970, ``clock`` seconds that never run backwards.
    """

    def __init__(
        self, spending: Spending, wall: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self._spending = spending
        self._wall = wall
        self._clock = clock
        self._books: dict[str, _Book] = {}
        self._reading: asyncio.Future[News] | None = None
        self._wanted: tuple[tuple[str, Period, float], ...] = ()
        self._read_at = -STALE
        self._trouble: str | None = None

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
        book = await self._book(client)
        found = self._tried(book, None, ask, counted=counted)
        if isinstance(found, Over) and found.under_way and patience > 0 and not book.line.full:
            found = await self._waited(book, ask, found, patience, counted=counted)
        if isinstance(found, Held):
            return Reservation(book=book, held=found)
        log.info("client key %s is over its limit: %s", client.name, limit(found))
        raise NotAllowed(over_limit(client.name, found, self._wall()), found)

    async def over(self, client: Client | None, ask: Ask) -> NotAllowed | None:
        """Tell what stands against a call as things are, None where nothing does."""
        if client is None or client.limits == NO_LIMITS:
            return None
        book = await self._book(client)
        found = book.account.over(ask, self._wall(), self._clock())
        if found is None:
            return None
        return NotAllowed(over_limit(client.name, found, self._wall()), found)

    def settle(self, reservation: Reservation, cost: Decimal | None, tokens: int) -> None:
        """Enter what a call took, once: USD and tokens; all that it reserved where that is unknown.

        Whoever waits for it tries again, in the order of their coming.
        """
        book, held = reservation.book, reservation.held
        if book is not None and held is not None:
            money = held.cost if cost is None else pico(cost)
            book.account.settle(held, money, tokens, self._wall(), self._clock())
            book.line.wake()

    def keep(self, names: Collection[str]) -> None:
        """Forget the accounts of keys that are no longer known by any name."""
        self._books = {name: it for name, it in self._books.items() if name in names}

    def _tried(self, book: _Book, place: _Place | None, ask: Ask, *, counted: bool) -> Held | Over:
        now = self._clock()
        behind = book.line.held(place, now) > 0
        return book.account.admit(ask, self._wall(), now, counted=counted, behind=behind)

    async def _waited(
        self, book: _Book, ask: Ask, over: Over, patience: float, *, counted: bool
    ) -> Held | Over:
        """Wait in line until the call is admitted, or nothing that is under way may help it.

        ``over`` is what stands against it: it tries again when that is reset, too.
        """
        line, until = book.line, self._clock() + patience
        place = line.join(self._clock())
        try:
            while True:
                now = self._clock()
                left, held = until - now, line.held(place, now)
                pause = min(held or patience, _to_reset(over))
                woken = await _woken(place, min(left, pause))
                found = self._tried(book, place, ask, counted=counted)
                if isinstance(found, Held) or not found.under_way:
                    return found
                if not woken and left <= pause:
                    return found
                if self._clock() >= place.since + HOLD:
                    line.wake_next(place)
                over = found
        finally:
            line.leave(place)

    async def _book(self, client: Client) -> _Book:
        """Return a key's book, with what it spent elsewhere entered; raise ``NotAllowed``."""
        book = self._books.get(client.name)
        if book is None:
            account = Account(client.limits, self._wall())
            opened = None if client.limits.budgets else 0
            book = self._books[client.name] = _Book(account, _Line(), opened)
        book.account.limits = client.limits
        if client.limits.budgets:
            await self._informed(client.name, book.account)
        return book

    async def _informed(self, name: str, account: Account) -> None:
        """See to it that what the key spent elsewhere is known, as of a moment ago."""
        while account.unread(self._wall()):
            reading = self._reading or self._read()
            try:
                await asyncio.shield(reading)
            except StorageFailed as error:
                message = f'what the client key "{name}" has spent is unknown: {error}'
                log.warning("%s", message)
                unknown = ApiError(kind=ErrorKind.UNAVAILABLE, message=message)
                raise NotAllowed(unknown) from error
            finally:
                self._noted(reading)
        age = self._clock() - self._read_at
        if age >= FRESH:
            reading = self._reading or self._read()
            if age >= STALE:
                await asyncio.wait((reading,), timeout=PROMPT)

    def _read(self) -> asyncio.Future[News]:
        """Begin to read what was spent elsewhere; there is one reading at a time."""
        wall = self._wall()
        self._wanted = tuple(
            (name, period, since)
            for name, book in self._books.items()
            for period, since in book.account.unread(wall)
        )
        wanted = [
            Wanted(client=name, since=since, account=self._books[name].opened)
            for name, _, since in self._wanted
        ]
        self._read_at = self._clock()
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, self._spending.read, wanted)
        reading.add_done_callback(self._noted)
        self._reading = reading
        return reading

    def _noted(self, reading: asyncio.Future[News]) -> None:
        """Enter what a reading found; once, by whoever hears first that it is over."""
        if self._reading is not reading or not reading.done():
            return
        self._reading = None
        if reading.cancelled():
            return
        error = reading.exception()
        if error is not None:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("what others have spent is unknown: %s", error)
            return
        self._trouble = None
        self._enter(reading.result())

    def _enter(self, news: News) -> None:
        wall = self._wall()
        for name, book in self._books.items():
            book.account.heard(_of(name, news.ended), _of(name, news.under_way), wall)
        for (name, period, since), spent in zip(self._wanted, news.before, strict=True):
            if (known := self._books.get(name)) is not None:
                known.account.read(period, since, spent)
                known.opened = news.closed if known.opened is None else known.opened


def _to_reset(over: Over) -> float:
    """Return the seconds until a limit is reset."""
    return math.inf if over.retry_after is None else max(over.retry_after, _LEAST)


async def _woken(place: _Place, seconds: float) -> bool:
    """Wait to be woken; False where that takes longer."""
    try:
        async with asyncio.timeout(seconds):
            await place.turn.wait()
    except TimeoutError:
        return False
    place.turn.clear()
    return True


def _of(name: str, spent: Sequence[Spent]) -> list[Elsewhere]:
    return [Elsewhere(hour=it.hour, cost=it.cost) for it in spent if it.client == name]
