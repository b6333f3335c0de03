"""Tags of translated replies, taken out of a history for an upstream of the same protocol."""

from typing import Any

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
TAG = provenance.tag(Seal(form="responses.encrypted", data="AAAA"), "openai/gpt")
THINKING = {"type": "thinking", "thinking": "hm", "signature": TAG}
REDACTED = {"type": "redacted_thinking", "data": TAG}
OWN = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
USER = {"role": "user", "content": "hi"}


def stripped(*messages: dict[str, Any], strip: bool = True) -> bytes:
    """Return a body of these messages after the change."""
    body = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": list(messages)})
    return CODEC.patch(body, Changes(model="m", strip_foreign=strip))


def turns(body: bytes) -> list[Any]:
    """Return a body's messages."""
    found: list[Any] = msgspec.json.decode(body)["messages"]
    return found


def test_foreign_thoughts_go_and_all_else_stays() -> None:
    """Both kinds of blocks go, the upstream's own thought and the call stay."""
    said = {"role": "assistant", "content": [THINKING, REDACTED, OWN, CALL]}
    assert turns(stripped(USER, said)) == [USER, {"role": "assistant", "content": [OWN, CALL]}]


def test_a_message_of_nothing_else_goes() -> None:
    """No empty message is left behind, which would be refused."""
    assert turns(stripped(USER, {"role": "assistant", "content": [REDACTED]}, USER)) == [USER, USER]


def test_every_other_byte_stays() -> None:
    """White space, numbers and fields that are not known are as they came."""
    body = (
        b'{ "model":"m" ,"max_tokens":9,"messages" : [ {"role":"user","content":"hi"},'
        b'{"x": 1.0 ,"role":"assistant","content":[ %b , {"type":"text","text":"\\u0041"} ]} ]}'
        % msgspec.json.encode(THINKING)
    )
    assert CODEC.patch(body, Changes(model="m", strip_foreign=True)) == (
        b'{ "model":"m" ,"max_tokens":9,"messages" : [ {"role":"user","content":"hi"},'
        b'{"x": 1.0 ,"role":"assistant","content":[{"type":"text","text":"\\u0041"}]} ]}'
    )


def test_what_only_quotes_a_tag_stays() -> None:
    """A tag in text is text, and a history without tags is not touched."""
    quoting = {"role": "user", "content": [{"type": "text", "text": TAG}]}
    assert turns(stripped(quoting, {"role": "user", "content": TAG})) == [
        quoting,
        {"role": "user", "content": TAG},
    ]
    assert turns(stripped({"role": "assistant", "content": [OWN, CALL]}))[0]["content"][0] == OWN


def test_nothing_is_taken_out_unasked() -> None:
    """Only where the change is asked for."""
    said = {"role": "assistant", "content": [THINKING]}
    assert turns(stripped(said, strip=False)) == [said]


def test_no_thinking_is_asked_for_where_a_call_has_lost_its_first_thought() -> None:
    """A budget for thinking and a call without a thought before it are refused together."""
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}
    turns = [USER, {"role": "assistant", "content": [THINKING, CALL]}, result]

    def sent(thinking: dict[str, object], messages: list[Any]) -> Any:
        body = {"model": "m", "max_tokens": 4096, "thinking": thinking, "messages": messages}
        changes = Changes(model="m", strip_foreign=True)
        return msgspec.json.decode(CODEC.patch(msgspec.json.encode(body), changes))

    enabled = {"type": "enabled", "budget_tokens": 1024}
    assert sent(enabled, turns)["thinking"] == {"type": "disabled"}
    assert sent({"type": "adaptive"}, turns)["thinking"] == {"type": "adaptive"}
    assert sent(enabled, [*turns, USER])["thinking"] == enabled
