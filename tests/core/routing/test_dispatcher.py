"""Dispatchers: rules, orders, and what a decision says of them."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest
from support.world import (
    FakeWorld,
    Sized,
    attempted,
    decide,
    model,
    places,
    refused,
    shape,
    skipped,
)

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import (
    Capability,
    EstimatorSettings,
    ModelFacts,
    ModelSettings,
    Sourced,
    WireProtocol,
)
from gatewayctl.core.routing.decision import Decision, Estimate, Method
from gatewayctl.core.routing.graph import Cascade, Dispatcher, Order, Place, Policy, Rule, When
from gatewayctl.core.routing.plan import plan, settled
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import RequestShape

POLICY = Policy()
MODELS = [
    model("x/small", 32_768),
    model("x/large", 262_144),
    model("x/eyes", 131_072),
    model("x/unknown"),
]


def rule(when: When, target: str) -> Rule:
    """Return a rule."""
    return Rule(when=when, target=Place(model=target))


def dispatcher(
    *names: str, rules: tuple[Rule, ...] = (), order: Order = Order.DECLARED
) -> Dispatcher:
    """Return a dispatcher called d."""
    return Dispatcher(id="d", places=places(*names), policy=POLICY, rules=rules, order=order)


def routed(
    when: When,
    *,
    size: Sized | int = 100,
    asked: RequestShape | None = None,
    headers: Mapping[str, str] | None = None,
    client: str | None = None,
) -> str | None:
    """Return where a request goes when one rule leads to x/eyes and the only target is x/large."""
    route = dispatcher("x/large", rules=(rule(when, "x/eyes"),))
    world = FakeWorld(MODELS, [route])
    return decide("d", world, size, asked=asked, headers=headers, client=client).chosen


EYES, LARGE = "x/eyes", "x/large"


@pytest.mark.parametrize(
    ("field", "need"),
    [
        ("tools", Capability.TOOLS),
        ("images", Capability.IMAGES),
        ("documents", Capability.DOCUMENTS),
        ("audio", Capability.AUDIO),
        ("reasoning", Capability.REASONING),
        ("json_schema", Capability.JSON_SCHEMA),
    ],
)
def test_a_rule_looks_at_what_a_request_needs(field: str, need: Capability) -> None:
    """True asks for the need, false for its absence."""
    wants = msgspec.structs.replace(When(), **{field: True})
    wants_not = msgspec.structs.replace(When(), **{field: False})
    assert routed(wants, asked=shape(needs=[need])) == EYES
    assert routed(wants) == LARGE
    assert routed(wants_not, asked=shape(needs=[need])) == LARGE
    assert routed(wants_not) == EYES


def test_a_rule_looks_at_stream_protocol_and_client() -> None:
    """Each is compared as it is."""
    assert routed(When(stream=True), asked=shape(stream=True)) == EYES
    assert routed(When(stream=True)) == LARGE
    messages = When(protocol=WireProtocol.MESSAGES)
    assert routed(messages, asked=shape(protocol=WireProtocol.MESSAGES)) == EYES
    assert routed(messages) == LARGE
    assert routed(When(client="laptop"), client="laptop") == EYES
    assert routed(When(client="laptop"), client="other") == LARGE
    assert routed(When(client="laptop")) == LARGE


def test_a_rule_looks_at_headers_by_name_in_any_case_and_value_by_pattern() -> None:
    """A header that is not there matches nothing, not even ``*``."""
    when = When(header={"X-App": "cli-?.*"})
    assert routed(when, headers={"x-app": "cli-2.7"}) == EYES
    assert routed(when, headers={"x-app": "CLI-2.7"}) == LARGE
    assert routed(when, headers={"x-app": "my cli-2.7"}) == LARGE
    assert routed(When(header={"x-app": "*"})) == LARGE


def test_a_rule_looks_at_the_high_estimate_and_equality_holds() -> None:
    """The figure that decides is the one that carries the margin."""
    size = Sized(80, 100, 120)
    assert routed(When(max_input_tokens=120), size=size) == EYES
    assert routed(When(max_input_tokens=119), size=size) == LARGE
    assert routed(When(min_input_tokens=120), size=size) == EYES
    assert routed(When(min_input_tokens=121), size=size) == LARGE


def test_a_rules_size_is_the_largest_among_the_leaves_of_its_target() -> None:
    """One leaf whose tokenizer needs more is enough, wherever it stands."""
    dense = EstimatorSettings(chars_per_token=Decimal(2))
    inner = Cascade(id="c", places=places("x/small", "x/eyes"), policy=POLICY)
    route = dispatcher("x/large", rules=(rule(When(max_input_tokens=150), "c"),))
    world = FakeWorld(MODELS, [route, inner], settings={"x/eyes": ModelSettings(estimator=dense)})

    def estimator(settings: EstimatorSettings) -> Estimate:
        tokens = 200 if settings.chars_per_token == dense.chars_per_token else 100
        return Estimate(low=tokens, likely=tokens, high=tokens, method=Method.EXACT)

    decision = plan("d", Request(shape=shape()), world, estimator)
    assert decision.chosen == "x/large"
    assert skipped(decision) == {"x/small": "rule_not_matched", "x/eyes": "rule_not_matched"}


def test_all_conditions_of_a_rule_must_hold() -> None:
    """One that does not is enough against it."""
    when = When(images=True, max_input_tokens=200)
    images = shape(needs=[Capability.IMAGES])
    assert routed(when, asked=images) == EYES
    assert routed(when) == LARGE
    assert routed(when, asked=images, size=201) == LARGE


def test_the_first_rule_that_holds_and_can_answer_wins_and_other_rules_follow_last() -> None:
    """A rule whose target is too small is passed over; later ones are fallbacks of last resort."""
    rules = (
        rule(When(stream=False), "x/small"),
        rule(When(tools=False), "x/eyes"),
        rule(When(images=False), "x/unknown"),
    )
    route = dispatcher("x/large", rules=rules)
    decision = decide("d", FakeWorld(MODELS, [route]), 40_000)
    assert attempted(decision) == ["x/eyes", "x/large", "x/unknown"]
    assert skipped(decision) == {"x/small": "too_large"}
    assert decision.tree is not None
    assert decision.tree.reason == "rule 2 holds: x/eyes"


def test_what_a_rule_that_does_not_hold_leads_to_is_skipped_and_not_sized() -> None:
    """Key, protocol and the like are told first; a size nobody asked about is not."""
    keyless = model("y/keyless", 1000)
    inner = Cascade(id="c", places=places("y/keyless", "x/small"), policy=POLICY)
    route = dispatcher("x/large", rules=(rule(When(images=True), "c"),))
    world = FakeWorld([*MODELS, keyless], [route, inner], keyless=["y"])
    decision = decide("d", world, 40_000)
    assert skipped(decision) == {"y/keyless": "no_key", "x/small": "rule_not_matched"}
    assert all(each.estimate is None for each in decision.skipped)


def test_a_target_that_a_rule_names_too_is_attempted_where_it_fits() -> None:
    """Its place behind a rule that does not hold takes nothing away from it."""
    route = dispatcher("x/small", "x/large", rules=(rule(When(images=True), "x/small"),))
    decision = decide("d", FakeWorld(MODELS, [route]))
    assert attempted(decision) == ["x/small", "x/large"]
    assert not decision.skipped


def test_a_rule_that_does_not_hold_takes_no_blame_for_a_refusal() -> None:
    """What is too large for every target is refused by size, so that an agent compacts."""
    route = dispatcher("x/small", rules=(rule(When(images=True), "x/large"),))
    decision = decide("d", FakeWorld(MODELS, [route]), 40_000)
    assert refused(decision) is ErrorKind.TOO_LARGE
    assert decision.error is not None
    assert (decision.error.tokens, decision.error.limit) == (40_000 + 4096, 32_768)


def test_a_target_of_unknown_size_comes_last_even_as_declared() -> None:
    """What cannot be checked is no first choice, wherever it was written."""
    world = FakeWorld(MODELS, [dispatcher("x/unknown", "x/large", "x/small")])
    assert attempted(decide("d", world)) == ["x/large", "x/small", "x/unknown"]


PRICED = [
    model("x/dear", 100_000, prices=("5", "20")),
    model("x/cheap", 100_000, prices=("1", "2")),
    model("x/free-unsized", prices=("0", "0")),
    model("x/priceless", 100_000),
]


def test_cheapest_takes_the_lowest_price_for_this_request() -> None:
    """Unknown prices come after known ones, and unknown sizes after everything."""
    names = ("x/free-unsized", "x/priceless", "x/dear", "x/cheap")
    world = FakeWorld(PRICED, [dispatcher(*names, order=Order.CHEAPEST)])
    assert attempted(decide("d", world)) == ["x/cheap", "x/dear", "x/priceless", "x/free-unsized"]


def test_cheapest_depends_on_input_and_output_both() -> None:
    """Dear input and cheap output wins for a long answer, and loses for a long question."""
    models = [
        model("x/reader", 10**6, prices=("1", "50")),
        model("x/writer", 10**6, prices=("10", "5")),
    ]
    world = FakeWorld(models, [dispatcher("x/writer", "x/reader", order=Order.CHEAPEST)])
    assert decide("d", world, 1_000, asked=shape(output=4_000)).chosen == "x/writer"
    assert decide("d", world, 500_000, asked=shape(output=4_000)).chosen == "x/reader"


def test_cheapest_counts_every_answer_that_is_wanted() -> None:
    """With ``n`` of them the output weighs more, and the input no more than before."""
    models = [
        model("x/reader", 10**6, prices=("1", "50")),
        model("x/writer", 10**6, prices=("10", "5")),
    ]
    world = FakeWorld(models, [dispatcher("x/writer", "x/reader", order=Order.CHEAPEST)])
    one = shape(output=4_000)
    several = msgspec.structs.replace(one, n=8)
    assert decide("d", world, 100_000, asked=one).chosen == "x/reader"
    assert decide("d", world, 100_000, asked=several).chosen == "x/writer"


def test_equal_prices_stay_as_declared() -> None:
    """To the last digit: 0.1 and 0.10 are one price."""
    models = [
        model("x/b", 10**5, prices=("0.10", "1")),
        model("x/a", 10**5, prices=("0.1", "1.0")),
    ]
    world = FakeWorld(models, [dispatcher("x/b", "x/a", order=Order.CHEAPEST)])
    assert attempted(decide("d", world)) == ["x/b", "x/a"]


def decided(order: Order, rules: tuple[Rule, ...], size: Sized) -> Decision:
    """Plan over x/dear and x/cheap."""
    route = dispatcher("x/dear", "x/cheap", rules=rules, order=order)
    return decide("d", FakeWorld(PRICED, [route]), size)


@pytest.mark.parametrize(
    ("when", "final"),
    [
        (When(max_input_tokens=99), True),
        (When(max_input_tokens=100), False),
        (When(max_input_tokens=299), False),
        (When(max_input_tokens=300), True),
        (When(min_input_tokens=100), True),
        (When(min_input_tokens=101), False),
        (When(min_input_tokens=300), False),
        (When(min_input_tokens=301), True),
        (When(min_input_tokens=300, tools=True), True),
    ],
)
def test_a_bound_decides_a_rule_only_where_no_finer_figure_could(when: When, final: bool) -> None:
    """Between low and high the truth is open; a rule that fails by its shape asks no size."""
    decision = decided(Order.DECLARED, (rule(when, "x/cheap"),), Sized(100, 200, 300))
    assert decision.needs_sizes is not final
    assert settled(decision) is final


def test_an_order_by_price_is_open_only_where_a_finer_figure_could_turn_it() -> None:
    """Cheaper for few tokens and for many is cheaper; what crosses in between has to be counted."""
    assert settled(decided(Order.CHEAPEST, (), Sized(0, 20_000, 20_000)))
    models = [
        model("x/reader", 10**6, prices=("1", "50")),
        model("x/writer", 10**6, prices=("10", "5")),
    ]
    world = FakeWorld(models, [dispatcher("x/writer", "x/reader", order=Order.CHEAPEST)])
    assert not settled(decide("d", world, Sized(0, 500_000, 500_000)))
    assert settled(decide("d", world, Sized(500_000)))


def stepped(full_id: str, **prices: str) -> ModelFacts:
    """Return a model that asks these prices for its input, by the step that is passed."""
    said = {
        f"input{step.removeprefix('base').replace('above_', '>')}": Sourced(
            value=Decimal(price), source="test"
        )
        for step, price in prices.items()
    }
    facts = model(full_id, 10**6, prices=("0", "0"))
    return msgspec.structs.replace(facts, prices={**facts.prices, **said})


def test_cheapest_knows_the_steps_of_prices() -> None:
    """Cheap for a short question and dear for a long one, as each is billed as a whole."""
    models = [stepped("x/flat", base="3"), stepped("x/steps", base="1", above_100000="10")]
    world = FakeWorld(models, [dispatcher("x/flat", "x/steps", order=Order.CHEAPEST)])
    assert decide("d", world, 100_000).chosen == "x/steps"
    assert decide("d", world, 100_001).chosen == "x/flat"


def test_an_order_by_price_is_open_where_a_step_could_turn_it() -> None:
    """Whichever size it turns at: at an end of the estimate, or on both sides of its middle."""
    steps = stepped("x/steps", base="1", above_100000="10", above_300000="1")
    world = FakeWorld(
        [stepped("x/flat", base="3"), steps],
        [dispatcher("x/flat", "x/steps", order=Order.CHEAPEST)],
    )
    assert settled(decide("d", world, Sized(50_000, 60_000, 100_000)))
    assert not settled(decide("d", world, Sized(50_000, 60_000, 100_001)))
    assert not settled(decide("d", world, Sized(50_000, 60_000, 400_000)))
    assert settled(decide("d", world, Sized(300_001, 350_000, 400_000)))


def test_cheapest_goes_by_the_prices_of_the_hour() -> None:
    """A model that is dearer than another by day comes first by night; nobody's hour, by day."""
    night = Sourced(value=Hours(((0, 60),)), source="test")
    nightly = msgspec.structs.replace(stepped("x/night", base="3"), off_peak=night)
    prices = {**nightly.prices, "input@off_peak": Sourced(value=Decimal(1), source="test")}
    world = FakeWorld(
        [stepped("x/flat", base="2"), msgspec.structs.replace(nightly, prices=prices)],
        [dispatcher("x/flat", "x/night", order=Order.CHEAPEST)],
    )
    monday = 1_763_942_400.0
    assert decide("d", world, at=monday).chosen == "x/night"
    assert decide("d", world, at=monday + 3600).chosen == "x/flat"
    assert decide("d", world).chosen == "x/flat"
