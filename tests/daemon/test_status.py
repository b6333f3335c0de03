"""What the daemon tells of itself, put together from the parts that it looks at."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from support.gateway import settings_of

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.health import State
from gatewayctl.core.learning import Cap, Cause, Truncation, Truncations
from gatewayctl.daemon.status import Document, Fared, LastError, Parts, Status
from gatewayctl.registry import snapshot
from gatewayctl.registry.cache import Cache
from gatewayctl.registry.live import Live
from gatewayctl.registry.told import Sources
from gatewayctl.storage.knowledge import Known
from gatewayctl.storage.knowledge_tables import Learned, News
from gatewayctl.storage.ledger import LedgerState

CONFIG = """
[providers.one]
kind = "openai-compatible"
base_url = "https://api.example.com/v1"
api_key = { env = "ONE_KEY" }
[providers.two]
kind = "openai-compatible"
base_url = "https://api.example.com/other/v1"
auth = "none"
"""
AT = "2026-11-20T00:00:00Z"
ORIGIN = "https://api.example.com"


def breaker(state: str = "open", remaining: float = 12.34567) -> State:
    """Return the breaker of both providers' origin."""
    return State(
        cause="connect",
        name=ORIGIN,
        credential="",
        state=state,
        remaining=remaining,
        failures=3,
        kind="network",
    )


class Part(msgspec.Struct, kw_only=True):
    """A part of the daemon that fares as it is told."""

    degraded: str | None = None
    one: Fared = Fared(origin=ORIGIN)
    two: Fared = Fared(origin=ORIGIN)

    def rendered(self, now: float) -> Mapping[str, Fared]:
        """Return how the providers fare."""
        assert now == 107.5
        return {"one": self.one, "two": self.two}

    def state(self) -> LedgerState:
        """Return how the ledger fares."""
        return LedgerState(
            path="/ledger.db",
            bytes=1,
            pending=2,
            lost=3,
            last_written=60.0,
            degraded=self.degraded,
        )


async def document(
    *,
    planner: str | None = None,
    ledger: str | None = None,
    knowledge: Known | None = None,
    board: Part | None = None,
    unready: str | None = None,
) -> Document:
    """Return the status of a daemon with these parts, 7.5 s after its start at 0 of the epoch."""
    settings = settings_of(CONFIG)

    def has_key(provider: ProviderSettings) -> bool:
        return provider.provider.name != "one"

    times = iter((100.0, 107.5))
    status = Status(
        Parts(
            settings=settings,
            live=Live(settings, snapshot.load()),
            planner=Part(degraded=planner),
            board=board or Part(),
            ledger=Part(degraded=ledger),
            knowledge=knowledge or Known(),
            has_key=has_key,
            sources=Sources(settings, Cache(Path("/nowhere")), has_key, lambda: 0.0),
        ),
        lambda: next(times),
        lambda: 0.0,
    )
    return await status.document("http://127.0.0.1:1", unready=unready, in_flight=4)


async def test_everything_is_told() -> None:
    """Times as ISO 8601, the uptime in seconds, what was handed in as it is."""
    told = await document()
    assert (told.started_at, told.uptime) == ("1970-01-01T00:00:00Z", 7.5)
    assert (told.url, told.in_flight, told.ready) == ("http://127.0.0.1:1", 4, True)
    assert (told.ledger.last_written, told.ledger.lost) == ("1970-01-01T00:01:00Z", 3)
    assert [(each.name, each.status) for each in told.registry.sources] == [
        ("litellm", "never"),
        ("models_dev", "never"),
        ("one", "no_key"),
        ("two", "never"),
    ]


async def test_a_missing_key_is_shown_and_no_shortcoming() -> None:
    """Its models are skipped; a provider that takes no key has none to miss."""
    told = await document()
    assert [each.has_key for each in told.providers] == [False, None]
    assert told.degraded == ()


@pytest.mark.parametrize(
    ("planner", "ledger", "unready", "expected"),
    [
        ("counted by ratio", None, None, ("counted by ratio",)),
        ("a", "the disk is full", None, ("a", "the disk is full")),
        (None, None, "draining", ("draining",)),
    ],
)
async def test_what_falls_short_is_listed(
    planner: str | None, ledger: str | None, unready: str | None, expected: tuple[str, ...]
) -> None:
    """Each by itself, so that a script can tell them apart."""
    told = await document(planner=planner, ledger=ledger, unready=unready)
    assert told.degraded == expected
    assert told.ready is (unready is None)


async def test_what_cools_is_a_shortcoming_once_and_only_while_it_does() -> None:
    """An origin may be several providers'; a half-open breaker hinders nobody."""
    cools = Fared(origin=ORIGIN, breakers=(breaker(),))
    told = await document(board=Part(one=cools, two=cools))
    assert told.degraded == (f"{ORIGIN} cools for 12 s more (network)",)
    assert told.providers[0].breakers[0].remaining == 12.346
    over = Fared(origin=ORIGIN, breakers=(breaker("half_open", 0.0),))
    told = await document(board=Part(one=over, two=over))
    assert told.degraded == ()


async def test_the_last_error_says_when_it_was() -> None:
    """And at which model, of what kind."""
    error = LastError(at=90.0, model="one/m", kind="network", said="no connection")
    fared = Fared(origin=ORIGIN, last_error=error, calls=5, failures=2)
    told = await document(board=Part(one=fared))
    one = told.providers[0]
    assert one.last_error is not None
    assert (one.last_error.at, one.calls, one.failures) == ("1970-01-01T00:01:30Z", 5, 2)


async def test_what_was_learned_and_what_was_truncated_is_told() -> None:
    """Whoever wonders at a refusal finds the cap, its evidence and every truncating model."""
    cap = Cap(window=4_096, at=AT, evidence="HTTP 400", cause=Cause.REFUSED, over=40_960)
    last = Truncation(at=AT, metered=4_096, low=9_000)
    one = Learned(model="a/m", cap=cap)
    two = Learned(model="b/m", truncations=Truncations(count=3, last=last))
    known = Known(news=News(revision=1, models=(one, two)))
    told = msgspec.json.decode(msgspec.json.encode(await document(knowledge=known)))
    assert told["learned"] == [
        {"model": "a/m", "window": 4_096, "cause": "refused", "at": AT, "evidence": "HTTP 400"}
    ]
    assert told["truncated"] == [
        {"model": "b/m", "count": 3, "last": {"at": AT, "metered": 4_096, "low": 9_000}}
    ]
