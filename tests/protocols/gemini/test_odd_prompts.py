"""Whatever a Gemini request holds, it is read or refused; thoughts survive their signatures."""

import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.core.conversation import Call, Seal, Thought
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import provenance
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.gemini.signatures import carried

CODEC = GeminiCodec()
NAMES: Final = (
    "role parts text thought thoughtSignature functionCall name args functionResponse response id "
    "inlineData mimeType data fileData fileUri functionDeclarations parameters type nullable "
    "functionCallingConfig mode allowedFunctionNames thinkingConfig stopSequences responseSchema "
    "temperature logprobs"
)
FIELDS: Final = (
    "contents systemInstruction tools toolConfig generationConfig labels generateContentRequest "
    "cachedContent model store serviceTier"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "user", "model", "f"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES.split()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=14,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS.split()), JSON, max_size=5))
def test_whatever_a_body_holds_it_is_read_or_refused(body: dict[str, Any]) -> None:
    """Nothing but ``RequestInvalid`` leaves, and all that is dropped has a short name."""
    try:
        found = CODEC.read_prompt(json.dumps(body).encode())
    except RequestInvalid:
        return
    assert all(0 < len(word) <= 80 for word in found.dropped)


@settings(max_examples=60)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=9))
def test_thoughts_survive_the_signature_that_holds_them(text: str, data: str, name: str) -> None:
    """Whatever they say; a client may write the letters of URLs, without padding."""
    seal = Seal(form="responses.encrypted", data=data, origin="up/x")
    signature = carried([Thought(text=text, seal=seal, id=name)], "up/x")
    assert signature.startswith(provenance.MARK.decode())
    told = signature.replace("+", "-").replace("/", "_").rstrip("=")
    part = {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": told}
    body = json.dumps({"contents": {"role": "model", "parts": part}}).encode()
    assert CODEC.read_prompt(body).messages[0].parts == (
        Thought(text=text, seal=seal, id=name),
        Call(id="1", name="f"),
    )
