"""``registry.aging``: facts older than their source's ttl, and models on their way out."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.registry.aging import Leaving, Stage, leaving, stale
from gatewayctl.registry.merge import Entry

NOW = datetime(2026, 6, 2, tzinfo=UTC)
OLD, NEW = "2026-05-30T00:00:00Z", "2026-06-01T23:00:00Z"
DAY = 86_400.0


def entry(**facts: object) -> Entry:
    """Return a model with these facts."""
    return Entry(facts=ModelFacts(id="openai/m", provider="openai", **facts))  # type: ignore[arg-type]


def said(value: object, source: str = "litellm", fetched_at: str | None = NEW) -> Sourced[object]:
    """Return what a source said, and when."""
    return Sourced(value=value, source=source, fetched_at=fetched_at)


def test_a_fact_is_stale_when_older_than_its_own_sources_ttl() -> None:
    """Each source has a time to live of its own; the oldest fact speaks for the model."""
    mixed = entry(
        context_window=said(1, "models_dev", OLD),
        prices={"input": said(Decimal(1), "litellm", NEW)},
        retires_at=said("2026-07-01", "models_dev", "2026-05-31T00:00:00Z"),
    )
    (found,) = stale([mixed], {"models_dev": DAY, "litellm": DAY}, NOW)
    assert (found.id, found.source, found.fetched_at) == ("openai/m", "models_dev", OLD)
    assert (found.fields, found.known) == (("context_window", "retires_at"), 3)
    assert not list(stale([mixed], {"models_dev": 10 * DAY, "litellm": DAY}, NOW))
    (both,) = stale([mixed], {"models_dev": DAY, "litellm": 60.0}, NOW)
    assert len(both.fields) == 3


def test_what_has_no_date_or_no_ttl_is_never_stale() -> None:
    """The config's word does not age, nor does what was learned."""
    own = entry(
        context_window=said(1, "config", None),
        served=said(1, "assumed", OLD),
        learned=said(1, "learned", OLD),
    )
    assert not list(stale([own], {"litellm": 1.0}, NOW))


def of(day: str, **facts: object) -> Leaving | None:
    """Return how a model with these facts leaves, seen from a day."""
    return next(iter(leaving([entry(**facts)], date.fromisoformat(day), 60)), None)


@pytest.mark.parametrize(
    ("day", "stage", "days"),
    [
        ("2026-05-01", None, None),
        ("2026-05-02", Stage.RETIRING, 60),
        ("2026-06-30", Stage.RETIRING, 1),
        ("2026-07-01", Stage.RETIRED, 0),
        ("2027-07-01", Stage.RETIRED, -365),
    ],
)
def test_a_model_retires_and_then_is_retired(
    day: str, stage: Stage | None, days: int | None
) -> None:
    """Sixty days ahead it is told; on its day it is retired."""
    found = of(day, retires_at=said("2026-07-01"))
    assert (found and found.stage, found and found.days) == (stage, days)


def test_deprecated_models_are_told_whatever_their_day() -> None:
    """By the provider's word or by a day that has come; a retirement far off does not hide it."""
    found = of("2026-06-01", lifecycle=said("Deprecated", "anthropic"))
    assert found == Leaving(
        id="openai/m", stage=Stage.DEPRECATED, deprecated_at=None, retires_at=None, days=None,
        source="anthropic",
    )  # fmt: skip
    dated = of("2026-06-01", deprecated_at=said("2026-05-01T00:00:00Z"), retires_at=said("2027"))
    assert dated is not None
    assert (dated.stage, dated.deprecated_at, dated.retires_at) == (
        Stage.DEPRECATED,
        "2026-05-01",
        None,
    )
    assert of("2026-06-01", deprecated_at=said("2026-06-02")) is None
    assert of("2026-06-01", lifecycle=said("active")) is None
    gone = of("2026-06-01", lifecycle=said("retired"))
    assert gone is not None
    assert gone.stage is Stage.RETIRED
