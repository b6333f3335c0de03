"""Thoughts before calls: what is kept of a reply, and where it stands in the next request."""

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Call,
    Message,
    Prompt,
    Remembered,
    Result,
    Role,
    Seal,
    Text,
    Thought,
)
from gatewayctl.core.events import (
    CallBegun,
    CallDelta,
    Event,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.messages import ids
from gatewayctl.protocols.remembering import Listener, called, restored

ORIGIN = "up/m"
PLAIN = Seal(form="text", data="", origin=ORIGIN)
THOUGHT = Thought(text="Hm.", seal=PLAIN)


def heard(*events: Event) -> tuple[list[Event], dict[str, Remembered]]:
    """Return the events that went on, and what was kept."""
    kept: dict[str, Remembered] = {}
    return list(Listener(ORIGIN, "req_1", kept.__setitem__).heard(events)), kept


def prompt(*messages: Message) -> Prompt:
    """Return a prompt of these messages."""
    return Prompt(protocol=WireProtocol.MESSAGES, model="m", messages=messages)


def said(*parts: Text | Thought | Call) -> Message:
    """Return a message of the model's."""
    return Message(role=Role.ASSISTANT, parts=parts)


def test_what_is_thought_before_a_call_is_kept_with_it() -> None:
    """In pieces, sealed or not, and with the seal on the call itself; text goes between them."""
    seal = Seal(form="gemini.call", data="c2ln")
    _, kept = heard(
        ThoughtDelta(text="H"),
        ThoughtDelta(text="m."),
        ThoughtEnded(),
        TextDelta(text="I look."),
        ThoughtEnded(seal=Seal(form="responses.encrypted", data="AA"), id="rs_1"),
        CallBegun(call=0, id="c1", name="f", seal=seal),
        CallDelta(call=0, arguments="{}"),
        CallBegun(call=1, id="c2", name="f"),
    )
    hidden = Seal(form="responses.encrypted", data="AA", origin=ORIGIN)
    thoughts = (THOUGHT, Thought(seal=hidden, id="rs_1"))
    own = msgspec.structs.replace(seal, origin=ORIGIN)
    assert kept == {"c1": Remembered(thoughts=thoughts, seal=own)}


def test_a_thought_that_nothing_ends_is_over_with_the_call() -> None:
    """Servers that write plain reasoning end it by going on."""
    _, kept = heard(ThoughtDelta(text="Hm."), CallBegun(call=0, id="c1", name="f"))
    assert kept == {"c1": Remembered(thoughts=(THOUGHT,))}


def test_calls_without_an_id_get_one_that_comes_back() -> None:
    """Else nothing would tell which call a result belongs to."""
    events, kept = heard(
        CallBegun(call=0, id="", name="f"),
        ThoughtDelta(text="Hm."),
        CallBegun(call=1, id="", name="f"),
    )
    named = [event.id for event in events if isinstance(event, CallBegun)]
    assert named == ["call_req_1_0", "call_req_1_1"]
    assert kept == {"call_req_1_1": Remembered(thoughts=(THOUGHT,))}


def test_what_is_kept_stands_before_its_call_again() -> None:
    """In every turn of which the client kept nothing."""
    call = Call(id="c1", name="f")
    result = Message(role=Role.USER, parts=(Result(id="c1"),))
    asked = prompt(said(Text(text="I look."), call), result)
    known = {"c1": Remembered(thoughts=(THOUGHT,), seal=PLAIN)}
    found = restored(asked, known, ORIGIN)
    sealed = msgspec.structs.replace(call, seal=PLAIN)
    assert found.messages[0] == said(Text(text="I look."), THOUGHT, sealed)
    assert found.messages[1:] == (result,)


def test_what_the_client_kept_itself_has_the_last_word() -> None:
    """A thought of this model anywhere in the turn: then none is added to it, and to others is."""
    call = Call(id="c1", name="f")
    user = Message(role=Role.USER, parts=(Text(text="Go on"),))
    known = {"c1": Remembered(thoughts=(THOUGHT,))}
    own = said(Thought(text="As it was", seal=PLAIN))
    foreign = said(Thought(text="Other", seal=msgspec.structs.replace(PLAIN, origin="other/m")))
    kept = prompt(own, said(call), user, foreign, said(call))
    found = restored(kept, known, ORIGIN).messages
    assert found[:4] == kept.messages[:4]
    assert found[4] == said(THOUGHT, call)


@pytest.mark.parametrize("name", ["tool_use_id", "tool_call_id", "call_id"])
@pytest.mark.parametrize("call_id", ["call_1", "functions.bash:0"])
def test_calls_are_known_by_their_results(name: str, call_id: str) -> None:
    """In every dialect, also where an id had to be spelled otherwise for its clients."""
    written = ids.fitting(call_id) if name == "tool_use_id" else call_id
    body = b'{"a":[{"%b" : "%b"},{"%b":7}]}' % (name.encode(), written.encode(), name.encode())
    assert list(called(body)) == [call_id]
    _, kept = heard(ThoughtDelta(text="Hm."), CallBegun(call=0, id=call_id, name="f"))
    assert list(kept) == [call_id]
