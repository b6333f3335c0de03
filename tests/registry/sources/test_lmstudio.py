"""LM Studio's listings: what is loaded comes before what could be."""

import msgspec
from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims

V1 = "/api/v1/models"
V0 = "/api/v0/models"


def test_v1_says_what_each_instance_runs_with() -> None:
    """A model that is not loaded has no served window; another instance has a name of its own."""
    models = [
        {
            "type": "llm",
            "key": "google/gemma-x",
            "max_context_length": 262144,
            "loaded_instances": [
                {"id": "google/gemma-x", "config": {"context_length": 122880}},
                {"id": "google/gemma-x:2", "config": {"context_length": 4096}},
            ],
            "capabilities": {"vision": True, "trained_for_tool_use": False},
        },
        {"type": "llm", "key": "qwen", "max_context_length": 40960, "loaded_instances": []},
        {"type": "embedding", "id": "no-key"},
    ]
    found = drive("lmstudio", {V1: {"models": models}})
    gemma = Claims(
        context_window=262144,
        served=4096,
        capabilities={Capability.TOOLS: False, Capability.IMAGES: True},
    )
    assert found.models == {
        "google/gemma-x": gemma,
        "google/gemma-x:2": msgspec.structs.replace(gemma, alias_of="google/gemma-x"),
        "qwen": Claims(context_window=40960),
    }
    assert found.skipped == {"no model id": 1}
    assert found.asked == (V1,)


def test_v0_is_asked_where_there_is_no_v1() -> None:
    """``loaded_context_length`` counts only while the model is loaded."""
    data = [
        {
            "id": "gemma",
            "type": "vlm",
            "state": "loaded",
            "max_context_length": 131072,
            "loaded_context_length": 4096,
            "capabilities": ["tool_use"],
        },
        {
            "id": "qwen",
            "type": "llm",
            "state": "not-loaded",
            "max_context_length": 40960,
            "loaded_context_length": 4096,
        },
    ]
    found = drive("lmstudio", {V1: 404, V0: {"object": "list", "data": data}})
    assert found.models == {
        "gemma": Claims(
            context_window=131072,
            served=4096,
            capabilities={Capability.TOOLS: True, Capability.IMAGES: True},
        ),
        "qwen": Claims(context_window=40960),
    }


def test_the_compatible_listing_is_the_last_resort() -> None:
    """An older or another server has ids at least; an error in words is no listing."""
    wrong = {"error": "Unexpected endpoint or method"}
    found = drive("lmstudio", {V1: wrong, V0: b"not JSON", "/v1/models": {"data": [{"id": "m"}]}})
    assert found.models == {"m": Claims()}
    assert found.asked == (V1, V0, "/v1/models")
