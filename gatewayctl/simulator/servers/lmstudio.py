"""LM Studio: both of its listings tell what a model could hold, and, once loaded, what it does.

It loads a model on the first call and cuts a prompt that is too long without a word.
"""

from typing import Final

from gatewayctl.simulator.servers.local import (
    ARCHITECTURE,
    SIZE,
    Answered,
    Local,
    Overlong,
    openai_list,
    said,
)

MODEL: Final = "qwen3-8b"
OVERLONG: Final = Overlong.CUT
WORDS: Final = "lmstudio"
RESERVES_OUTPUT: Final = False

_PUBLISHER: Final = "qwen"
_OLD: Final = "/api/v0/models"


def answer(method: str, path: str, body: bytes, local: Local) -> Answered | None:
    """Answer the listings: the two of its own, and the compatible one."""
    del body
    name = path.removeprefix(f"{_OLD}/")
    match method, path:
        case "GET", "/v1/models":
            return openai_list([_entry(name) for name in local.models])
        case "GET", "/api/v0/models":
            return openai_list([_old(name, local) for name in local.models])
        case "GET", "/api/v1/models":
            return said({"models": [_new(name, local) for name in local.models]})
        case "GET", _ if name in local.models:
            return said(_old(name, local))
        case _:
            return None


def _entry(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "owned_by": "organization_owner"}


def _old(name: str, local: Local) -> dict[str, object]:
    is_loaded = name in local.loaded
    listed: dict[str, object] = {
        "id": name,
        "object": "model",
        "type": "llm",
        "publisher": _PUBLISHER,
        "arch": ARCHITECTURE,
        "compatibility_type": "gguf",
        "quantization": "Q4_K_M",
        "state": "loaded" if is_loaded else "not-loaded",
        "max_context_length": local.trained,
    }
    return {**listed, "loaded_context_length": local.context} if is_loaded else listed


def _new(name: str, local: Local) -> dict[str, object]:
    config = {
        "context_length": local.context,
        "eval_batch_size": 512,
        "flash_attention": False,
        "num_experts": 0,
        "offload_kv_cache_to_gpu": True,
    }
    return {
        "type": "llm",
        "publisher": _PUBLISHER,
        "key": name,
        "display_name": "Qwen3 8B",
        "architecture": ARCHITECTURE,
        "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
        "size_bytes": SIZE,
        "params_string": "8B",
        "loaded_instances": [{"id": name, "config": config}] if name in local.loaded else [],
        "max_context_length": local.trained,
        "format": "gguf",
        "capabilities": {"vision": False, "trained_for_tool_use": True},
        "description": None,
    }
