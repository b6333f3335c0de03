"""Sizing for ``estimate``: when tokens are counted, what is told of it, and each model once."""

from collections.abc import Mapping

import msgspec
import pytest
from support.world import FakeWorld, model, places

from gatewayctl.core.anchors import Added, Anchor, Anchored
from gatewayctl.core.estimate import Counted
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, ModelSettings, WireProtocol
from gatewayctl.core.routing.decision import Fit, Method
from gatewayctl.core.routing.estimates import (
    Estimates,
    estimates,
    parts,
    rendered_estimates,
    tokenizer,
    uncounted,
)
from gatewayctl.core.routing.graph import Alloy, Cascade, FitMode, Place, Policy
from gatewayctl.core.routing.staged import Count, Measure, Recall, Step
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols.catalog import CODECS

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
WORDS = 9_000
BODY = msgspec.json.encode(
    {"model": "any", "messages": [{"role": "user", "content": "word " * WORDS}]}
)
O200K = EstimatorSettings(vocabulary="o200k_base")
COUNTED = Counted(tokens={Segment.MESSAGES: WORDS}, overhead=7)


def world(
    window: int, settings: EstimatorSettings = O200K, policy: Policy | None = None
) -> FakeWorld:
    """Return a model with a window and a vocabulary, one without either, and a route of both."""
    mode = policy or Policy()
    return FakeWorld(
        [model("a/one", window), model("b/two", 10_000_000)],
        [Cascade(id="route", places=places("a/one", "b/two", "a/one"), policy=mode)],
        settings={"a/one": ModelSettings(estimator=settings)},
    )


def driven(
    names: tuple[str, ...],
    where: FakeWorld,
    *,
    exact: bool = False,
    counted: bool = True,
    anchors: Mapping[str, Anchored] = {},
) -> tuple[Estimates, list[Step]]:
    """Drive the sizing as daemon and command line do; return what was asked for too."""
    steps = estimates(names, Request(shape=CHAT.shape(BODY)), where, exact=exact)
    asked: list[Step] = []
    try:
        step = next(steps)
        while True:
            if isinstance(step, Recall):
                step = steps.send(anchors)
                continue
            asked.append(step)
            match step:
                case Measure():
                    step = steps.send(CHAT.measure(BODY))
                case Count(vocabularies=wanted):
                    step = steps.send(dict.fromkeys(wanted, COUNTED) if counted else {})
    except StopIteration as done:
        found: Estimates = done.value
        return found, asked


def test_what_surely_fits_is_not_counted() -> None:
    """Its answer could not change."""
    found, asked = driven(("a/one",), world(1_000_000))
    assert asked == [Measure()]
    assert found.models[0].sized.estimate.method is Method.RATIO


@pytest.mark.parametrize("window", [14_500, 12_000])
def test_what_may_not_fit_is_counted(window: int) -> None:
    """Whether it then fits or not: the figures of an overflow are what people act on."""
    found, asked = driven(("a/one",), world(window))
    assert asked == [Measure(), Count(vocabularies=frozenset({"o200k_base"}))]
    (only,) = found.models
    assert only.sized.estimate.low == only.sized.estimate.high == WORDS + 7
    assert tokenizer(only) == "tiktoken:o200k_base"
    assert (only.fit is Fit.SAFE) is (window == 14_500)


def test_whatever_has_a_vocabulary_is_counted_when_asked() -> None:
    """And what has none is named."""
    found, asked = driven(("route",), world(1_000_000), exact=True)
    assert asked[-1] == Count(vocabularies=frozenset({"o200k_base"}))
    assert uncounted(found) == ["b/two"]


def test_a_ratio_that_the_user_chose_is_never_replaced_by_a_count() -> None:
    """``char_ratio`` says how to size; a vocabulary known besides changes nothing."""
    chosen = EstimatorSettings(kind=EstimatorKind.CHAR_RATIO, vocabulary="o200k_base")
    _, asked = driven(("a/one",), world(12_000, chosen), exact=True)
    assert asked == [Measure()]


def test_a_count_that_cannot_be_had_is_told_and_the_ratio_stands() -> None:
    """A counting process that is gone costs exactness, not the answer."""
    found, _ = driven(("a/one",), world(12_000), counted=False)
    assert found.missing == {"o200k_base"}
    assert found.models[0].sized.estimate.method is Method.RATIO


