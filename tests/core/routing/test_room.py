"""What a client may count on behind a name."""

import pytest
from support.world import FakeWorld, model, places, provider

from gatewayctl.core.model import Auth, Overflow, WireProtocol
from gatewayctl.core.routing.graph import Alloy, Cascade, FitMode, Place, Policy, Route
from gatewayctl.core.routing.room import Room, room

MESSAGES = WireProtocol.MESSAGES
POLICY = Policy()
MODELS = [
    model("x/small", 32_768, most_output=8192),
    model("x/large", 262_144, most_input=200_000, most_output=64_000),
    model("cut/wide", 400_000),
    model("own/login", 1_000_000),
    model("x/unknown"),
]
PROVIDERS = [
    provider("x"),
    provider("cut", overflow=Overflow.TRUNCATES),
    provider("own", protocols=[WireProtocol.RESPONSES], auth=Auth.FORWARD),
]
ROUTES: list[Route] = [
    Alloy(id="a", name="A", places=places("x/small", "x/large"), policy=POLICY),
    Cascade(id="c", places=places("x/small", "x/large"), policy=POLICY),
    Cascade(id="wide", places=places("c", "cut/wide"), policy=POLICY),
    Cascade(id="mixed", places=places("own/login", "x/small"), policy=POLICY),
    Cascade(id="strict", places=places("x/small"), policy=Policy(fit=FitMode.STRICT)),
    Cascade(id="part", places=(Place(model="x/large", context_window=100_000),), policy=POLICY),
]
WORLD = FakeWorld(MODELS, ROUTES, providers=PROVIDERS)


@pytest.mark.parametrize(
    ("name", "total", "most", "output"),
    [
        ("x/small", 32_768, 32_768, 8192),
        ("x/large", 262_144, 200_000, 64_000),
        ("a", 32_768, 32_768, 8192),
        ("c", 262_144, 200_000, 64_000),
        ("part", 100_000, 100_000, 64_000),
        ("x/unknown", None, None, None),
    ],
)
def test_a_blend_has_the_room_of_its_smallest_and_others_of_their_largest(
    name: str, total: int | None, most: int | None, output: int | None
) -> None:
    """With the tighter side of it, and what its place says of a window."""
    found = room(name, WORLD, MESSAGES)
    assert found is not None
    assert (found.total, found.most, found.output) == (total, most, output)


@pytest.mark.parametrize(
    ("name", "surely"), [("c", False), ("wide", True), ("cut/wide", True), ("strict", True)]
)
def test_it_is_told_where_only_what_surely_fits_is_sent(name: str, surely: bool) -> None:
    """By a strict route, and where what is too large would be cut without a word."""
    found = room(name, WORLD, MESSAGES)
    assert found is not None
    assert found.surely is surely


def test_models_that_a_client_cannot_reach_are_left_out() -> None:
    """A login is forwarded with its own requests alone: another protocol's client has none."""
    here, there = room("mixed", WORLD, MESSAGES), room("mixed", WORLD, WireProtocol.RESPONSES)
    assert here is not None
    assert there is not None
    assert (here.members, here.forwards, here.total) == (("x/small",), (), 32_768)
    assert (there.members, there.forwards) == (("own/login", "x/small"), ("own",))


def test_nothing_is_known_of_an_unknown_name_and_of_one_out_of_reach() -> None:
    """The first is no name, the second has no room at all."""
    assert room("nobody", WORLD, MESSAGES) is None
    assert room("own/login", WORLD, MESSAGES) == Room()
