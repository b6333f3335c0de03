"""Requests for a count: what is sent to a counter, and which replies are counts."""

import json

import pytest

from gatewayctl.core.errors import ApiError, ErrorKind, RequestInvalid
from gatewayctl.protocols import patch
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.gemini import counting as gemini
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.messages import counting as messages


def test_google_is_always_given_a_whole_request() -> None:
    """Only of such a one it counts everything; its model is the upstream's."""
    contents = [{"parts": [{"text": "é"}]}]
    expected = {"generateContentRequest": {"contents": contents, "model": "models/m"}}
    for body in (
        {"contents": contents},
        {"generateContentRequest": {"model": "models/other", "contents": contents}},
        {"generate_content_request": {"contents": contents}},
        {"contents": contents, "generateContentRequest": None, "model": "x"},
    ):
        sent = json.loads(gemini.request(json.dumps(body).encode(), "m"))
        assert sent == expected
    with pytest.raises(RequestInvalid):
        gemini.request(b'{"contents":[],"contents":[]}', "m")


def test_what_is_about_the_answer_alone_is_not_sent_to_a_counter() -> None:
    """Anthropic refuses it there; every other byte is as it came."""
    body = b'{"model":"m", "max_tokens":1,"messages":[ ],"temperature":0,"new_field":1}'
    changes = Changes(
        model="x", output_budget=7, set={"top_k": b"1", "thinking": b"{}"}, drop=("metadata",)
    )
    sent = messages.request(body, changes, patch.members(body))
    assert sent == b'{"model":"x","messages":[ ],"new_field":1,"thinking":{}}'
    assert messages.as_it_came(body, "x", patch.members(body)) == body.replace(b'"m"', b'"x"')


@pytest.mark.parametrize("count", [0, -1, 1.5, True, None, "3", [], {}])
def test_only_a_whole_number_above_nothing_is_a_count(count: object) -> None:
    """Every request has tokens."""
    for read, name in ((messages.tokens, "input_tokens"), (gemini.tokens, "totalTokens")):
        assert read(json.dumps({name: count}).encode()) is None
        assert read(json.dumps({name: 3}).encode()) == 3
        assert read(b"[" * 100_000) is None
        assert read(b"") is None


def test_googles_errors_say_code_and_status() -> None:
    """A refusal by size in Google's words, a wait as ``RetryInfo``, our object in the details."""
    too_large = ApiError(
        kind=ErrorKind.TOO_LARGE, message="m cannot hold this.", tokens=41_000, limit=32_768
    )
    wire = GeminiCodec().error(too_large)
    error = json.loads(wire.body)["error"]
    assert (wire.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"] == (
        "The input token count (41000) exceeds the maximum number of tokens allowed (32768)."
    )
    assert GeminiCodec().error(too_large, too_large_status=413).status == 413
    waiting = ApiError(kind=ErrorKind.UNAVAILABLE, message="later", retry_after=2.5)
    error = json.loads(GeminiCodec().error(waiting).body)["error"]
    assert error["details"][0]["gatewayctl"]["kind"] == "unavailable"
    assert error["details"][1] == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "2.500s",
    }


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_error_has_one_of_googles_statuses(kind: ErrorKind) -> None:
    """In capitals, as its SDKs compare them, beside the HTTP status."""
    wire = GeminiCodec().error(ApiError(kind=kind, message="m"))
    error = json.loads(wire.body)["error"]
    assert error["code"] == wire.status >= 400
    assert error["status"] == error["status"].upper() != ""
