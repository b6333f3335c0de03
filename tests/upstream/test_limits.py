"""Which limit a refusal by size names: every provider's words, and figures that are no limit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gatewayctl.core.errors import FailureKind
from gatewayctl.core.learning import Cap, from_refusal
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.protocols.told import Told
from gatewayctl.simulator.overflows import PROVIDERS, overflow
from gatewayctl.simulator.problems import Vendor
from gatewayctl.upstream.failures import classify
from gatewayctl.upstream.limits import Limit, limit_of

JSON = CIMultiDict({"Content-Type": "application/json"})
SILENT = {"groq", "ollama"}
"""Who refuses without naming a limit: the one says nothing, the other by how much it was passed."""

ESTIMATE = Estimate(low=400_000, likely=500_000, high=600_000, method=Method.RATIO)
AT = "2026-01-02T03:04:05Z"


def _taught(status: int, error: dict[str, Any]) -> Cap | None:
    body = json.dumps({"error": error}).encode()
    failure = classify(WireProtocol.CHAT_COMPLETIONS, status, JSON, body)
    return from_refusal(failure, ESTIMATE, 4096, 1_000_000, AT)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("protocol", "vendor"),
    [
        (WireProtocol.CHAT_COMPLETIONS, Vendor.OPENAI),
        (WireProtocol.RESPONSES, Vendor.OPENAI),
        (WireProtocol.MESSAGES, Vendor.ANTHROPIC),
    ],
)
def test_the_window_that_each_provider_names_is_learned_litellm_10793(
    provider: str, protocol: WireProtocol, vendor: Vendor
) -> None:
    """Bug row 4: by the words of all sixteen, over each protocol; where none is, by what was sent.

    What is believed is larger than what is named; what was counted stands beside it.
    """
    failure = classify(protocol, 400, JSON, overflow(provider, vendor))
    cap = from_refusal(failure, ESTIMATE, 4096, 1_000_000, AT)
    assert failure.by_tokens
    assert cap is not None
    if provider in SILENT:
        assert (failure.window, failure.counted) == (None, None)
        assert (cap.window, cap.sure) == (504_095, False)
    else:
        assert failure.window == 131_072
        assert failure.counted in {537_812, 537_812 - 4096}  # some count what is to be written
        assert (cap.window, cap.sure) == (131_072, True)


@pytest.mark.parametrize(
    ("words", "window", "counted"),
    [
        ("exceed context limit: 190000 + 32000 > 200000, decrease", 200_000, 222_000),
        ("maximum context length is 8,192 tokens. However, you requested 9000", 8192, 9000),
        ("exceeds the maximum number of tokens allowed 1048576.", 1_048_576, None),
        ("the context length (n_keep: 5228 >= n_ctx: 4096). Try", 4096, 5228),
        ("keep the first 10136 tokens, with a context length of only 7866 tokens", 7866, 10_136),
        ("`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000", 8193, 9000),
        (
            "passed 4097 input tokens and requested 9 output. The context length is only 4096.",
            4096,
            4106,
        ),
        ("prompt (length 9000) is longer than the maximum model length of 4096.", 4096, 9000),
        ("maximum context length is 4096 tokens, 100 were sent (5000 > 4096 - 100)", 4096, 5100),
        (
            "context length is 4096 and your request has 4000 input tokens (500 > 4096 - 4000)",
            4096,
            4500,
        ),
        (
            "maximum context length is 4096 tokens. However, your request has 9000 input tokens.",
            4096,
            9000,
        ),
        ("Requested tokens (2100) exceed context window of 2048", 2048, 2100),
        ("prompt token count of 150000 exceeds the limit of 128000", 128_000, 150_000),
        ("Range of input length should be [1, 30720]", 30_720, None),
        ("tokens in the prompt cannot exceed 4081 - received 5000.", 4081, 5000),
    ],
)
def test_other_words_name_it_too(words: str, window: int, counted: int | None) -> None:
    """Servers that are compatible, and older releases."""
    assert limit_of(Told(message=words)) == Limit(window=window, counted=counted)


@pytest.mark.parametrize(
    "words",
    [
        "Your input exceeds the context window of this model: 300000 tokens",
        "maximum context length exceeded: 300000 tokens",
        "Your request of 300000 tokens exceeds the maximum context length",
        "prompt too long; exceeded max context length by 406740 tokens",
        "prompt exceeds the limit by 5000 tokens",
        "maximum context length is 0 tokens",
        "maximum context length is 128k tokens",
        "maximum context length is 1.048.576 tokens",
        "context window exceeds limit (2013)",
        "maximum context length is 9000 tokens, you requested 8000",
    ],
)
def test_other_figures_are_no_limit(words: str) -> None:
    """The request's own size, by how much it was too long, an error's number, a contradiction."""
    limit = limit_of(Told(message=words, codes=("context_length_exceeded",)))
    assert (limit.window, limit.by_tokens) == (None, True)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens",
        "max_tokens is too large: 100000. It supports at most 16384 completion tokens",
        "Request exceeds the maximum allowed number of bytes. Maximum is 33554432 bytes.",
        "Too many images: 2000 > 1000 maximum",
        "image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes",
        "Request Entity Too Large",
        "Request too large on tokens per minute (TPM): Limit 6000, Requested 12328",
    ],
)
def test_a_refusal_that_is_not_about_the_inputs_tokens_teaches_nothing(words: str) -> None:
    """Bytes, images, rates and the reply's length: a 413 may mean any of them."""
    assert limit_of(Told(message=words)) == Limit(by_tokens=False)
    assert _taught(413, {"message": words}) is None
    assert _taught(413, {"message": words, "type": "request_too_large"}) is None


