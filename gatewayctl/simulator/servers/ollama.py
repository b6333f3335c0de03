"""Ollama: its listing tells what a model was trained for, ``/api/ps`` what is served of it.

The latter only of models that are loaded; a prompt that is too long is cut without a word.
"""

from typing import Final

from gatewayctl.simulator.servers.local import (
    ARCHITECTURE,
    DIGEST,
    SINCE,
    SINCE_ISO,
    SIZE,
    Answered,
    Local,
    Overlong,
    fields_of,
    openai_list,
    said,
)

MODEL: Final = "qwen3:8b"
OVERLONG: Final = Overlong.CUT
WORDS: Final = "ollama"
RESERVES_OUTPUT: Final = False

_VERSION: Final = "0.12.6"
_EXPIRES: Final = "2318-01-01T00:00:00Z"
_DETAILS: Final = {
    "parent_model": "",
    "format": "gguf",
    "family": ARCHITECTURE,
    "families": [ARCHITECTURE],
    "parameter_size": "8.2B",
    "quantization_level": "Q4_K_M",
}


def answer(method: str, path: str, body: bytes, local: Local) -> Answered | None:
    """Answer on Ollama's own paths, and on the compatible listing."""
    match method, path:
        case (("GET" | "HEAD"), "/"):
            return Answered(body=b"Ollama is running", content_type="text/plain")
        case "POST", "/api/show":
            return _show(body, local)
        case "POST", "/api/generate":
            return _generate(body, local)
        case "GET", _:
            return _listing(path, local)
        case _:
            return None


def _listing(path: str, local: Local) -> Answered | None:
    match path:
        case "/api/version":
            return said({"version": _VERSION})
        case "/api/tags":
            return said({"models": [_tag(name) for name in local.models]})
        case "/api/ps":
            loaded = [name for name in local.models if name in local.loaded]
            return said({"models": [_running(name, local) for name in loaded]})
        case "/v1/models":
            return openai_list([_entry(name) for name in local.models])
        case _:
            return None


def _tag(name: str) -> dict[str, object]:
    return {
        "name": name,
        "model": name,
        "modified_at": SINCE_ISO,
        "size": SIZE,
        "digest": DIGEST,
        "details": _DETAILS,
    }


def _running(name: str, local: Local) -> dict[str, object]:
    running: dict[str, object] = {key: _tag(name)[key] for key in ("name", "model", "size")}
    return {
        **running,
        "digest": DIGEST,
        "details": _DETAILS,
        "expires_at": _EXPIRES,
        "size_vram": SIZE,
        "context_length": local.context,
    }


def _entry(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": SINCE, "owned_by": "library"}


def _show(body: bytes, local: Local) -> Answered:
    """Answer ``/api/show``: the figures are those of the model's file."""
    fields = fields_of(body)
    name = fields.get("model") or fields.get("name")
    if name not in local.models:
        return _unknown(name)
    return said(
        {
            "license": "Apache License",
            "modelfile": f"FROM {name}\n",
            "parameters": 'stop                           "<|im_end|>"',
            "template": "{{ .Prompt }}",
            "details": _DETAILS,
            "model_info": {
                "general.architecture": ARCHITECTURE,
                "general.parameter_count": 8_190_735_360,
                f"{ARCHITECTURE}.attention.head_count": 32,
                f"{ARCHITECTURE}.block_count": 36,
                f"{ARCHITECTURE}.context_length": local.trained,
                f"{ARCHITECTURE}.embedding_length": 4096,
            },
            "capabilities": ["completion", "tools"],
            "modified_at": SINCE_ISO,
        }
    )


def _generate(body: bytes, local: Local) -> Answered:
    """Answer ``/api/generate`` without a prompt, which loads a model, or unloads it."""
    fields = fields_of(body)
    name = fields.get("model")
    if name not in local.models:
        return _unknown(name)
    if fields.get("prompt"):
        return said({"error": "the simulator generates on its chat paths only"}, status=400)
    unloads = fields.get("keep_alive") in (0, "0")
    if unloads:
        local.loaded.discard(name)
    else:
        local.loaded.add(name)
    return said(
        {
            "model": name,
            "created_at": SINCE_ISO,
            "response": "",
            "done": True,
            "done_reason": "unload" if unloads else "load",
        }
    )


def _unknown(name: object) -> Answered:
    return said({"error": f"model '{name}' not found"}, status=404)
