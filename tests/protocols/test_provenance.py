"""Thoughts that went through a foreign protocol come back to their own model and to no other."""

from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core.conversation import Seal
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance

ORIGIN = "anthropic/claude-sonnet-4-6"
# Data with every letter of base64 that differs in URLs, which some clients write back.
TELLTALE = "".join(map(chr, range(32, 1024)))
SEALS = st.builds(Seal, form=st.text(max_size=20), data=st.text(max_size=50))


@given(seal=SEALS, origin=st.text(min_size=1, max_size=20))
def test_a_tag_holds_what_it_was_made_of(seal: Seal, origin: str) -> None:
    """The data and the model come back as they were, and the mark tells that they are ours."""
    tag = provenance.tag(seal, origin)
    found = provenance.tagged(tag)
    assert found == Seal(form=seal.form, data=seal.data, origin=origin)
    assert tag.encode().startswith(provenance.MARK)
    assert provenance.sealed("messages.signature", tag) == found


def test_a_thought_keeps_the_model_it_is_of() -> None:
    """A seal that was given along by another gateway's tag is not claimed for this model."""
    seal = Seal(form="gemini.thought", data="x", origin="google/gemini")
    assert provenance.tagged(provenance.tag(seal, ORIGIN)) == seal


def test_a_thought_without_proof_is_told_as_text() -> None:
    """Only its own model gets it back, as the text that it was."""
    found = provenance.tagged(provenance.tag(None, ORIGIN))
    assert found == Seal(form="text", data="", origin=ORIGIN)
    assert all(provenance.returns(found, protocol, ORIGIN) for protocol in WireProtocol)


@pytest.mark.parametrize("length", range(8))
def test_a_client_that_decodes_and_encodes_gives_the_same(length: int) -> None:
    """google-genai keeps bytes and writes them in the letters for URLs; padding may be lost."""
    seal = Seal(form="messages.signature", data=TELLTALE + "x" * length, origin=ORIGIN)
    raw = b64decode(provenance.tag(seal, ORIGIN))
    anew = urlsafe_b64encode(raw).decode()
    assert anew.count("-") or anew.count("_")
    assert provenance.tagged(anew) == seal
    assert provenance.tagged(anew.rstrip("=")) == seal


@pytest.mark.parametrize(
    "data",
    [
        "",
        "EqQBCkYIBBgC",
        provenance.MARK.decode(),
        provenance.MARK.decode() + "!",
        provenance.MARK.decode() + "é",
        provenance.MARK.decode() + "A",
        provenance.tag(None, ORIGIN) + "AAAA",
        b64encode(b"gatewayctl1:" + b"[" * 5000).decode(),
        b64encode(b'gatewayctl1:["a","b"]').decode(),
        b64encode(b'gatewayctl1:["a","b",7]').decode(),
        b64encode(b'gatewayctl1:["\xff","b","c"]').decode(),
    ],
)
def test_what_is_no_tag_is_the_providers_own_data(data: str) -> None:
    """Whatever a client sends, it is data of an unknown model or a tag, and never an error."""
    assert provenance.tagged(data) is None
    assert provenance.sealed("responses.encrypted", data) == Seal(
        form="responses.encrypted", data=data
    )


@given(st.text())
def test_any_text_behind_the_mark_can_be_read(text: str) -> None:
    """Nothing is raised, whatever stands behind the mark."""
    provenance.tagged(provenance.MARK.decode() + text)


@pytest.mark.parametrize(
    ("form", "origin", "protocol", "back"),
    [
        ("messages.signature", ORIGIN, WireProtocol.MESSAGES, True),
        ("messages.redacted", ORIGIN, WireProtocol.MESSAGES, True),
        ("messages.signature", ORIGIN, WireProtocol.RESPONSES, False),
        ("messages.signature", "other/model", WireProtocol.MESSAGES, False),
        ("messages.signature", "", WireProtocol.MESSAGES, False),
        ("text", ORIGIN, WireProtocol.CHAT_COMPLETIONS, True),
        ("text", "other/model", WireProtocol.CHAT_COMPLETIONS, False),
        ("gemini.call", ORIGIN, WireProtocol.GEMINI, True),
        ("geminis.call", ORIGIN, WireProtocol.GEMINI, False),
        ("", ORIGIN, WireProtocol.GEMINI, False),
    ],
)
def test_a_thought_goes_back_to_its_own_model_in_its_own_protocol(
    form: str, origin: str, protocol: WireProtocol, *, back: bool
) -> None:
    """Another model's, another protocol's and one that nobody vouches for stay away."""
    seal = Seal(form=form, data="x", origin=origin)
    assert provenance.returns(seal, protocol, ORIGIN) is back


def test_what_has_no_seal_goes_to_nobody() -> None:
    """A plain thought in a history is of some model or other."""
    assert not any(provenance.returns(None, protocol, ORIGIN) for protocol in WireProtocol)
