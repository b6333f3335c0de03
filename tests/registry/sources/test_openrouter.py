"""OpenRouter's listing: prices as strings, routers without prices, the smaller of two windows."""

from decimal import Decimal
from typing import Any

import pytest
from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims


def _read(**fields: Any) -> Claims:
    found = drive("openrouter", {"/v1/models": {"data": [{"id": "a/b", **fields}]}})
    return found.models["a/b"]


def test_a_whole_entry_is_read() -> None:
    """Prices come as strings of USD per token, capabilities as lists."""
    found = _read(
        context_length=400_000,
        architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        pricing={
            "prompt": "0.00000125",
            "completion": "0.00001",
            "request": "0",
            "image": "0.001",
            "input_cache_read": "1.25e-7",
            "internal_reasoning": "0",
        },
        top_provider={
            "context_length": 400_000,
            "max_completion_tokens": 128_000,
            "is_moderated": True,
        },
        supported_parameters=["tools", "tool_choice", "structured_outputs", "max_tokens"],
        expiration_date="2027-03-31",
    )
    assert found == Claims(
        context_window=400_000,
        max_output_tokens=128_000,
        prices={
            "input": Decimal("1.25"),
            "output": Decimal(10),
            "input_cache_read": Decimal("0.125"),
        },
        capabilities={
            Capability.IMAGES: True,
            Capability.TOOLS: True,
            Capability.TOOL_CHOICE: True,
            Capability.JSON_SCHEMA: True,
        },
        unlisted=(Capability.DOCUMENTS, Capability.AUDIO),
        retires_at="2027-03-31",
    )


def test_a_router_has_no_price() -> None:
    """A price of "-1" says that it depends: neither free nor a refund."""
    found = _read(context_length=2_000_000, pricing={"prompt": "-1", "completion": "-1"})
    assert found == Claims(context_window=2_000_000)


def test_a_free_model_is_free() -> None:
    """Zero is a price where all of them are."""
    assert _read(pricing={"prompt": "0", "completion": "0"}).prices == {"input": 0, "output": 0}


@pytest.mark.parametrize(
    ("model", "first", "window"),
    [(131072, 32768, 32768), (131072, None, 131072), (None, 32768, 32768), (8, 131072, 8)],
)
def test_the_smaller_window_is_what_is_sure_to_fit(
    model: int | None, first: int | None, window: int
) -> None:
    """Who serves a model first may serve less of it than the model could take."""
    top = {"context_length": first, "max_completion_tokens": None}
    assert _read(context_length=model, top_provider=top) == Claims(context_window=window)


@pytest.mark.parametrize("value", [1.25e-6, "free", "", "1e999999", "9" * 100_000, "NaN", None])
def test_what_is_no_price_is_unknown(value: object) -> None:
    """Numbers are no prices here, and words cost neither money nor time."""
    assert _read(pricing={"prompt": value}).prices == {}
