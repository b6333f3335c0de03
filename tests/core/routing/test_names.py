"""What a name means: exact, alias, route, bare; and what an unknown one is told."""

import msgspec
from support.world import FakeWorld, attempted, decide, model, places, provider, refused, shape

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.graph import Cascade, Policy, RouteGraph

GRAPH = RouteGraph(
    aliases={"gpt-4o": "c", "nick": "x/b"},
    wildcards=(("claude-haiku-*", "x/b"), ("claude-*", "x/a")),
)
ROUTE = Cascade(id="c", places=places("x/a", "x/b"), policy=Policy())
WORLD = FakeWorld(
    [model("x/a", 9999), model("x/b", 9999), model("y/b", 9999)], [ROUTE], graph=GRAPH
)


def test_provider_and_id_are_exact_even_where_nobody_knows_the_id() -> None:
    """An unknown model of a known provider is forwarded: the provider may know it."""
    assert attempted(decide("x/brand-new", WORLD)) == ["x/brand-new"]


def test_an_alias_leads_to_a_route_or_a_model_and_stands_in_the_tree() -> None:
    """Exact aliases, with the way there shown."""
    decision = decide("gpt-4o", WORLD)
    assert decision.route == "c"
    assert decision.tree is not None
    assert (decision.tree.kind, decision.tree.children[0].kind) == ("alias", "cascade")
    assert attempted(decide("nick", WORLD)) == ["x/b"]


def test_the_longest_pattern_wins() -> None:
    """claude-haiku-* before claude-*."""
    assert attempted(decide("claude-haiku-4-5", WORLD)) == ["x/b"]
    assert attempted(decide("claude-opus-4", WORLD)) == ["x/a"]


def test_only_the_star_is_a_wildcard() -> None:
    """A question mark or a bracket in an alias stands for itself."""
    graph = RouteGraph(wildcards=(("what?-[ab]-*", "x/a"),))
    world = FakeWorld([model("x/a", 9999)], graph=graph)
    assert attempted(decide("what?-[ab]-1", world)) == ["x/a"]
    assert refused(decide("whats-a-1", world)) is ErrorKind.UNKNOWN_MODEL


def test_a_bare_id_listed_once_is_that_model() -> None:
    """Only x lists a."""
    assert attempted(decide("a", WORLD)) == ["x/a"]


def test_a_bare_id_listed_twice_goes_to_who_speaks_the_protocol_and_says_so() -> None:
    """Both x and y list b; only y speaks the client's protocol."""
    world = FakeWorld(
        [model("x/b", 9999), model("y/b", 9999)],
        providers=[provider("x", protocols=[WireProtocol.MESSAGES])],
    )
    decision = decide("b", world)
    assert attempted(decision) == ["y/b"]
    assert "listed by x, y" in decision.notes[0]
    messages = msgspec.structs.replace(shape(), protocol=WireProtocol.MESSAGES)
    assert attempted(decide("b", world, asked=messages)) == ["x/b"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """404 material, with a suggestion."""
    decision = decide("x/a-typo", FakeWorld([model("z/a", 1)]))
    assert refused(decision) is ErrorKind.UNKNOWN_MODEL
    error = decide("absent/m", FakeWorld([model("z/a", 1)])).error
    assert error is not None
    assert "absent is not configured" in error.message
    assert "z/a" in str(decide("za", FakeWorld([model("z/a", 1)])).error)
