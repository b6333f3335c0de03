"""Embeddings: what a request is sized by, how it is edited, what its reply says."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.core.errors import ApiError, ErrorKind, RequestInvalid
from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.catalog import EMBEDDINGS, name_of, reader_of
from gatewayctl.protocols.codec import BadFrame, Changes

WORDS = "word " * 1000


def body(value: Any, **more: Any) -> bytes:
    """Return a request."""
    return msgspec.json.encode({"model": "m", "input": value, **more})


def likely(value: Any) -> int:
    """Return how many tokens have to fit."""
    data = body(value)
    measured = EMBEDDINGS.measure(data)
    return by_ratio(EMBEDDINGS.shape(data), measured, EstimatorSettings()).likely


def test_the_shape_keeps_it_with_those_who_speak_its_api() -> None:
    """It is never translated, wants no output at all, and never streams."""
    shape = EMBEDDINGS.shape(body("Hello", dimensions=64))
    assert shape.protocol is WireProtocol.CHAT_COMPLETIONS
    assert shape.demands == {Demand.ENDPOINT}
    assert (shape.output_budget, shape.stream, shape.model) == (0, False, "m")


@pytest.mark.parametrize(
    "many",
    [
        ["one", WORDS, "three"],
        [WORDS, *["short text"] * 2000],
        [*["another " * 20] * 5, WORDS],
        ["a" * 2000, WORDS],
    ],
)
def test_of_many_inputs_the_largest_is_what_has_to_fit(many: list[str]) -> None:
    """A model reads each by itself, so their sum is nobody's window."""
    assert likely(many) == likely(WORDS) == likely([WORDS]) > 1000


def test_text_that_is_dense_is_larger_than_longer_text_that_is_not() -> None:
    """The largest is the one with the most tokens, not the one with the most characters."""
    dense, long = "9 8 7 6 5 4 " * 300, "extraordinarily " * 300
    assert len(dense) < len(long)
    assert likely([long, dense]) == likely(dense) > likely(long)


def test_tokens_are_counted_as_what_they_are() -> None:
    """One list of them is one input, a list of lists is many; no ratio applies."""
    start = likely([])
    assert likely([7] * 5000) == 5000 + start
    assert likely([[7] * 10, [7] * 5000, [7] * 20]) == 5000 + start
    assert likely([[7] * 10, WORDS]) == likely(WORDS)


def test_inputs_of_another_form_count_by_the_text_in_them() -> None:
    """Some servers take objects; what is in them is still sized."""
    assert likely([{"text": WORDS}]) == likely(WORDS)
    assert likely([None, True, 1.5]) == likely([])


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b'{"input":"a"}', "$.model"),
        (b'{"model":"m"}', "$.input"),
        (b'{"model":"m","input":7}', "$.input"),
        (b'{"model":"m","input":null}', "$.input"),
        (b"[]", "$"),
        (b'{"model":"m","input":"a"', "$"),
    ],
)
def test_what_is_no_request_is_refused_with_its_path(data: bytes, path: str) -> None:
    """Where it is wrong is said before anything is sent."""
    with pytest.raises(RequestInvalid) as raised:
        EMBEDDINGS.shape(data)
    assert raised.value.path == path


def test_nothing_but_the_model_is_edited() -> None:
    """Every other byte stays as it came; what the config sets or drops is as anywhere."""
    data = b'{ "input" : ["a", "b"],"model":"alias", "encoding_format":"base64" }'
    assert EMBEDDINGS.patch(data, Changes(model="real", include_usage=True)) == data.replace(
        b'"alias"', b'"real"'
    )
    changes = Changes(model="alias", set={"dimensions": b"64"}, drop=("encoding_format",))
    assert msgspec.json.decode(EMBEDDINGS.patch(data, changes)) == {
        "input": ["a", "b"],
        "model": "alias",
        "dimensions": 64,
    }
    assert EMBEDDINGS.address("m", "a=1", stream=False) == "/embeddings?a=1"


def test_a_reply_says_what_was_metered() -> None:
    """Input alone; a reply without vectors is none, one with an error says which."""
    facts = EMBEDDINGS.read_reply(
        b'{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}'
    )
    assert (facts.usage.input, facts.usage.output, facts.error) == (8, 0, None)
    assert EMBEDDINGS.read_reply(b'{"error":{"message":"no"}}').error == "no"
    for wrong in (b"{}", b'{"choices":[]}', b"[]", b"not JSON"):
        with pytest.raises(BadFrame):
            EMBEDDINGS.read_reply(wrong)


def test_a_refusal_by_size_names_the_input() -> None:
    """Else it is the error that Chat Completions clients know."""
    error = ApiError(kind=ErrorKind.TOO_LARGE, message="too large", tokens=9, limit=8)
    told = EMBEDDINGS.error(error)
    assert told.status == 413
    assert msgspec.json.decode(told.body)["error"]["param"] == "input"
    other = EMBEDDINGS.error(ApiError(kind=ErrorKind.MALFORMED, message="no", param="$.model"))
    assert msgspec.json.decode(other.body)["error"]["param"] == "$.model"


def test_another_process_finds_the_reader_by_its_name() -> None:
    """The protocol alone would be the conversations' reader."""
    assert name_of(EMBEDDINGS) == "embeddings"
    assert reader_of("embeddings") is EMBEDDINGS
    assert reader_of("chat_completions").protocol is WireProtocol.CHAT_COMPLETIONS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=60)
def test_whatever_the_input_is_it_is_sized_or_refused(value: Any) -> None:
    """Only ``RequestInvalid`` leaves; a list never has more to fit than what is in it."""
    data = body(value)
    try:
        EMBEDDINGS.shape(data)
        measured = EMBEDDINGS.measure(data)
    except RequestInvalid:
        return
    assert measured.tokens <= len(data)
