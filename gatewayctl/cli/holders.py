"""Client keys as they are listed: what each may use, what it spent, and what is left.

Reads the file of keys and the ledger; no daemon is asked. Changing keys is ``cli.keys``' business.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import typer

from gatewayctl.cli import meters, moments, money, render
from gatewayctl.core.allowance import Budget
from gatewayctl.core.errors import StorageFailed
from gatewayctl.core.periods import Period, end, start
from gatewayctl.core.pricing import pico
from gatewayctl.core.routing.render import Json
from gatewayctl.storage import usage
from gatewayctl.storage.client_keys import FILE, HASH, ClientKey

_TITLES: Final = (
    *("key", "good until (UTC)", "may use", "budget", "left"),
    *("spent", "per minute", "used", "resets (UTC)"),
)
_FIGURES: Final = (4, 5)
_SPARE: Final = 4
_DAY: Final = len("2026-12-31")
_WIDEST: Final = 24
"""Columns that the patterns of what a key may use take; --json has all."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and the pico-dollars of it that are gone; ``spent`` None is unknown."""

    budget: Budget
    spent: int | None
    resets_at: float | None

    @property
    def left(self) -> int | None:
        """Pico-dollars, never less than none."""
        return None if self.spent is None else max(0, pico(self.budget.amount) - self.spent)


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A key and what it has spent: in all, and of each budget in its present period."""

    key: ClientKey
    in_all: int | None
    budgets: tuple[Spent, ...]


def holders(keys: Sequence[ClientKey], folder: Path, now: float) -> tuple[Holder, ...]:
    """Return what each key has spent by the ledger; where that cannot be read, say so once."""
    try:
        return tuple(_holder(each, folder, now) for each in keys)
    except StorageFailed as error:
        render.tell(f"what was spent is unknown: {error}")
        return tuple(_holder(each, None, now) for each in keys)


def _holder(key: ClientKey, folder: Path | None, now: float) -> Holder:
    def spent(period: Period) -> int | None:
        return None if folder is None else usage.spent(folder, key.name, start(period, now))

    return Holder(
        key=key,
        in_all=spent(Period.ALL),
        budgets=tuple(
            Spent(budget=each, spent=spent(each.period), resets_at=end(each.period, now))
            for each in key.limits.budgets
        ),
    )


def told(key: ClientKey) -> Json:
    """Return a key's terms as ``--json`` shows them."""
    return {
        "name": key.name,
        "hash": f"{HASH}{key.hash}",
        "created": moments.iso(key.created or None),
        "expires": moments.iso(key.expires),
        "revoked": moments.iso(key.revoked),
        "models": key.models,
        "rpm": key.rpm,
        "tpm": key.tpm,
    }


def document(found: Sequence[Holder], now: float) -> Json:
    """Return the list as ``--json`` shows it; money is in USD."""
    return {"keys": [_told(each, now) for each in found]}


def _told(holder: Holder, now: float) -> Json:
    budgets = [
        {
            "budget": str(each.budget),
            "amount": each.budget.amount,
            "period": each.budget.period.value,
            "spent": _usd(each.spent),
            "left": _usd(each.left),
            "resets_at": moments.iso(each.resets_at),
        }
        for each in holder.budgets
    ]
    state = {"state": holder.key.state(now), "spent": _usd(holder.in_all), "budgets": budgets}
    return {**told(holder.key), **state}


def _usd(amount: int | None) -> object:
    return None if amount is None else money.usd(amount)


def written(budget: Budget) -> str:
    """Return a budget as people read it: ``$1,500/day``, ``$50 in all``."""
    return f"${budget.amount:,f}{' in all' if budget.period is Period.ALL else f'/{budget.period}'}"


def print_table(found: Sequence[Holder], folder: Path, now: float) -> None:
    """Print a line for each key, and another for each of its budgets but the first."""
    if not found:
        typer.echo("there are no client keys: the gateway asks nobody on this machine for one")
        typer.echo("gatewayctl keys create NAME makes one, and is asked for from then on")
        return
    rows = [row for each in found for row in _rows(each, now)]
    if missing := render.table(_TITLES, rows, right=_FIGURES, spare=_SPARE, whole=False):
        line = f"not shown here: {', '.join(missing)} (--json has all)"
        typer.echo(render.styled(line, dim=True))
    for line in shut([each.key for each in found], folder, now):
        typer.echo(render.styled(line, "yellow"))


def shut(keys: Sequence[ClientKey], folder: Path, now: float) -> Iterator[str]:
    """Yield what to do where there are keys, and none of them lets anybody in."""
    if keys and all(each.state(now) != "active" for each in keys):
        yield "no key is good any more; the gateway goes on asking for one"
        yield f"to ask for none again, stop the daemon and remove {folder / FILE}"


def _rows(holder: Holder, now: float) -> Iterator[Sequence[str]]:
    key, unknown = holder.key, render.UNKNOWN
    name = f"{_sign(holder, now)} {key.name}"
    terms, rates = (name, _until(key, now), _models(key)), _rates(key)
    if not holder.budgets:
        yield (*terms, unknown, unknown, money.shown(holder.in_all), rates, unknown, unknown)
    for number, each in enumerate(holder.budgets):
        yield (
            *(("", "", "") if number else terms),
            written(each.budget),
            money.shown(each.left),
            money.shown(each.spent),
            "" if number else rates,
            unknown if each.spent is None else meters.bar(_share(each)),
            "never" if each.resets_at is None else _shown(each.resets_at),
        )


def _sign(holder: Holder, now: float) -> str:
    """Return whether a key lets somebody in, and has money left."""
    if holder.key.state(now) != "active":
        return render.styled("✗", "red")
    if any(each.left == 0 for each in holder.budgets):
        return render.styled("!", "yellow")
    return render.styled("✓", "green", bold=True)


def _share(each: Spent) -> float:
    most = pico(each.budget.amount)
    return (each.spent or 0) / most if most else 1.0


def _until(key: ClientKey, now: float) -> str:
    if key.revoked is not None:
        return render.styled(f"revoked {_shown(key.revoked)[:_DAY]}", "red")
    if key.expires is None:
        return "no end"
    if key.expires <= now:
        return render.styled(f"expired {_shown(key.expires)[:_DAY]}", "red")
    return _shown(key.expires)


def _shown(moment: float) -> str:
    return moments.written(moment).removesuffix(" UTC")


def _rates(key: ClientKey) -> str:
    rates = [
        f"{render.size(rate)} {what}{'s' * (rate != 1)}"
        for rate, what in ((key.rpm, "request"), (key.tpm, "token"))
        if rate is not None
    ]
    return ", ".join(rates) or render.UNKNOWN


def _models(key: ClientKey) -> str:
    if not key.models:
        return "everything"
    shown, *others = map(render.printable, key.models)
    room = _WIDEST - len(", 999 more")
    while others and len(shown) + len(others[0]) + 2 <= room:
        shown += f", {others.pop(0)}"
    if len(shown) > (room if others else _WIDEST):
        shown = shown[: room - 1] + "…"
    return f"{shown}, {len(others)} more" if others else shown
