"""What stands beside a decision: limits with their sources, prices, the session."""

from decimal import Decimal

import msgspec
import pytest
from support.world import FakeWorld, model

from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Sourced, WireProtocol
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.graph import Cascade, Place, Policy
from gatewayctl.core.routing.plan import plan
from gatewayctl.core.routing.session import Pick, Session
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import RequestShape

SIZE = Estimate(low=1_000, likely=1_500, high=2_000, method=Method.RATIO)
LISTED = Sourced(value=100_000, source="models_dev", fetched_at="2026-06-01T00:00:00Z")


def told(
    world: FakeWorld, name: str, session: Session | None = None, at: float | None = None
) -> dict[str, dict[str, object]]:
    """Return the decision for a name as JSON-ready values."""
    shape = RequestShape(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model=name,
        stream=False,
        body_bytes=4_000,
        output_budget=500,
    )
    decision = plan(name, Request(shape=shape, session=session, at=at), world, lambda _: SIZE)
    found: dict[str, dict[str, object]] = msgspec.to_builtins(
        explained(decision, session), builtin_types=(Decimal,)
    )
    return found


def test_limits_come_with_source_and_age_and_unknown_ones_are_null() -> None:
    """Attempted or skipped: every model of the decision is there."""
    listed = msgspec.structs.replace(model("a/one", 1), context_window=LISTED)
    world = FakeWorld(
        [listed, model("b/two", 1_000)],
        [Cascade(id="r", places=(Place(model="a/one"), Place(model="b/two")), policy=Policy())],
    )
    models = told(world, "r")["models"]
    assert models["a/one"] == {
        "context_window": {
            "value": 100_000,
            "source": "models_dev",
            "fetched_at": "2026-06-01T00:00:00Z",
        },
        "max_input_tokens": None,
        "max_output_tokens": None,
        "price": None,
    }
    assert models["b/two"]["context_window"] == {  # type: ignore[index]
        "value": 1_000,
        "source": "test",
        "fetched_at": None,
    }


def test_a_window_that_a_place_declares_is_the_configs() -> None:
    """The registry's stays out of it, whatever it says."""
    world = FakeWorld(
        [model("a/one", 5_000)],
        [Cascade(id="r", places=(Place(model="a/one", context_window=4_000),), policy=Policy())],
    )
    window = told(world, "r")["models"]["a/one"]["context_window"]  # type: ignore[index]
    assert window == {"value": 4_000, "source": "config", "fetched_at": None}


def test_the_price_is_from_the_least_to_the_most() -> None:
    """The low input without an answer, the high one with the whole budget."""
    world = FakeWorld([model("a/one", 100_000, prices=("2", "10"))])
    price = told(world, "a/one")["models"]["a/one"]["price"]  # type: ignore[index]
    assert price == {"low": Decimal("0.002"), "high": Decimal("0.009")}


@pytest.mark.parametrize("inferred", [True, False])
def test_the_session_tells_what_it_keeps_and_never_its_key(*, inferred: bool) -> None:
    """A key may be a client's own; whoever asks knows it already."""
    world = FakeWorld([model("a/one", 100_000)])
    session = Session(key="secret", inferred=inferred, turn=3, picks={"r": Pick(child="a/one")})
    found = told(world, "a/one", session)
    assert found["session"] == {"inferred": inferred, "turn": 3, "picks": {"r": "a/one"}}
    assert "secret" not in str(found)
    assert told(world, "a/one")["session"] is None


def test_a_candidate_that_may_not_fit_says_so() -> None:
    """Its figures alone would read as if it did."""
    world = FakeWorld([model("a/one", 2_400)])
    (only,) = told(world, "a/one")["attempts"]
    assert only["fit"] == "grey"  # type: ignore[index]
    assert only["reason"] == (  # type: ignore[index]
        "may not fit: 1,000 to 2,000 in (auto) + 500 out, ceiling 2,400"
    )


def test_a_price_across_a_step_goes_from_its_lower_to_its_higher_side() -> None:
    """1,000 to 2,000 tokens around a step at 1,500: each end by the price of its own size."""
    facts = model("a/one", 100_000, prices=("1", "2"))
    steps = {"input>1500": "3", "output>1500": "4", "input@flex": "0.1"}
    added = {key: Sourced(value=Decimal(price), source="test") for key, price in steps.items()}
    world = FakeWorld([msgspec.structs.replace(facts, prices={**facts.prices, **added})])
    price = told(world, "a/one")["models"]["a/one"]["price"]  # type: ignore[index]
    assert price == {"low": Decimal("0.001"), "high": Decimal("0.008")}


def test_a_price_is_that_of_the_hour_when_it_is_asked_for() -> None:
    """Half of it in the first hour of a Monday, and all of it in the second."""
    facts = model("a/one", 100_000, prices=("2", "10"))
    night = {"input@off_peak": "1", "output@off_peak": "5"}
    added = {key: Sourced(value=Decimal(price), source="test") for key, price in night.items()}
    hours = Sourced(value=Hours(((0, 60),)), source="test")
    world = FakeWorld(
        [msgspec.structs.replace(facts, prices={**facts.prices, **added}, off_peak=hours)]
    )
    monday = 1_763_942_400.0
    prices = [told(world, "a/one", at=at)["models"] for at in (monday, monday + 3600)]
    by_night, by_day = (each["a/one"]["price"] for each in prices)  # type: ignore[index]
    assert by_night == {"low": Decimal("0.001"), "high": Decimal("0.0045")}
    assert by_day == {"low": Decimal("0.002"), "high": Decimal("0.009")}
