"""Thoughts that translated replies brought into a history leave it for a model of this protocol."""

from typing import Any

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.protocols import provenance
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Changes

CODEC = ChatCompletionsCodec()
TAG = provenance.tag(Seal(form="messages.signature", data="s"), "a/claude")
OURS = {"type": "reasoning.text", "text": "hm", "signature": TAG}
THEIRS = {"type": "reasoning.encrypted", "data": "b3duZXI="}


def patched(*messages: dict[str, Any], strip: bool = True) -> bytes:
    """Return the body with these messages as it goes to a chat upstream."""
    body = msgspec.json.encode({"model": "m", "messages": list(messages)})
    return CODEC.patch(body, Changes(model="m", strip_foreign=strip))


def test_a_thought_with_a_tag_goes_with_its_text() -> None:
    """No other model may be told it as its own; the rest of the message stays."""
    said = {"role": "assistant", "content": "a", "x_unknown": [1]}
    thought = said | {"reasoning_content": "hm", "reasoning_details": [OURS]}
    assert patched(thought) == patched(said)


def test_a_blank_stays_where_a_thought_is_required() -> None:
    """DeepSeek and Moonshot refuse an answer in the history that has none at all."""
    thought = {"role": "assistant", "reasoning_details": [OURS], "content": "a"}
    body = msgspec.json.encode({"model": "m", "messages": [thought]})
    changes = Changes(model="m", strip_foreign=True, reasoning_required=True)
    (message,) = msgspec.json.decode(CODEC.patch(body, changes))["messages"]
    assert message == {"role": "assistant", "content": "a", "reasoning_content": " "}


def test_details_of_the_upstreams_own_stay() -> None:
    """A router's own proof is sent back as it came, with the text that it belongs to."""
    both = {"role": "assistant", "reasoning": "hm", "reasoning_details": [OURS, THEIRS]}
    assert patched(both) == patched(both | {"reasoning_details": [THEIRS]})
    assert b"b3duZXI=" in patched(both)


def test_every_other_byte_stays_as_it_came() -> None:
    """White space, numbers and fields that nobody here knows."""
    before = b'{ "model" : "m",\n "messages":[ {"role":"user","content":"a"} , '
    thought = msgspec.json.encode([OURS])
    message = b'{"role":"assistant", "reasoning_details":' + thought + b', "content": "b"}'
    after = b' ],"x": 1.50 }'
    found = CODEC.patch(before + message + after, Changes(model="m", strip_foreign=True))
    assert found == before + b'{"role":"assistant", "content": "b"}' + after


def test_nothing_is_touched_where_nothing_is_foreign() -> None:
    """A tag that the user only speaks of is text, and without the wish nothing is looked for."""
    quoting = {"role": "user", "content": TAG}
    shown = {"role": "assistant", "reasoning_details": [OURS]}
    odd = {"role": "assistant", "reasoning_details": TAG}
    for messages, strip in (((quoting, odd), True), ((shown,), False)):
        body = msgspec.json.encode({"model": "m", "messages": list(messages)})
        assert patched(*messages, strip=strip) == body
