"""Ids of tool calls, in the form that Anthropic takes."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.protocols.messages import ids

FORM = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def test_an_id_of_the_right_form_stays() -> None:
    """What other servers call their calls is kept wherever it can be."""
    for call_id in ("toolu_01A", "call_abc-1", "x" * 64):
        assert ids.fitting(call_id) == call_id
        assert ids.original(call_id) == call_id


def test_another_id_comes_back_as_it_was() -> None:
    """A client is given an id that it may send to Anthropic, and sends back what was meant."""
    fitting = ids.fitting("functions.bash:0")
    assert FORM.fullmatch(fitting)
    assert ids.original(fitting) == "functions.bash:0"


def test_an_id_that_only_looks_spelled_is_left_alone() -> None:
    """What was never spelled here is no other id."""
    for call_id in ("toolu_as_!", "toolu_as_YWJj", "toolu_as_/w"):
        assert ids.original(call_id) == call_id


@settings(max_examples=50)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=4, unique=True))
def test_ids_fit_and_stay_unlike(given_ids: list[str]) -> None:
    """Whatever an id is, it fits, is always the same, and is no other id's."""
    found = [ids.fitting(call_id) for call_id in given_ids]
    assert all(FORM.fullmatch(call_id) for call_id in found)
    assert len(set(found)) == len(found)
    assert found == [ids.fitting(call_id) for call_id in given_ids]
