"""Names of tools in the letters that every protocol takes."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewayctl.core.conversation import Call
from gatewayctl.core.events import CallBegun, Choice, Reply
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import tool_names, translation
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, ReplyContext, Target

FORM = re.compile(r"[a-zA-Z0-9_-]*")


def test_a_name_in_plain_letters_stays() -> None:
    """Nearly all names are."""
    for name in ("get_weather", "mcp__github__search", "mcp__db__query", "a-b_9", "x_u2E_"):
        assert tool_names.fitting(name) == tool_names.original(name) == name


def test_a_refused_letter_is_spelled_where_it_stands() -> None:
    """The rest of the name is still to be read."""
    assert tool_names.fitting("github.search") == "github_u002E_search"
    assert tool_names.original("github_u002E_search") == "github.search"


@settings(max_examples=100)
@given(st.text(st.sampled_from("u02EF5_-.:ö"), max_size=12), st.text(max_size=4))
@example("a_u002E_b", "")
@example("_u0022", ":")
@example("_u110000_", "")
@example("_uD800_", "")
def test_every_name_comes_back(name: str, more: str) -> None:
    """Whatever it is made of, it fits and is itself again."""
    fitting = tool_names.fitting(name + more)
    assert FORM.fullmatch(fitting)
    assert tool_names.original(fitting) == name + more


@given(st.text(st.sampled_from("u02EF5_.D8"), max_size=16))
def test_a_name_that_was_never_spelled_is_left_alone(name: str) -> None:
    """Or it is a name that another one is spelled as."""
    original = tool_names.original(name)
    assert original == name or tool_names.fitting(original) == name


ASKED = b"""{"model":"m","contents":[{"role":"user","parts":[{"text":"hi"}]},
{"role":"model","parts":[{"functionCall":{"id":"c","name":"github.search","args":{}}}]},
{"role":"user","parts":[{"functionResponse":{"id":"c","name":"github.search","response":{}}}]}],
"tools":[{"functionDeclarations":[{"name":"github.search"},{"name":"b"}]}],
"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["github.search"]}}}"""


@pytest.mark.parametrize(
    "protocol", [WireProtocol.CHAT_COMPLETIONS, WireProtocol.RESPONSES, WireProtocol.MESSAGES]
)
def test_a_gemini_clients_tool_is_known_again_by_its_name(protocol: WireProtocol) -> None:
    """OpenAI and Anthropic refuse the dot that Google takes; the client never sees its spelling."""
    target = Target(origin="p/m", changes=Changes(model="m", output_budget=99))
    upstream, client = CODECS[protocol], CODECS[WireProtocol.GEMINI]
    sent = translation.outgoing(client, upstream, ASKED, target)
    assert b"github.search" not in sent.body
    assert sent.body.count(b'"github_u002E_search"') == 3
    context = ReplyContext(id="r", origin="p/m", prompt=sent.prompt, now=lambda: 0.0)
    choice = Choice(parts=(Call(id="d", name="github_u002E_search"),))
    reply = upstream.write_reply(Reply(choices=(choice,)), context)
    told = [event for event in upstream.read_events(reply) if isinstance(event, CallBegun)]
    assert [event.name for event in told] == ["github.search"]