def test_each_model_stands_once_and_unknown_names_are_told() -> None:
    """By its first place, whatever names lead to it."""
    found, _ = driven(("route", "a/one", "nowhere", "b/two"), world(1_000_000))
    assert [each.model for each in found.models] == ["a/one", "b/two"]
    assert found.unknown == ("nowhere",)


def test_it_fits_when_one_of_the_models_does() -> None:
    """And an unchecked one counts as fitting: it would be attempted."""
    assert driven(("a/one", "b/two"), world(100))[0].fits
    assert not driven(("a/one",), world(100))[0].fits
    off = Policy(fit=FitMode.OFF)
    assert driven(("route",), world(100, policy=off))[0].fits


def blend(*, partial: bool) -> FakeWorld:
    """Return an alloy of a model that holds the request and one that does not."""
    alloy = Alloy(
        id="blend",
        name="B",
        places=places("a/one", "b/two"),
        partial_context=partial,
        policy=Policy(),
    )
    return FakeWorld([model("a/one", 100), model("b/two", 10_000_000)], [alloy])


def test_nothing_fits_in_a_blend_that_cannot_hold_the_request() -> None:
    """What ``route-explain`` refuses by size alone fits nowhere; by its own name it does."""
    assert not driven(("blend",), blend(partial=False))[0].fits
    assert driven(("blend",), blend(partial=True))[0].fits
    both = driven(("blend", "b/two"), blend(partial=False))[0]
    assert [(each.model, each.fit) for each in both.models] == [
        ("a/one", Fit.UNFIT),
        ("b/two", Fit.SAFE),
    ]


def test_a_model_counts_by_its_first_place_that_fits() -> None:
    """As it is attempted there: a smaller place before it does not make it too small."""
    small, large = (Place(model="a/one", context_window=window) for window in (100, 1_000_000))
    for steps, ceiling in (((small, large), 1_000_000), ((small, small), 100)):
        route = Cascade(id="route", places=steps, policy=Policy())
        (only,) = driven(("route",), FakeWorld([model("a/one", 10)], [route]))[0].models
        assert (only.sized.ceiling, only.fit is Fit.UNFIT) == (ceiling, ceiling == 100)


def test_size_alone_is_looked_at() -> None:
    """A model without a key is sized all the same, and a blend with it as if it had one."""
    where = FakeWorld([model("a/one", 10_000_000)], keyless=["a"])
    assert driven(("a/one",), where)[0].fits


ADDED = Added(replied=Measured(segments={}), rest=CHAT.measure(BODY))


def test_what_is_anchored_is_told_so_with_its_parts_in_proportion() -> None:
    """It is not counted though it does not fit, but where that was asked for."""
    anchors = {"a/one": Anchored(anchor=Anchor(tokens=30_000, raw=0), added=ADDED)}
    found, asked = driven(("a/one",), world(12_000), anchors=anchors)
    assert asked == [Measure()]
    (only,) = found.models
    assert (only.sized.estimate.method, only.fit) == (Method.ANCHOR, Fit.UNFIT)
    assert tokenizer(only) == "auto"
    shown = parts(only, found.sizes)
    assert sum(shown.values()) == only.sized.estimate.likely > 30_000 + WORDS
    assert shown["messages"] > 30_000
    counted, asked = driven(("a/one",), world(12_000), exact=True, anchors=anchors)
    assert counted.models[0].sized.estimate.likely == WORDS + 7


def test_the_parts_add_up_to_a_count() -> None:
    """By the same method as the estimate, in every field of the contract."""
    found, _ = driven(("a/one",), world(12_000))
    assert sum(parts(found.models[0], found.sizes).values()) == WORDS + 7
    told = rendered_estimates("text", found)
    assert (told["schema_version"], told["protocol"]) == (1, "text")
    (only,) = msgspec.json.decode(msgspec.json.encode(told["estimates"]))
    assert {"messages": WORDS, "overhead": 7}.items() <= only["breakdown"].items()
    assert only["shortfall"] == WORDS + 7 + only["output_budget"] - 12_000
    assert (only["fit"], only["fits"]) == ("unfit", False)
