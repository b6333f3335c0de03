"""Reasoning of other models, taken out of a request on its way to this protocol's own."""

import json

from gatewayctl.core.conversation import Seal
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.responses.codec import ResponsesCodec

CHANGES = Changes(model="m", strip_foreign=True)
TAG = provenance.tag(Seal(form="messages.signature", data="s"), "p/m")
FOREIGN = b'{"type":"reasoning" , "summary":[],"encrypted_content":"' + TAG.encode() + b'"}'
OWN = b'{"type": "reasoning", "summary":[],  "encrypted_content":"gAAAA"}'
USER = b'{ "role":"user","content":"h\\u00e9" }'


def test_items_with_a_tag_go_and_every_other_byte_stays() -> None:
    """The upstream would refuse them, and everything else is none of our business."""
    body = b'{"model":"m", "input": [ ' + b" , ".join((USER, FOREIGN, OWN, FOREIGN)) + b' ] ,"x":1}'
    kept = b'{"model":"m", "input": [' + USER + b"," + OWN + b'] ,"x":1}'
    assert ResponsesCodec().patch(body, CHANGES) == kept


def test_a_body_without_a_tag_stays_the_same_object() -> None:
    """Looking for the mark is all that it costs."""
    body = b'{"model":"m","input":[' + OWN + b"]}"
    assert ResponsesCodec().patch(body, CHANGES) is body


def test_the_mark_in_a_users_words_is_no_tag() -> None:
    """Only what stands where a tag belongs is taken for one."""
    items = [
        {"role": "user", "content": TAG},
        {"type": "reasoning", "summary": [], "encrypted_content": provenance.MARK.decode()},
    ]
    body = json.dumps({"model": "m", "input": items}).encode()
    assert ResponsesCodec().patch(body, CHANGES) is body
    text = json.dumps({"model": "m", "input": TAG}).encode()
    assert ResponsesCodec().patch(text, CHANGES) is text


def test_nothing_is_taken_out_unless_it_is_asked_for() -> None:
    """The change is the planner's to ask for."""
    body = b'{"model":"m","input":[' + FOREIGN + b"]}"
    assert ResponsesCodec().patch(body, Changes(model="m")) is body
    assert ResponsesCodec().patch(body, CHANGES) == b'{"model":"m","input":[]}'
