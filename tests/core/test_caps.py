"""What is served or learned caps the window, whoever says it, and says so."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support.world import FakeWorld, model, places, provider

from gatewayctl.core import fit
from gatewayctl.core.model import ModelFacts, Sourced, Unlocked, WireProtocol
from gatewayctl.core.routing.decision import Decision, Estimate, Method
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.graph import Cascade, Place, Policy
from gatewayctl.core.routing.plan import plan
from gatewayctl.core.routing.sizes import window
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import RequestShape

BETA = "context-1m-2025-08-07"
POLICY = Policy()


def capped(
    said: int | None, *, served: int | None = None, learned: int | None = None
) -> ModelFacts:
    """Return a model whose window is said, served and learned."""
    facts = model("x/m", said)
    return msgspec.structs.replace(
        facts,
        served=None if served is None else Sourced(value=served, source="ollama"),
        learned=None if learned is None else Sourced(value=learned, source="learned"),
    )


@pytest.mark.parametrize(
    ("facts", "declared", "held", "why"),
    [
        (capped(40_960, served=4_096), None, 4_096, " (served, ollama)"),
        (capped(40_960, served=65_536), None, 40_960, ""),
        (capped(1_000_000, learned=270_000), None, 270_000, " (learned)"),
        (capped(40_960, served=8_192, learned=4_096), None, 4_096, " (learned)"),
        (capped(40_960, served=4_096), 32_768, 4_096, " (served, ollama)"),
        (capped(40_960, served=4_096), 2_048, 2_048, ""),
        (capped(None, served=4_096), None, 4_096, " (served, ollama)"),
        (capped(40_960, served=40_960), None, 40_960, ""),
    ],
)
def test_the_window_is_the_least_of_declared_served_and_learned(
    facts: ModelFacts, declared: int | None, held: int, why: str
) -> None:
    """A place's own window is no exception; where nobody says one, the cap is what is known."""
    limits = fit.ceilings(facts, declared, Decimal(1))
    assert (limits.window, limits.total, limits.why) == (held, held, why)


def test_a_cap_does_not_touch_the_side_of_the_input() -> None:
    """Limits are never derived from one another."""
    facts = msgspec.structs.replace(capped(400_000, learned=300_000), max_input_tokens=None)
    assert fit.ceilings(facts, None, Decimal(1)).input is None


def test_what_a_route_around_it_declares_is_a_limit_of_its_own() -> None:
    """Where the route's word is the smaller, no cap is given as the reason."""
    limits = fit.ceilings(capped(40_960, served=8_192), None, Decimal(1), most=4_096)
    assert (limits.window, limits.why) == (4_096, "")


def decided(world: FakeWorld, name: str, high: int, betas: str = "") -> Decision:
    """Plan a request of a size, with a header of betas."""
    shape = RequestShape(
        protocol=WireProtocol.MESSAGES, model=name, stream=False, body_bytes=10, output_budget=100
    )
    estimate = Estimate(low=high, likely=high, high=high, method=Method.EXACT)
    headers = {"anthropic-beta": betas} if betas else {}
    return plan(name, Request(shape=shape, headers=headers), world, lambda _: estimate)


def test_a_refusal_names_the_cap() -> None:
    """So that nobody wonders why 40,960 tokens are not to be had."""
    world = FakeWorld([capped(40_960, served=4_096)], providers=[provider("x")])
    (skipped,) = decided(world, "x/m", 5_000).skipped
    assert (
        skipped.detail == "5,000 in + 100 out exceeds the ceiling 4,096 (served, ollama) by 1,004"
    )


def test_what_may_not_fit_is_never_sent_where_it_is_known_to_be_cut() -> None:
    """A provider that refuses is tried near its window; a model of it that truncates is not."""
    estimate = Estimate(low=3_000, likely=3_900, high=4_200, method=Method.RATIO)
    shape = RequestShape(
        protocol=WireProtocol.MESSAGES, model="x/m", stream=False, body_bytes=10, output_budget=100
    )
    for truncates in (False, True):
        facts = msgspec.structs.replace(capped(40_960, learned=4_096), truncates=truncates)
        decision = plan("x/m", Request(shape=shape), FakeWorld([facts]), lambda _: estimate)
        assert bool(decision.attempts) is not truncates


def test_a_window_behind_a_beta_holds_for_requests_that_carry_it_alone() -> None:
    """One client's header never makes another's request look as if it fitted."""
    facts = msgspec.structs.replace(
        model("x/m", 200_000), unlocked=(Unlocked(beta=BETA, context_window=1_000_000),)
    )
    world = FakeWorld([facts], [Cascade(id="c", places=places("x/m"), policy=POLICY)])
    for name in ("x/m", "c"):
        assert not decided(world, name, 300_000).attempts
        assert decided(world, name, 300_000, f"other-1, {BETA}").attempts
        assert not decided(world, name, 300_000, "other-1").attempts


def test_an_explanation_says_who_makes_the_window_what_it_is() -> None:
    """A cap, a beta header or the config: never one for another."""
    facts = msgspec.structs.replace(
        model("x/m", 200_000), unlocked=(Unlocked(beta=BETA, context_window=1_000_000),)
    )
    place = Place(model="x/m", context_window=50_000)
    route = Cascade(id="c", places=(place,), policy=POLICY)
    for world, name, betas, source in (
        (FakeWorld([facts]), "x/m", BETA, "beta"),
        (FakeWorld([facts]), "x/m", "", "test"),
        (FakeWorld([facts], [route]), "c", "", "config"),
        (FakeWorld([capped(40_960, learned=4_096)]), "x/m", "", "learned"),
    ):
        told: Any = explained(decided(world, name, 10, betas))["models"]
        assert told["x/m"]["context_window"]["source"] == source


def test_a_cap_holds_where_a_beta_unlocks_more() -> None:
    """What an upstream refused it refuses with the header as well."""
    facts = msgspec.structs.replace(
        capped(200_000, learned=150_000), unlocked=(Unlocked(beta=BETA, context_window=1_000_000),)
    )
    limits = fit.ceilings(facts, None, Decimal(1), betas=frozenset({BETA}))
    assert limits.window == 150_000


def test_lists_show_the_window_that_is_left() -> None:
    """A client that plans by the list of models is told the truth."""
    world = FakeWorld(
        [capped(40_960, served=4_096), model("x/n", 8_192)],
        [
            Cascade(id="c", places=(Place(model="x/m", context_window=32_768),), policy=POLICY),
            Cascade(
                id="d",
                places=(Place(model="c", context_window=2_048), Place(model="x/n")),
                policy=POLICY,
            ),
        ],
    )
    assert [window(name, world) for name in ("x/m", "c", "d")] == [4_096, 4_096, 8_192]
