"""llama.cpp's server: how a model was trained is one thing, what each slot holds another."""

from typing import Any

from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims


def _models(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"/v1/models": {"object": "list", "data": list(entries)}}


ALONE = _models({"id": "qwen.gguf", "meta": {"n_ctx_train": 40960}, "aliases": ["qwen"]})


def _props(size: int) -> dict[str, Any]:
    return {
        "default_generation_settings": {"n_ctx": size, "params": {}},
        "modalities": {"vision": True, "audio": False},
    }


def test_what_is_served_comes_from_props() -> None:
    """Trained for 40960 and started with 4096, it holds 4096."""
    found = drive("llamacpp", ALONE | {"/props": _props(4096), "/slots": 501})
    said = Claims(
        context_window=40960,
        served=4096,
        capabilities={Capability.IMAGES: True, Capability.AUDIO: False},
    )
    assert found.models["qwen.gguf"] == said
    assert found.models["qwen"].alias_of == "qwen.gguf"


def test_a_size_beside_the_settings_counts_too() -> None:
    """Some servers of this API say it at the top of their properties; the smallest is sure."""
    for props, served in (({"n_ctx": 6144}, 6144), (_props(4096) | {"n_ctx": 16384}, 4096)):
        found = drive("llamacpp", ALONE | {"/props": props})
        assert found.models["qwen.gguf"].served == served


def test_the_smallest_slot_counts() -> None:
    """A request may come into any of them."""
    slots = [{"id": 0, "n_ctx": 8192}, {"id": 1, "n_ctx": 2048}, {"id": 2}, 7]
    found = drive("llamacpp", ALONE | {"/props": _props(4096), "/slots": slots})
    assert found.models["qwen.gguf"].served == 2048


def test_a_server_without_properties_has_its_models_alone() -> None:
    """llama-cpp-python's lists ids and no more; properties behind a key are as good as none."""
    listed = {"object": "list", "data": [{"id": "tiny", "permissions": []}]}
    found = drive("llamacpp", {"/v1/models": listed, "/props": 401})
    assert found.models == {"tiny": Claims()}


def test_the_listings_own_size_counts_too() -> None:
    """Newer servers say beside the trained size what they run with."""
    listed = _models({"id": "m", "meta": {"n_ctx_train": 40960, "n_ctx": 8192}})
    assert drive("llamacpp", listed).models == {"m": Claims(context_window=40960, served=8192)}
    both = drive("llamacpp", listed | {"/props": _props(0)})
    assert both.models["m"].served == 8192


def test_a_server_of_several_models_is_asked_for_those_that_are_loaded() -> None:
    """Asking must not make it load one; a placeholder of 0 says nothing."""
    listed = _models(
        {"id": "a b", "status": {"value": "loaded"}},
        {"id": "idle", "status": {"value": "unloaded"}},
    )
    asked = "?model=a%20b&autoload=false"
    found = drive("llamacpp", listed | {f"/props{asked}": _props(4096), "/props": _props(0)})
    assert found.models["a b"].served == 4096
    assert found.models["idle"] == Claims()
    assert found.asked == ("/v1/models", f"/props{asked}", f"/slots{asked}")
