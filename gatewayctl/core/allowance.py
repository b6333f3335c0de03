"""What a client key may spend: budgets by calendar period, requests and tokens per minute.

An ``Account`` is one key's book, owned by whoever admits its calls. Admission is one step, so that
two calls at once never both take the last of anything. A call is admitted while what was spent,
what others have reserved and its own input fit; reserved is all that it may cost. So what a key
spends over its limit is never more than the output of one call, and a large budget of output keeps
nobody out who has money left. Whose account it is, and what a client is told, does not belong here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gatewayctl.core.events import Usage
from gatewayctl.core.periods import Period, end, start
from gatewayctl.core.pricing import OUTPUT_PARTS, Prices, bill, pico, rate_key
from gatewayctl.core.rates import Rate, Slot
from gatewayctl.core.routing.decision import Estimate

MOST_BUDGET: Final = Decimal(10**9)
MOST_RATE: Final = 10**12

_BUDGET = re.compile(r"\$?([0-9]{1,10}(?:\.[0-9]{1,6})?)(?:/(hour|day|week|month|all))?")


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of USD per period."""

    amount: Decimal
    period: Period

    def __str__(self) -> str:
        """Return it as it is written: ``20/day``, ``50`` in all."""
        amount = f"{self.amount:f}"
        return amount if self.period is Period.ALL else f"{amount}/{self.period}"


def budget(text: str) -> Budget:
    """Read a budget such as ``20/day``, ``2.50/hour`` or ``50`` (in all); raise ``ValueError``."""
    found = _BUDGET.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no budget: write USD/PERIOD, like 20/day, or 50 in all')
    amount = Decimal(found[1])
    if amount > MOST_BUDGET:
        raise ValueError(f"a budget is at most {MOST_BUDGET:f} USD")
    return Budget(amount=amount, period=Period(found[2] or "all"))


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a key: budgets, requests and tokens per minute; None is no limit."""

    budgets: tuple[Budget, ...] = ()
    rpm: int | None = None
    tpm: int | None = None

    @property
    def measured(self) -> bool:
        """Whether it matters how large a request is."""
        return bool(self.budgets) or self.tpm is not None


NO_LIMITS: Final = Limits()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may take: USD of its input alone and with all of its output, tokens likewise.

    Both are the most that is to be expected; what it did take is told when it is settled.
    """

    input_cost: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    input_tokens: int = 0
    tokens: int = 0


def ask(
    prices: Prices,
    estimate: Estimate,
    output: int,
    *,
    most: int | None = None,
    tiers: Sequence[str] = (),
    reads: Sequence[str] = ("input",),
) -> Ask:
    """Return what a call of this size may take, with ``output`` tokens of all its answers together.

    Money is counted by the high estimate, with ``most`` tokens of output (where nothing holds it
    to ``output``) and at the dearest of what may be applied, so that the true call never costs
    more: an answer may be all thoughts, pictures or sound, ``tiers`` are those that the request may
    be asking for, ``reads`` the dimensions that its input may be billed as. Tokens are counted by
    the likely estimate. An unknown price counts as nothing: who has a budget is kept from such a
    model before.
    """
    high = estimate.high
    written = output if most is None else most
    dimensions = {rate_key(key).dimension for key in prices}
    parts = [each for each in OUTPUT_PARTS if each in dimensions]
    answers = [{"output": written}, *({"output": written, each: written} for each in parts)]

    def cost(tier: str | None, **counts: int) -> Decimal:
        return bill(prices, Usage(**counts), tier).cost or Decimal(0)

    inputs, whole = list[Decimal](), list[Decimal]()
    for tier in (None, *tiers):
        paid = {dimension: cost(tier, **{dimension: high}) for dimension in reads}
        read = max(paid, key=paid.__getitem__)
        inputs.append(paid[read])
        whole.extend(cost(tier, **{read: high}, **each) for each in answers)
    return Ask(
        input_cost=max(inputs),
        cost=max(whole),
        input_tokens=estimate.likely,
        tokens=estimate.likely + output,
    )


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call is not admitted: which limit, and when it may be worth another try.

    ``budget`` is the one that is spent, None where it is a rate: then ``rate`` names it (``rpm``,
    ``tpm``). ``limit`` is its figure, ``spent`` and ``reserved`` what is gone of it and ``needed``
    what the call's input takes: pico-dollars of a budget, requests or tokens of a rate.
    ``retry_after`` is in seconds, None where waiting is vain. ``under_way``: nothing but what
    other calls have reserved stands against it, so that it may fit as soon as one is settled.
    """

    budget: Budget | None = None
    rate: str = ""
    limit: int = 0
    spent: int = 0
    reserved: int = 0
    needed: int = 0
    retry_after: float | None = None
    under_way: bool = False


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What an admitted call holds until it is settled: pico-dollars and tokens, and since when."""

    number: int
    at: float
    cost: int
    tokens: int
    slot: Slot | None


