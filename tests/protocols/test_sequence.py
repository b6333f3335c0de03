"""Parts of a reply come one after another, however an upstream mixes them."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.conversation import Seal
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    Usage,
    fold,
)
from gatewayctl.protocols.sequence import Sequence
from gatewayctl.protocols.sse import BadFrame


def call(number: int, *pieces: str, choice: int = 0) -> list[Event]:
    """Return a call's events."""
    begun = CallBegun(call=number, id=f"call_{number}", name="look", choice=choice)
    return [begun, *(CallDelta(call=number, arguments=p, choice=choice) for p in pieces)]


def ordered(*events: Event) -> list[Event]:
    """Return the events in the order in which they are told."""
    return list(Sequence().ordered(events))


def at_once(events: Iterable[Event]) -> list[int]:
    """Return how many events each event lets be told."""
    sequence = Sequence()
    return [len(list(sequence.ordered([event]))) for event in events]


def assert_one_after_another(events: Iterable[Event]) -> None:
    """Fail when a call goes on after something else of its choice came."""
    open_calls: dict[int, int | None] = {}
    for event in events:
        match event:
            case CallBegun():
                open_calls[event.choice] = event.call
            case CallDelta():
                assert open_calls[event.choice] == event.call
            case TextDelta() | ThoughtDelta() | ThoughtEnded() | RefusalDelta() | Finished():
                open_calls[event.choice] = None
            case Begun() | Metered() | Ended():
                pass


def test_what_is_in_order_passes_at_once() -> None:
    """Nothing is held of an upstream that tells one part after another."""
    events = [
        Begun(),
        ThoughtDelta(text="Hm"),
        ThoughtEnded(seal=Seal(form="a", data="b")),
        TextDelta(text="Both."),
        *call(0, '{"a"', ":[1", "]}"),
        *call(1, "{", "}"),
        TextDelta(text="Done."),
        Metered(usage=Usage()),
        Finished(stop=Stop.CALLS),
        Ended(),
    ]
    assert ordered(*events) == events
    assert at_once(events) == [1] * len(events)


def test_calls_told_side_by_side_come_one_after_another() -> None:
    """The second waits for the first, and is told as soon as that is whole."""
    one, two = call(0, '{"a":', "1}"), call(1, '{"b":', "2}")
    mixed = [one[0], two[0], one[1], two[1], one[2], two[2]]
    assert ordered(*mixed) == [*one, *two]
    assert at_once(mixed) == [1, 0, 1, 0, 3, 1]


def test_a_third_call_waits_for_the_second() -> None:
    """What has waited is told up to the first call that is still unfinished."""
    one, two, three = call(0, "{}"), call(1, "{", "}"), call(2, "{", "}")
    mixed = [one[0], *two[:2], *three[:2], one[1], three[2], two[2]]
    assert ordered(*mixed) == [*one, *two, *three]
    assert at_once(mixed) == [1, 0, 0, 0, 0, 3, 0, 4]


@pytest.mark.parametrize(
    "event",
    [
        TextDelta(text="x"),
        ThoughtDelta(text="x"),
        ThoughtEnded(seal=Seal(form="a", data="b")),
        RefusalDelta(text="x"),
    ],
)
def test_nothing_is_told_inside_a_call(event: Event) -> None:
    """Text among the pieces of a call waits for its end, as in the whole reply."""
    one, two = call(0, "{", "}"), call(1, "{}")
    mixed = [*one[:2], event, *two, event, one[2]]
    assert ordered(*mixed) == [*one, event, *two, event]
    assert fold(ordered(*mixed)) == fold(mixed)


def test_brackets_and_quotes_inside_a_string_end_nothing() -> None:
    """A call is over with its own last bracket, wherever its text is cut."""
    text = msgspec.json.encode({"a": '}]"\\', "b": [{"c": "\\}"}]}).decode()
    one, two = call(0, *text), call(1, "{}")
    mixed = [one[0], two[0], *one[1:-1], two[1]]
    assert ordered(*mixed) == [*one[:-1]]
    assert ordered(*mixed, one[-1]) == [*one, *two]


def test_a_call_that_never_ends_is_over_with_its_choice() -> None:
    """What waited is told when nothing more of it can come."""
    one, two = call(0, '{"a": "b'), call(1, "{}")
    stop = Finished(stop=Stop.BUDGET)
    assert ordered(one[0], *two, one[1], stop) == [*one, *two, stop]
    assert ordered(one[0], *two, one[1], Ended()) == [*one, *two, Ended()]


def test_a_call_without_arguments_is_over_with_its_choice() -> None:
    """It might still get some, so the next one waits."""
    stop = Finished(stop=Stop.CALLS)
    assert ordered(*call(0, ""), *call(1, "{}"), stop) == [*call(0, ""), *call(1, "{}"), stop]


def test_white_space_behind_a_call_that_is_over_is_left_out() -> None:
    """Its block is closed by then, and the arguments say the same without."""
    one, two = call(0, "{}", "\n"), call(1, "{}")
    assert ordered(*one[:2], *two, one[2]) == [*one[:2], *two]
    assert ordered(*one, *two) == [*one, *two]


def test_choices_do_not_wait_for_one_another() -> None:
    """Another answer's calls pass, and its end tells nothing of this one's that is unfinished."""
    one, two = call(0, "{", "}"), call(1, "{", "}")
    other = call(0, "{", "}", choice=1)
    stop = Finished(stop=Stop.CALLS, choice=1)
    mixed = [*one[:2], *two[:2], *other, stop, one[2], two[2]]
    assert ordered(*mixed) == [*one[:2], *other, stop, one[2], *two]


def test_more_than_can_be_held_is_an_upstreams_fault() -> None:
    """A truncated call never looks whole: the reply is bad from there on."""
    sequence = Sequence()
    list(sequence.ordered([*call(0, "{"), *call(1)]))
    piece = CallDelta(call=1, arguments=" " * (1 << 20))
    with pytest.raises(BadFrame, match="beside an unfinished tool call"):
        list(sequence.ordered([piece] * 17))
    empty = CallDelta(call=1, arguments="")
    sequence = Sequence()
    list(sequence.ordered(call(0, "{")))
    with pytest.raises(BadFrame):
        list(sequence.ordered([empty] * (1 << 19)))


ARGUMENTS = st.recursive(
    st.text(alphabet='ab"\\{}[]', max_size=4) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(alphabet='"\\}', max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def mixtures(draw: st.DrawFn) -> list[Event]:
    """Draw the events of a few parts, each in its order, mixed at random."""
    queues: list[list[Event]] = []
    for number in range(draw(st.integers(1, 3))):
        value = draw(st.dictionaries(st.text(max_size=2), ARGUMENTS, max_size=2))
        text = msgspec.json.encode(value).decode()
        cut = draw(st.integers(0, len(text)))
        queues.append(call(number, text[:cut], text[cut:]))
    queues.append([TextDelta(text="one "), ThoughtDelta(text="two"), TextDelta(text="three")])
    mixed: list[Event] = []
    while queues:
        queue = draw(st.sampled_from(queues))
        mixed.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return [*mixed, Finished(stop=Stop.CALLS), Ended()]


@given(mixtures())
def test_any_mixture_is_told_one_part_after_another_and_says_the_same(mixed: list[Event]) -> None:
    """Nothing is lost, nothing interleaves, and it all amounts to the same reply."""
    told = ordered(*mixed)
    assert_one_after_another(told)
    assert fold(told) == fold(mixed)
