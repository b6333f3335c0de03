"""Whatever the bytes of a request are, reading them is refused in one way or works."""

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.golden import CASES

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, Codec

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))

FIELDS = [
    "model",
    "messages",
    "input",
    "content",
    "role",
    "type",
    "tools",
    "system",
    "max_tokens",
    "stream",
    "stream_options",
    "text",
    "source",
    "output",
    "tool_calls",
    "thinking",
    "input_image",
    "image_url",
]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda case, start, end, put: case.request[:start] + put + case.request[start + end :],
        st.sampled_from(CASES),
        st.integers(0, 600),
        st.integers(0, 8),
        st.binary(max_size=3),
    ),
)


@every_codec
@given(request=BODIES)
@example(request=b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 2000)
@example(request=b'{"messages":[{"role":[]}],"input":[{"role":{}}]}')
def test_no_bytes_whatever_raise_anything_else(codec: Codec, request: bytes) -> None:
    """Every function that reads a request's bytes raises ``RequestInvalid`` or nothing."""
    for outcome in outcomes(codec, request):
        assert outcome is not None


@every_codec
def test_no_depth_of_nesting_raises_anything_else(codec: Codec) -> None:
    """Just below the depth that is refused, nothing that works on the body runs out of stack."""
    deep = [{"type": "tool_use", "name": "f", "input": "..."}]
    turns = [{"role": "user", "content": deep}]
    tools = [{"type": "f", "input": "..."}]
    fields = {"model": "m", "max_tokens": 9, "input": turns, "messages": turns, "tools": tools}
    request = json.dumps(fields).encode()
    for depth in range(700, 1000):
        nested = b"[" * depth + b"]" * depth
        for outcome in outcomes(codec, request.replace(b'"..."', nested)):
            assert outcome is not None


def outcomes(codec: Codec, request: bytes) -> list[object]:
    """Call everything that reads a request; return what it gives, or the path of its refusal."""
    changes = Changes(model="x", output_budget=5, include_usage=True, strip_billing=True)

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except RequestInvalid as error:
            return error.path

    return [
        outcome(lambda: codec.shape(request)),
        outcome(lambda: codec.shape(request, counting=True)),
        outcome(lambda: codec.measure(request)),
        outcome(lambda: codec.usage_requested(request)),
        outcome(lambda: codec.conversation(request)),
        outcome(lambda: codec.layout(request)),
        outcome(lambda: msgspec.json.decode(codec.patch(request, changes), type=dict)),
    ]
