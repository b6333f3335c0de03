"""What a permit lets its client use: what it lists, and what stands behind that."""

import pytest
from support.world import FakeWorld, model, places

from gatewayctl.core.permits import Permit
from gatewayctl.core.routing.graph import Alloy, Cascade, Place, Policy, Route, RouteGraph

MODELS = [model("a/small"), model("a/large"), model("b/dear"), model("b/gpt-5")]
ROUTES: list[Route] = [
    Alloy(id="blend", name="B", places=places("a/small", "a/large"), policy=Policy()),
    Cascade(id="outer", places=(*places("blend"), Place(model="b/dear")), policy=Policy()),
]
GRAPH = RouteGraph(aliases={"best": "outer"}, wildcards=(("gpt-*", "outer"),))
WORLD = FakeWorld(MODELS, ROUTES, graph=GRAPH)
BLEND = {"a/small", "a/large"}


@pytest.mark.parametrize(
    ("patterns", "name", "models"),
    [
        ((), "outer", {*BLEND, "b/dear"}),
        ((), "nothing", set()),
        (("a/*",), "a/small", {"a/small"}),
        (("a/*",), "b/dear", set()),
        (("a/*",), "outer", BLEND),
        (("a/small",), "best", {"a/small"}),
        (("outer",), "outer", {*BLEND, "b/dear"}),
        (("outer",), "b/dear", set()),
        (("outer",), "best", {*BLEND, "b/dear"}),
        (("best",), "best", {*BLEND, "b/dear"}),
        (("best",), "outer", set()),
        (("blend",), "outer", BLEND),
        (("gpt-*",), "gpt-mine", {*BLEND, "b/dear"}),
        (("b/gpt-5",), "b/gpt-5", {"b/gpt-5"}),
        (("b/gpt-5", "nothing"), "dear", set()),
        (("dear",), "dear", {"b/dear"}),
    ],
)
def test_a_name_leads_to_what_is_listed_or_stands_behind_it(
    patterns: tuple[str, ...], name: str, models: set[str]
) -> None:
    """A listed route counts with all its members, another one with those that are listed."""
    assert Permit(patterns=patterns).behind(name, WORLD) == models


def test_names_that_a_client_makes_up_grant_nothing() -> None:
    """An alias that is a pattern matches what a client likes; a permit asks for the pattern."""
    assert not Permit(patterns=("*mini*",)).behind("gpt-mini", WORLD)
    assert not Permit(patterns=("gpt-*5",)).behind("gpt-*5", WORLD)
    assert Permit(patterns=("gpt-5",)).behind("gpt-5", WORLD) == {*BLEND, "b/dear"}


@pytest.mark.parametrize("name", ["a/x[1m]", "a/x", "A/x"])
def test_a_name_is_listed_as_it_is_written(name: str) -> None:
    """Brackets are part of some ids, and case counts."""
    assert Permit(patterns=(name,)).lists(name)
    assert not Permit(patterns=(name,)).lists(name.swapcase())
