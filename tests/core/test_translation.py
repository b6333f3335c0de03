"""Which protocol a request goes out in, and when it cannot go out at all."""

import pytest
from support.world import ALL, provider, shape

from gatewayctl.core.model import Auth, WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.core.translation import SAYABLE, lacking, outgoing, why_not

CHAT, RESPONSES, MESSAGES, GEMINI = WireProtocol


def test_the_clients_own_protocol_comes_before_every_other() -> None:
    """Nothing is translated where the provider speaks what the client speaks."""
    speaks = provider("x", protocols=[CHAT, MESSAGES])
    assert outgoing(speaks, shape(protocol=MESSAGES)) is MESSAGES


def test_else_the_first_of_the_provider_in_which_everything_can_be_said() -> None:
    """The order is the provider's; what one of its protocols cannot say goes to the next."""
    speaks = provider("x", protocols=[MESSAGES, CHAT])
    assert outgoing(speaks, shape(protocol=GEMINI)) is MESSAGES
    assert outgoing(speaks, shape(protocol=GEMINI, demands=[Demand.ANSWERS])) is CHAT


def test_what_no_protocol_of_the_provider_can_say_is_named() -> None:
    """The reason says what is missing, where, and who speaks it."""
    speaks = provider("x", protocols=[MESSAGES, RESPONSES])
    asked = shape(protocol=CHAT, demands=[Demand.ANSWERS])
    assert outgoing(speaks, asked) is None
    assert why_not(speaks, asked) == (
        "more than one answer (n > 1) cannot be said in messages, responses, which x speaks"
    )


@pytest.mark.parametrize("protocol", ALL)
def test_a_forwarded_credential_goes_with_its_own_request_alone(protocol: WireProtocol) -> None:
    """Whoever forwards a client's credential sends what that client sent, no more."""
    forwards = provider("x", protocols=[MESSAGES], auth=Auth.FORWARD)
    asked = shape(protocol=protocol)
    assert outgoing(forwards, asked) is (MESSAGES if protocol is MESSAGES else None)
    if protocol is not MESSAGES:
        assert "the client's own credential" in why_not(forwards, asked)


def test_every_demand_has_its_protocols() -> None:
    """A demand that nobody thought of would pass for one that nobody can meet."""
    assert set(SAYABLE) == set(Demand)


def test_a_demand_is_no_hindrance_in_its_own_protocol() -> None:
    """State is kept by whoever speaks the protocol of the request."""
    asked = shape(protocol=RESPONSES, demands=[Demand.STATE])
    assert outgoing(provider("x", protocols=[CHAT, RESPONSES]), asked) is RESPONSES
    assert lacking(CHAT, asked) == {Demand.STATE}
