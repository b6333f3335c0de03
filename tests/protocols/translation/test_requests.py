"""Every request of every client to every upstream: what arrives, is left out, or is refused."""

import re
from typing import Final

import msgspec
import pytest
from support import meaning, translating
from support.translating import PROTOCOLS, Asked

from gatewayctl.core import translation as planning
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.messages import billing

CASES = translating.requests()
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "-"))

WRITTEN_AS: Final = {
    "temperature": (b"1.5",),
    "top_k": (b'"top_k"', b'"topK"'),
    "logprobs": (b"logprobs", b"Logprobs"),
    "presence_penalty": (b"presence_penalty", b"presencePenalty"),
    "frequency_penalty": (b"frequency_penalty", b"frequencyPenalty"),
    "user": (b'"u1"', b"device_id"),
    "metadata": (b'"run"',),
    "reasoning of another model": (b"A greeting.", b"EqQBCkYIBBgC", b"gAAAAABo", b"CpYBAdHti"),
}
"""How what is recorded would stand in a body, where it is not by the word itself."""


@every_case
def test_nothing_is_lost_that_is_not_recorded(case: Asked) -> None:
    """Read back as the upstream reads it, a request means what the client's does, or it is told.

    To the client's own protocol too, where a codec writes what it has read.
    """
    wrong = []
    for client, body in case.bodies.items():
        for upstream in PROTOCOLS:
            found = translating.sent(body, client, upstream)
            if found.refused is None:
                asked = billing.without(CODECS[client].read_prompt(body))
                arrived = CODECS[upstream].read_prompt(found.body)
                wrong += [
                    f"{client} to {upstream}: {each}"
                    for each in meaning.lost(asked, arrived, found.dropped)
                ]
    assert not wrong, "\n".join(wrong)


@every_case
def test_nothing_that_is_recorded_as_left_out_is_sent(case: Asked) -> None:
    """What people are told is left out is nowhere in the body, under any protocol's name for it."""
    for client, body in case.bodies.items():
        for upstream in set(PROTOCOLS) - {client}:
            found = translating.sent(body, client, upstream)
            for word in found.dropped:
                inner = re.sub(r"^\w+\[(.*)\]$", r"\1", word)
                for name in WRITTEN_AS.get(word, (b'"%b"' % inner.encode(),)):
                    assert name not in found.body, (client, upstream, word)


@every_case
def test_what_is_refused_is_what_planning_never_lets_come_to_it(case: Asked) -> None:
    """A codec refuses to write exactly what a provider of its protocol is not chosen for."""
    for client, body in case.bodies.items():
        shape = translating.shape(client, body)
        for upstream in set(PROTOCOLS) - {client}:
            refused = translating.sent(body, client, upstream).refused
            lacking = planning.lacking(upstream, shape)
            assert bool(lacking) == (refused is not None), (client, upstream, refused, lacking)


@every_case
def test_what_is_sent_is_a_request_in_the_upstreams_protocol(case: Asked) -> None:
    """It can be read as one, asks for the upstream's model, and names nothing of the gateway's."""
    for client, body in case.bodies.items():
        for upstream in set(PROTOCOLS) - {client}:
            found = translating.sent(body, client, upstream)
            if found.refused is not None:
                continue
            written = msgspec.json.decode(found.body)
            if upstream is not WireProtocol.GEMINI:
                assert written["model"] == translating.MODEL
            assert (
                not translating.shape(upstream, found.body).demands
                - translating.shape(client, body).demands
            )
            assert b"gatewayctl" not in found.body
