"""Requests on their way from one codec to another: what is decided between them."""

import json
from itertools import permutations
from typing import Any

import msgspec
import pytest

from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.protocols import translation
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, Target

ASKED: dict[WireProtocol, tuple[dict[str, Any], dict[str, Any]]] = {
    WireProtocol.CHAT_COMPLETIONS: (
        {"messages": [{"role": "user", "content": "hi"}]},
        {"thinking": {"type": "adaptive"}},
    ),
    WireProtocol.RESPONSES: ({"input": "hi"}, {"reasoning": {"summary": "auto"}}),
    WireProtocol.MESSAGES: (
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9000},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    ),
    WireProtocol.GEMINI: (
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    ),
}


def sent(client: WireProtocol, upstream: WireProtocol, *, thinks: bool, reasons: bool) -> Any:
    """Return what is sent of a short question, and what was dropped."""
    plain, thinking = ASKED[client]
    body = json.dumps({"model": "m", **plain, **(thinking if thinks else {})}).encode()
    changes = Changes(model="m", output_budget=9000)
    target = Target(origin="p/m", changes=changes, reasons=reasons)
    out = translation.outgoing(CODECS[client], CODECS[upstream], body, target)
    return msgspec.json.decode(out.body), out.dropped


@pytest.mark.parametrize(("client", "upstream"), list(permutations(WireProtocol, 2)))
def test_a_model_that_does_not_reason_is_told_nothing_of_it(
    client: WireProtocol, upstream: WireProtocol
) -> None:
    """Claude Code and Gemini CLI ask every model to think as it likes; many refuse the word."""
    asked = sent(client, upstream, thinks=True, reasons=False)
    assert asked == (sent(client, upstream, thinks=False, reasons=True)[0], ("reasoning",))


@pytest.mark.parametrize("client", list(WireProtocol))
def test_thinking_as_a_model_likes_needs_no_model_that_reasons(client: WireProtocol) -> None:
    """None at all is as it likes; only an effort or a budget asks for some."""
    plain, thinking = ASKED[client]
    shape = CODECS[client].shape(json.dumps({"model": "m", **plain, **thinking}).encode())
    assert Capability.REASONING not in shape.needs
