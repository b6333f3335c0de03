"""Tool calls in chat streams, told apart however a server numbers and names them."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import Call
from gatewayctl.core.events import CallBegun, CallDelta, Event, fold
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.sse import BadFrame, SseEvent

CODEC = ChatCompletionsCodec()

PARIS = '{"city":"Paris"}'
ROME = '{"city":"Rome"}'
BOTH = (("a", "look", PARIS), ("b", "look", ROME))


def piece(
    index: int | None = None,
    given: str | None = None,
    name: str | None = None,
    arguments: Any = None,
) -> dict[str, Any]:
    """Return one element of ``tool_calls``, with the fields that are not None."""
    function = {"name": name, "arguments": arguments}
    found: dict[str, Any] = {
        "function": {field: value for field, value in function.items() if value is not None}
    }
    if index is not None:
        found["index"] = index
    if given is not None:
        found["id"] = given
    return found


def events(deltas: list[dict[str, Any]]) -> list[Event]:
    """Return the events of a stream of these deltas."""
    chunks = [msgspec.json.encode({"choices": [{"delta": delta}]}) for delta in deltas]
    reader = CODEC.event_reader()
    return [
        event
        for data in (*chunks, b"[DONE]")
        for event in reader.read(SseEvent(raw=data, data=data))
    ]


def calls(*pieces: dict[str, Any] | list[dict[str, Any]]) -> tuple[tuple[str, str, str], ...]:
    """Return id, name and arguments of each call; a list of pieces comes in one chunk."""
    deltas = [{"tool_calls": it if isinstance(it, list) else [it]} for it in pieces]
    (choice,) = fold(events(deltas)).choices
    found = [part for part in choice.parts if isinstance(part, Call)]
    return tuple((call.id, call.name, call.arguments) for call in found)


def test_arguments_come_as_deltas_and_none_is_lost_litellm_25321() -> None:
    """Row 12 of the bug table: the arguments of tool calls were dropped from streams.

    OpenAI's own form: first the id and the name, then the arguments by the call's index.
    """
    found = events(
        [
            {"tool_calls": [piece(0, "a", "look", "")]},
            {"tool_calls": [piece(0, arguments='{"city":')]},
            {"tool_calls": [piece(0, arguments='"Paris"}')]},
        ]
    )
    assert found[1:-2] == [
        CallBegun(call=0, id="a", name="look"),
        CallDelta(call=0, arguments='{"city":'),
        CallDelta(call=0, arguments='"Paris"}'),
    ]


def test_calls_side_by_side_by_their_index() -> None:
    """Parallel calls may be told in any mixture."""
    assert (
        calls(
            [piece(0, "a", "look", ""), piece(1, "b", "look", "")],
            [piece(1, arguments='{"city":'), piece(0, arguments='{"city":"Pa')],
            piece(0, arguments='ris"}'),
            piece(1, arguments='"Rome"}'),
        )
        == BOTH
    )


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([piece(0, "a", "look", PARIS), piece(0, "b", "look", ROME)], id="one index"),
        pytest.param([piece(None, "a", "look", PARIS), piece(None, "b", "look", ROME)], id="none"),
        pytest.param(
            [[piece(None, "a", "look", PARIS), piece(None, "b", "look", ROME)]], id="one chunk"
        ),
        pytest.param(
            [
                piece(None, "a", "look", ""),
                piece(arguments=PARIS),
                piece(None, "b", "look", ""),
                piece(arguments=ROME),
            ],
            id="no index and in pieces",
        ),
        pytest.param(
            [
                piece(None, "a", "look", ""),
                piece(None, "a", arguments=PARIS),
                piece(None, "b", "look", ""),
                piece(None, "b", arguments=ROME),
            ],
            id="by id",
        ),
        pytest.param(
            [
                piece(0, "a", "look", '{"city":'),
                piece(0, "a", "look", '"Paris"}'),
                piece(1, "b", "look", '{"city":'),
                piece(1, "b", "look", '"Rome"}'),
            ],
            id="id and name with each delta",
        ),
        pytest.param(
            [
                piece(0, "a", "look", '{"city":'),
                piece(0, "z", "look", '"Paris"}'),
                piece(1, "b", "look", '{"city":'),
                piece(1, "y", arguments='"Rome"}'),
            ],
            id="a new id for each delta",
        ),
        pytest.param(
            [
                piece(3, "a", "look", ""),
                piece(0, arguments=PARIS),
                piece(5, "b", "look", ""),
                piece(1, arguments=ROME),
            ],
            id="the index of the tool first",
        ),
        pytest.param(
            [
                piece(0, "a", arguments=""),
                piece(0, arguments='{"city":'),
                piece(0, name="look"),
                piece(0, arguments='"Paris"}'),
                piece(1, "b", "look", ROME),
            ],
            id="the name late",
        ),
        pytest.param(
            [piece(0, "a", "look", {"city": "Paris"}), piece(1, "b", "look", {"city": "Rome"})],
            id="arguments that are no text",
        ),
    ],
)
def test_calls_of_servers_that_differ(pieces: list[dict[str, Any]]) -> None:
    """Without an index, all with the same, whole, by id, with new ids, by another number."""
    assert calls(*pieces) == BOTH


def test_calls_without_any_id_get_none_here() -> None:
    """Whoever writes the reply makes one; they are still two calls."""
    expected = (("", "look", PARIS), ("", "look", ROME))
    assert (
        calls(piece(name="look", arguments=PARIS), piece(name="look", arguments=ROME)) == expected
    )
    assert calls(piece(0, "", "look", PARIS), piece(0, "", "look", ROME)) == expected


def test_an_id_that_two_calls_were_given_is_the_firsts_alone() -> None:
    """Results could not be told apart."""
    assert calls(piece(0, "a", "look", PARIS), piece(1, "a", "look", ROME)) == (
        ("a", "look", PARIS),
        ("", "look", ROME),
    )


def test_a_call_without_arguments_has_none() -> None:
    """It is an empty object, as for every tool that wants nothing."""
    assert calls(piece(0, "a", "look"), piece(1, "b", "leave", "{}")) == (
        ("a", "look", "{}"),
        ("b", "leave", "{}"),
    )


def test_a_call_that_is_never_named_is_still_told() -> None:
    """Its arguments are not lost silently: the client sees that no such tool is there."""
    assert calls(piece(0, "a", arguments=PARIS)) == (("a", "", PARIS),)


def test_calls_in_the_older_form() -> None:
    """A function's call has neither id nor index."""
    found = fold(
        events(
            [
                {"function_call": {"name": "look", "arguments": ""}},
                {"function_call": {"arguments": '{"city":'}},
                {"function_call": {"arguments": '"Paris"}'}},
            ]
        )
    )
    assert found.choices[0].parts == (Call(id="", name="look", arguments=PARIS),)


@pytest.mark.parametrize("given", [1, "x", [1], [[]], {"index": 0}, [None], [{"function": 1}]])
def test_what_is_no_call_is_passed_over(given: Any) -> None:
    """Nothing of an unknown form breaks off an answer."""
    found = fold(events([{"tool_calls": given, "function_call": "x", "content": "a"}]))
    assert len(found.choices) == 1


def test_more_calls_than_any_answer_has_are_a_bad_frame() -> None:
    """Nothing that is kept of a stream grows without bounds."""
    with pytest.raises(BadFrame):
        calls([piece(index, "", "f", "{}") for index in range(5000)])
    with pytest.raises(BadFrame):
        calls([piece(index, arguments="{") for index in range(5000)])