@pytest.mark.parametrize(
    ("error", "window"),
    [
        (
            {
                "type": "invalid_request_error",
                "code": "invalid_parameter_error",
                "message": "<400> InternalError.Algo.InvalidParameter: Range of input length "
                "should be [1, 204800]",
            },
            204_800,
        ),
        (
            {
                "type": "bad_request_error",
                "http_code": "400",
                "message": "invalid params, context window exceeds limit (2013)",
            },
            504_095,
        ),
        (
            {
                "type": "invalid_request_prompt",
                "code": "3051",
                "message": "Prompt contains 400000 tokens and 0 draft tokens, too large for model "
                "with 131072 maximum context length",
            },
            131_072,
        ),
    ],
    ids=["dashscope", "minimax", "mistral"],
)
def test_a_code_that_every_400_has_hides_no_refusal_by_size(
    error: dict[str, str], window: int
) -> None:
    """Alibaba's, MiniMax' and Mistral's codes are as vague as their status: words decide."""
    cap = _taught(400, error)
    assert cap is not None
    assert cap.window == window


def test_fields_say_more_than_words() -> None:
    """llama.cpp gives both figures in fields; its older words hold none."""
    error = {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}
    body = json.dumps({"error": {"message": "exceeds the available context size", **error}})
    failure = classify(WireProtocol.CHAT_COMPLETIONS, 400, JSON, body.encode())
    assert (failure.window, failure.counted) == (4096, 9000)
    for odd in (0, -1, True, "4096", 4096.0, 10**12):
        error["n_ctx"] = odd
        body = json.dumps({"error": {"message": "", **error}})
        assert classify(WireProtocol.CHAT_COMPLETIONS, 400, JSON, body.encode()).window is None


def test_the_error_beneath_a_routers_is_read() -> None:
    """OpenRouter says no more than that a provider refused; that one's words are in its reply."""
    raw = '{"error":{"message":"This model\'s maximum context length is 8192 tokens."}}'
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}
    body = json.dumps({"error": error}).encode()
    failure = classify(WireProtocol.CHAT_COMPLETIONS, 400, JSON, body)
    assert (failure.kind, failure.window) == (FailureKind.CONTEXT_OVERFLOW, 8192)


@given(words=st.text(max_size=200), figures=st.lists(st.integers(0, 10**14), max_size=4))
def test_no_words_break_the_reading(words: str, figures: list[int]) -> None:
    """A limit is a figure of the words, and smaller than what was counted."""
    told = f"maximum context length {words} {' '.join(map(str, figures))} tokens > {figures}"
    limit = limit_of(Told(message=told))
    if limit.window is not None:
        assert str(limit.window) in told.replace(",", "")
        assert limit.counted is None or limit.counted > limit.window
