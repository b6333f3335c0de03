"""llama.cpp's server: its listing tells what the model was trained for, ``/props`` what is served.

It refuses a prompt that is too long in words of its own; older ones shifted it out, which is
``Overlong.CUT``.
"""

from typing import Final

from gatewayctl.simulator.servers.local import SINCE, SIZE, Answered, Local, Overlong, said

MODEL: Final = "qwen3-8b-q4_k_m.gguf"
OVERLONG: Final = Overlong.REFUSE
WORDS: Final = "llamacpp"
RESERVES_OUTPUT: Final = False

_BUILD: Final = "b6600-simulated"


def answer(method: str, path: str, body: bytes, local: Local) -> Answered | None:
    """Answer the listing, the properties, the slots and the question whether it is well."""
    del body
    match method, path:
        case "GET", ("/health" | "/v1/health"):
            return said({"status": "ok"})
        case "GET", ("/models" | "/v1/models"):
            return said(_models(local))
        case "GET", "/props":
            return said(_props(local))
        case "GET", "/slots":
            return said([_slot(local)])
        case _:
            return None


def _models(local: Local) -> dict[str, object]:
    """Return the list twice, as the server does: in Ollama's shape and in OpenAI's."""
    data = [
        {
            "id": name,
            "object": "model",
            "created": SINCE,
            "owned_by": "llamacpp",
            "meta": {
                "vocab_type": 2,
                "n_vocab": 151_936,
                "n_ctx_train": local.trained,
                "n_embd": 4096,
                "n_params": 8_190_735_360,
                "size": SIZE,
            },
        }
        for name in local.models
    ]
    tags = [
        {"name": name, "model": name, "type": "model", "capabilities": ["completion"]}
        for name in local.models
    ]
    return {"models": tags, "object": "list", "data": data}


def _slot(local: Local) -> dict[str, object]:
    return {
        "id": 0,
        "n_ctx": local.context,
        "speculative": False,
        "is_processing": False,
        "params": {"n_predict": -1, "n_keep": 0, "n_discard": 0},
    }


def _props(local: Local) -> dict[str, object]:
    return {
        "default_generation_settings": _slot(local),
        "total_slots": 1,
        "model_alias": local.models[0],
        "model_path": f"/models/{local.models[0]}",
        "modalities": {"vision": False, "audio": False},
        "chat_template": "{{ messages }}",
        "build_info": _BUILD,
    }
