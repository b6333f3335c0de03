"""Asks a provider what a key has left, where it has an address for that: only when a person asks.

Where each is asked is said in ``config/builtin/*.toml`` (``probe``); here are the readers of their
answers, one for each form. What becomes of a snapshot is the asker's business.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from gatewayctl.config.hosts import without_login
from gatewayctl.config.kinds import Probe, kinds
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import SourceFailed, UpstreamFailed
from gatewayctl.core.model import Auth
from gatewayctl.core.periods import Period, end
from gatewayctl.core.quota import MOST_WINDOWS, Figure, Snapshot, Source, Window
from gatewayctl.registry.fetching import Access, Fetch, Query
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.download import download
from gatewayctl.upstream.listing import headers_for

PATIENCE: Final = 10.0
"""Seconds that one answer may take."""

LIMIT: Final = 64 * 1024
"""Bytes that one answer may have."""

_REFUSED: Final = frozenset({401, 403})
_OK: Final = 200
_AT_ONCE: Final = 4

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking about one credential: a snapshot, or ``error`` says why there is none.

    ``url`` is where, without a login.
    """

    label: str
    url: str
    snapshot: Snapshot | None = None
    error: str | None = None


def address(settings: ProviderSettings) -> str | None:
    """Return where a provider tells what a key has left, None where it does not, or takes none."""
    found = _probe_of(settings)
    if found is None or settings.provider.auth is not Auth.KEY:
        return None
    url = settings.base_url.removesuffix("/v1") if found.root else settings.base_url
    return url + found.path


async def ask(
    providers: Iterable[ProviderSettings],
    credentials: Credentials,
    wall: Callable[[], float],
    fetch: Fetch = download,
) -> tuple[Answer, ...]:
    """Ask about every credential of every provider that can be asked, a few at a time.

    ``wall`` is seconds since 1970. Nothing is raised: an answer says what went wrong.
    """
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(settings: ProviderSettings, url: str, label: str) -> Answer:
        url = without_login(url)
        try:
            async with few:
                credential = await credentials.get(settings, label)
                snapshot = await asyncio.to_thread(probe, settings, credential, wall(), fetch)
        except UpstreamFailed as error:
            return Answer(label=label, url=url, error=error.failure.message)
        except SourceFailed as error:
            return Answer(label=label, url=url, error=str(error))
        return Answer(label=label, url=url, snapshot=snapshot)

    asked = [
        one(settings, url, label)
        for settings in providers
        if (url := address(settings)) is not None
        for label in credentials.usable(settings)
    ]
    return tuple(await asyncio.gather(*asked))


def probe(
    settings: ProviderSettings, credential: str | None, at: float, fetch: Fetch = download
) -> Snapshot:
    """Return what a provider says that a credential has left; ``at`` is now, in seconds since 1970.

    Blocks. Raises SourceFailed with a reason that repeats nothing of the answer or the credential.
    """
    url, found = address(settings), _probe_of(settings)
    if url is None or found is None:
        raise SourceFailed("it has no address that tells what a key has left")
    access = Access(
        headers=headers_for(settings, credential),
        proxy=settings.proxy,
        ca_bundle=settings.ca_bundle,
    )
    reply = fetch(Query(url=url, access=access, timeout=PATIENCE, limit=LIMIT))
    if reply.status in _REFUSED:
        raise SourceFailed(f"HTTP {reply.status}: it refuses the key")
    if reply.status != _OK:
        raise SourceFailed(f"HTTP {reply.status}")
    windows = FORMS[found.form](reply.body, url, at)
    return Snapshot(at=at, source=Source.PROBE, windows=windows[:MOST_WINDOWS])


class _Key(msgspec.Struct):
    """OpenRouter's facts of a key: US dollars, null without a limit."""

    limit: float | None = None
    limit_remaining: float | None = None
    limit_reset: str | None = None


class _OpenRouter(msgspec.Struct):
    data: _Key


class _Balance(msgspec.Struct):
    """DeepSeek's: amounts are text."""

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    total_balance: str | float


class _DeepSeek(msgspec.Struct):
    is_available: bool
    balance_infos: list[_Balance]


class _Available(msgspec.Struct):
    available_balance: float


class _Moonshot(msgspec.Struct):
    data: _Available


def _openrouter(body: bytes, _url: str, now: float) -> tuple[Window, ...]:
    key = _decoded(body, _OpenRouter).data
    if key.limit is None:
        return (Window(name="credits", unit="USD", status="unlimited"),)
    period = _PERIODS.get(key.limit_reset or "")
    return (
        Window(
            name="credits" if period is None else f"credits-{key.limit_reset}",
            limit=_finite(key.limit),
            remaining=_finite(key.limit_remaining),
            unit="USD",
            resets_at=None if period is None else end(period, now),
        ),
    )


def _deepseek(body: bytes, _url: str, _now: float) -> tuple[Window, ...]:
    told = _decoded(body, _DeepSeek)
    several = len(told.balance_infos) > 1
    return tuple(
        Window(
            name=f"balance-{each.currency.lower()}" if several else "balance",
            remaining=_amount(each.total_balance),
            unit=each.currency,
            status=None if told.is_available else "unavailable",
        )
        for each in told.balance_infos
    )


def _moonshot(body: bytes, url: str, _now: float) -> tuple[Window, ...]:
    left = _finite(_decoded(body, _Moonshot).data.available_balance)
    unit = _CURRENCIES.get(urlsplit(url).hostname or "")
    return (Window(name="balance", remaining=left, unit=unit),)


FORMS: Final[Mapping[str, Callable[[bytes, str, float], tuple[Window, ...]]]] = {
    "deepseek": _deepseek,
    "moonshot": _moonshot,
    "openrouter": _openrouter,
}
"""The readers of answers, by name: body, address asked and time to windows."""

_CURRENCIES: Final = {"api.moonshot.ai": "USD", "api.moonshot.cn": "CNY"}
"""In what the address that is asked counts; its answer does not say."""


_PERIODS: Final[Mapping[str, Period]] = {
    "daily": Period.DAY,
    "weekly": Period.WEEK,
    "monthly": Period.MONTH,
}
"""OpenRouter's periods, which begin anew by UTC, weeks with Monday."""


def _probe_of(settings: ProviderSettings) -> Probe | None:
    kind = kinds().get(settings.provider.kind)
    return None if kind is None else kind.probe


def _decoded(body: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # not chained: the cause may quote what was answered
        raise SourceFailed("it answers in a form that is not known") from None


def _amount(value: str | float) -> Figure | None:
    try:
        return _finite(float(value))
    except ValueError:
        return None


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
