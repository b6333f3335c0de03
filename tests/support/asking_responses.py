"""Prompts written for a Responses upstream, as tests look at them."""

import json
from typing import Any

from gatewayctl.core.conversation import (
    Inline,
    Message,
    Part,
    Prompt,
    Role,
    Text,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.responses import requests
from gatewayctl.protocols.responses.codec import ResponsesCodec

ORIGIN = "openai/gpt"
HELLO = Message(role=Role.USER, parts=(Text(text="hi"),))
PNG = Inline(media_type="image/png", data="AAAA")
CODEC = ResponsesCodec()
CHANGES = Changes(model="gpt")


def write(
    *messages: Message, changes: Changes = CHANGES, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write a prompt; return the body, and what was left out."""
    said = {"protocol": WireProtocol.MESSAGES, **fields}
    prompt = Prompt(model="m", messages=messages or (HELLO,), **said)
    written = requests.write(prompt, Target(origin=ORIGIN, changes=changes))
    assert CODEC.shape(written.body).model == "gpt"
    return json.loads(written.body), written.dropped


def items(*messages: Message) -> list[dict[str, Any]]:
    """Return the input items of a prompt's messages, of which nothing is left out."""
    body, dropped = write(*messages)
    assert dropped == ()
    found: list[dict[str, Any]] = body["input"]
    return found


def user(*parts: Part) -> Message:
    """Return a message of the user's."""
    return Message(role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Message:
    """Return a turn of the model's."""
    return Message(role=Role.ASSISTANT, parts=parts)