class _Window:
    """One period as it runs: pico-dollars spent and reserved since ``start``.

    ``ours`` is what this account settled. ``others`` and ``under_way`` are what was spent without
    it: by what is over, and by what is not yet. ``read`` is False until that is known.
    """

    def __init__(self, period: Period, now: float) -> None:
        self.period = period
        self.start = start(period, now)
        self.ours = 0
        self.others = 0
        self.under_way = 0
        self.reserved = 0
        self.read = False

    @property
    def spent(self) -> int:
        return self.ours + self.others + self.under_way

    def roll(self, now: float) -> None:
        """Begin anew where the period is over."""
        if (begun := start(self.period, now)) > self.start:
            self.start = begun
            self.ours = self.others = self.under_way = self.reserved = 0


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What a key spent without the account since it was last told, in one hour.

    ``hour`` is when that begins, in seconds since 1970; ``cost`` in pico-dollars.
    """

    hour: float
    cost: int


class Account:
    """One key's book.

    ``wall`` is the time in seconds since 1970, ``clock`` seconds that never run backwards. Where
    ``wall`` does, the account goes by the latest time it was told. All periods are kept, whichever
    there are budgets for: one that comes later knows what was spent.
    """

    def __init__(self, limits: Limits, wall: float) -> None:
        self.limits = limits
        self._now = wall
        self._full_hour = 0.0
        self._windows = {period: _Window(period, wall) for period in Period}
        self._held: dict[int, Held] = {}
        self._number = 0
        self._requests = Rate()
        self._tokens = Rate()

    def unread(self, wall: float) -> tuple[tuple[Period, float], ...]:
        """Return the periods with a budget, and their starts, of which others' part is unknown."""
        self._at(wall)
        windows = (self._windows[each.period] for each in self.limits.budgets)
        return tuple((it.period, it.start) for it in windows if not it.read)

    def read(self, period: Period, since: float, spent: int) -> None:
        """Enter the pico-dollars of all that others have spent since a period's start, and is over.

        They count once, with all that was heard before, and not where the period is over by now.
        """
        window = self._windows[period]
        if window.read:
            return
        window.read = True
        if window.start == since:
            window.others = spent

    def heard(
        self, ended: Iterable[Elsewhere], under_way: Iterable[Elsewhere], wall: float
    ) -> None:
        """Enter what others have spent: ``ended`` since it was last heard, ``under_way`` in all."""
        self._at(wall)
        running = tuple(under_way)
        for window in self._windows.values():
            window.under_way = sum(it.cost for it in running if it.hour >= window.start)
        for each in ended:
            for window in self._windows.values():
                if each.hour >= window.start:
                    window.others += each.cost

    def admit(
        self, ask: Ask, wall: float, clock: float, *, counted: bool = True, behind: bool = False
    ) -> Held | Over:
        """Admit a call and reserve what it may take, or say what stands against it.

        ``counted`` is False for another attempt of a request that was admitted before, ``behind``
        True while others wait for money before it. Nothing is taken unless everything fits.
        """
        over = self.over(ask, wall, clock, counted=counted, behind=behind)
        if over is not None:
            return over
        if counted and self.limits.rpm is not None:
            self._requests.count(1, clock)
        slot = None if self.limits.tpm is None else self._tokens.count(ask.tokens, clock)
        cost = pico(ask.cost)
        for window in self._windows.values():
            window.reserved += cost
        self._number += 1
        held = Held(number=self._number, at=self._now, cost=cost, tokens=ask.tokens, slot=slot)
        self._held[held.number] = held
        return held

    def over(
        self, ask: Ask, wall: float, clock: float, *, counted: bool = True, behind: bool = False
    ) -> Over | None:
        """Say what stands against a call, None where it would be admitted; see ``admit``."""
        self._at(wall)
        refused = (
            *self._rates(ask, clock, 1 if counted else 0, behind),
            *self._budgets(ask, behind),
        )
        return max(refused, key=_gravity, default=None)

    def settle(self, held: Held, cost: int, tokens: int, wall: float, clock: float) -> bool:
        """Enter what a call took, pico-dollars and tokens; return False if it was settled before.

        Its money counts in the periods that it was admitted in.
        """
        if self._held.pop(held.number, None) is None:
            return False
        self._at(wall)
        for window in self._windows.values():
            if held.at >= window.start:
                window.reserved -= held.cost
                window.ours += cost
        if held.slot is not None:
            self._tokens.correct(held.slot, tokens - held.tokens, clock)
        return True

    def _rates(self, ask: Ask, clock: float, requests: int, behind: bool) -> Iterator[Over]:
        rpm, tpm, needed = self.limits.rpm, self.limits.tpm, ask.input_tokens
        if rpm is not None and (wait := self._requests.wait(requests, rpm, clock)) != 0:
            spent = self._requests.total
            yield Over(rate="rpm", limit=rpm, spent=spent, needed=requests, retry_after=wait)
        if tpm is None:
            return
        wait = self._tokens.wait(needed, tpm, clock)
        if wait == 0 and not (behind and needed):
            return
        counted = (it for it in self._held.values() if it.slot and it.slot.over > clock)
        reserved = sum(it.tokens for it in counted)
        spent = self._tokens.total - reserved
        yield Over(
            rate="tpm",
            limit=tpm,
            spent=spent,
            reserved=reserved,
            needed=needed,
            retry_after=wait,
            under_way=spent + needed <= tpm,
        )

    def _budgets(self, ask: Ask, behind: bool) -> Iterator[Over]:
        if not ask.cost:  # what is free is no money's business
            return
        # and of nothing nobody can have even a little
        ours = max(pico(ask.input_cost), 1)
        for each in self.limits.budgets:
            window, most = self._windows[each.period], pico(each.amount)
            if behind or window.spent + window.reserved + ours > most:
                until = None if ours > most else end(each.period, self._now)
                yield Over(
                    budget=each,
                    limit=most,
                    spent=window.spent,
                    reserved=window.reserved,
                    needed=ours,
                    retry_after=None if until is None else until - self._now,
                    under_way=window.spent + ours <= most,
                )

    def _at(self, wall: float) -> None:
        self._now = max(self._now, wall)
        if self._now >= self._full_hour:  # at which any period begins
            self._full_hour = end(Period.HOUR, self._now) or 0.0
            for window in self._windows.values():
                window.roll(self._now)


def _gravity(over: Over) -> tuple[bool, float]:
    """Order refusals: what ends with calls under way counts least, then how long it lasts."""
    return not over.under_way, float("inf") if over.retry_after is None else over.retry_after
