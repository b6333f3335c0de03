"""Servers that speak OpenAI's API add limits to its listing, each in its own words."""

from typing import Any

import pytest
from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims


def _read(**fields: Any) -> Claims:
    found = drive("compatible", {"/v1/models": {"data": [{"id": "m", **fields}]}})
    return found.models["m"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_model_len": 8192}, Claims(context_window=8192, served=8192)),
        ({"context_window": 8192}, Claims(context_window=8192)),
        ({"context_length": 8192}, Claims(context_window=8192)),
        ({"max_context_length": 8192}, Claims(context_window=8192)),
        (
            {"max_context_length": 8192, "loaded_context_length": 4096},
            Claims(context_window=8192, served=4096),
        ),
        ({"meta": {"n_ctx_train": 40960}}, Claims(context_window=40960)),
        (
            {"meta": {"n_ctx_train": 40960, "n_ctx": 4096}},
            Claims(context_window=40960, served=4096),
        ),
        (
            {"max_input_tokens": 100, "max_output_tokens": 10},
            Claims(max_input_tokens=100, max_output_tokens=10),
        ),
        (
            {"context_window": 100, "max_completion_tokens": 10},
            Claims(context_window=100, max_output_tokens=10),
        ),
        (
            {"top_provider": {"max_completion_tokens": 10}},
            Claims(max_output_tokens=10),
        ),
        (
            {
                "capabilities": {
                    "limits": {
                        "max_context_window_tokens": 400_000,
                        "max_prompt_tokens": 128_000,
                        "max_output_tokens": 64_000,
                    }
                }
            },
            Claims(context_window=400_000, max_input_tokens=128_000, max_output_tokens=64_000),
        ),
        ({"supports_tools": True}, Claims(capabilities={Capability.TOOLS: True})),
        ({"shutdown_date": "2027-01-01"}, Claims(retires_at="2027-01-01")),
    ],
)
def test_each_field_means_what_its_server_means_by_it(
    fields: dict[str, Any], expected: Claims
) -> None:
    """Trained and served windows, input and output stay apart."""
    assert _read(**fields) == expected


@pytest.mark.parametrize("value", [0, None, -1, True, "8192", 1.5, [], {}])
def test_max_tokens_is_no_limit_and_nonsense_is_none(value: object) -> None:
    """Servers do not agree on ``max_tokens``, and 0 or null never means that nothing fits."""
    assert _read(max_tokens=8192, context_length=value, max_model_len=value) == Claims()


def test_a_bare_list_is_a_listing_too() -> None:
    """Together's has no object around it."""
    found = drive("compatible", {"/v1/models": [{"id": "a/b", "context_length": 7}, 7]})
    assert found.models == {"a/b": Claims(context_window=7)}
    assert found.skipped == {"not an object": 1}


def test_a_server_that_is_recognised_is_asked_for_what_it_serves() -> None:
    """llama.cpp and LM Studio behind a compatible address say more where they say it natively.

    Neither refuses what does not fit, which only their names tell.
    """
    llama = {"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx_train": 40960}}
    props = {"default_generation_settings": {"n_ctx": 4096}}
    found = drive("compatible", {"/v1/models": {"data": [llama]}, "/props": props})
    assert found.models == {"m": Claims(context_window=40960, served=4096, truncates=True)}
    studio = {"id": "m", "owned_by": "organization_owner"}
    v0 = {"id": "m", "state": "loaded", "max_context_length": 8192, "loaded_context_length": 4096}
    found = drive(
        "compatible", {"/v1/models": {"data": [studio]}, "/api/v0/models": {"data": [v0]}}
    )
    assert found.models == {"m": Claims(context_window=8192, served=4096, truncates=True)}


def test_an_adapter_behind_a_compatible_address_has_its_parents_window() -> None:
    """Behind vLLM an entry says whose adapter it is."""
    base = {"id": "base", "owned_by": "vllm", "max_model_len": 8192}
    lora = {"id": "lora", "owned_by": "vllm", "parent": "base", "max_model_len": None}
    found = drive("compatible", {"/v1/models": {"data": [base, lora]}})
    assert found.models["lora"] == Claims(context_window=8192, served=8192)


def test_an_ollama_behind_a_compatible_address_says_what_it_serves() -> None:
    """It calls itself a library. What was trained is no window until something is served of it.

    Where something before it hides the rest, the ids remain.
    """
    listed = {"/v1/models": {"data": [{"id": "q:8b", "owned_by": "library"}]}}
    native = {
        "/api/tags": {"models": [{"model": "q:8b"}]},
        "/api/ps": {"models": [{"model": "q:8b", "context_length": 4096}]},
    }
    shown = {
        'POST /api/show {"model":"q:8b"}': {"model_info": {"qwen3.context_length": 40960}},
    }
    loaded = drive("compatible", listed | native | shown)
    assert loaded.models == {"q:8b": Claims(context_window=40960, served=4096, truncates=True)}
    assert drive("compatible", listed).models == {"q:8b": Claims()}
    idle = drive("compatible", listed | native | shown | {"/api/ps": {"models": []}})
    assert idle.models == {"q:8b": Claims(truncates=True)}
