"""Ollama: trained windows are not served ones, and only what is loaded is known to be served."""

from typing import Any

import msgspec
from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.sources.asking import MOST_ASKED_ONE_BY_ONE


def _show(name: str) -> str:
    return f"POST /api/show {msgspec.json.encode({'model': name}).decode()}"


def _tags(*names: str) -> dict[str, Any]:
    return {"/api/tags": {"models": [{"name": name, "model": name} for name in names]}}


def _shown(trained: int = 40960, **more: Any) -> dict[str, Any]:
    info = {
        "general.architecture": "qwen3",
        "qwen3.context_length": trained,
        "qwen3.vision.context_length": 77,
    }
    return {"model_info": info, **more}


def _ps(name: str, size: object) -> dict[str, Any]:
    return {"/api/ps": {"models": [{"name": name, "model": name, "context_length": size}]}}


def test_what_is_loaded_says_what_it_is_served_with() -> None:
    """Trained for 40960 and loaded with 4096, it holds 4096; what is not loaded is unknown."""
    found = drive(
        "ollama",
        _tags("qwen3:8b", "idle:1b")
        | {_show("qwen3:8b"): _shown(), _show("idle:1b"): _shown(8192)}
        | _ps("qwen3:8b", 4096),
    )
    assert found.models == {
        "qwen3:8b": Claims(context_window=40960, served=4096),
        "idle:1b": Claims(context_window=8192),
    }
    assert found.asked == ("/api/tags", _show("qwen3:8b"), _show("idle:1b"), "/api/ps")


def test_a_models_own_num_ctx_says_with_what_it_will_be_loaded() -> None:
    """At most what it was trained for; what is loaded now counts before it."""
    text = 'stop                           "<|im_end|>"\nnum_ctx                        8192\n'
    replies = _tags("m") | {_show("m"): _shown(parameters=text)}
    assert drive("ollama", replies).models["m"].served == 8192
    small = _tags("m") | {_show("m"): _shown(2048, parameters=text)}
    assert drive("ollama", small).models["m"].served == 2048
    assert drive("ollama", replies | _ps("m", 16384)).models["m"].served == 16384
    assert drive("ollama", replies | _ps("m", None)).models["m"].served == 8192


def test_a_name_without_a_tag_is_its_latest() -> None:
    """``llama3`` and ``llama3:latest`` are one model."""
    found = drive("ollama", _tags("llama3:latest") | {_show("llama3:latest"): _shown(8192)})
    assert found.models == {
        "llama3:latest": Claims(context_window=8192),
        "llama3": Claims(context_window=8192, alias_of="llama3:latest"),
    }


def test_a_model_of_its_cloud_is_served_whole() -> None:
    """It is never loaded here, so that it would be taken for 4096 for ever."""
    shown = _shown(262144, remote_host="https://ollama.com:443", remote_model="qwen")
    found = drive("ollama", _tags("qwen:cloud") | {_show("qwen:cloud"): shown})
    assert found.models == {"qwen:cloud": Claims(context_window=262144, served=262144)}


def test_capabilities_are_a_list_of_what_a_model_can() -> None:
    """What is not in it is a weak no; without a list nothing is known."""
    shown = _shown(capabilities=["completion", "tools", "thinking"])
    claims = drive("ollama", _tags("m") | {_show("m"): shown}).models["m"]
    assert claims.capabilities == {Capability.TOOLS: True, Capability.REASONING: True}
    assert claims.unlisted == (Capability.IMAGES, Capability.AUDIO)


def test_a_server_of_an_older_kind_is_read_as_far_as_it_goes() -> None:
    """No ``model`` beside the name, no architecture, no answer for one model or what is loaded."""
    info = {"llama.context_length": 4096, "clip.context_length": 9999}
    found = drive(
        "ollama",
        {
            "/api/tags": {"models": [{"name": "old"}, {"size": 7}, "odd", {"name": "broken"}]},
            _show("old"): {"model_info": info},
            _show("broken"): 500,
            "/api/ps": b"<html>",
        },
    )
    assert found.models == {"old": Claims(context_window=4096), "broken": Claims()}
    assert found.skipped == {"no model id": 1, "not an object": 1}


def test_a_server_of_very_many_models_is_not_asked_for_ever() -> None:
    """The rest is known by name."""
    names = [f"m{n}" for n in range(MOST_ASKED_ONE_BY_ONE + 44)]
    found = drive("ollama", _tags(*names))
    assert list(found.models) == names
    assert len(found.asked) == MOST_ASKED_ONE_BY_ONE + 2
