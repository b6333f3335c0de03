"""The simulator's list of models, in OpenAI's, in Anthropic's and in Google's shape."""

import re
from collections.abc import Callable, Mapping
from typing import Final, assert_never

import msgspec

from gatewayctl.simulator import problems
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Vendor

_PATH: Final = re.compile("/(v1|v1beta|v1alpha)/models(?:/(?P<name>.+))?")
_SINCE: Final = 1_767_225_600
_SINCE_ISO: Final = "2026-01-01T00:00:00Z"


def shape(path: str, header: Callable[[str], str | None]) -> Vendor:
    """Return whose shape is wanted: the path's, else that of the caller's own headers."""
    if path.startswith(("/v1beta", "/v1alpha")) or header("x-goog-api-key") is not None:
        return Vendor.GOOGLE
    return Vendor.OPENAI if header("anthropic-version") is None else Vendor.ANTHROPIC


def reply(path: str, models: Mapping[str, SimModel], vendor: Vendor) -> tuple[int, bytes]:
    """Return status and body for a GET of ``path``; ``/`` is alive, anything else unknown."""
    if path == "/":
        return 200, b"{}"
    described = {name: _DESCRIBED[vendor](model) for name, model in models.items()}
    found = _PATH.fullmatch(path)
    if found is not None and found["name"] is None:
        return 200, msgspec.json.encode(_list(list(described.values()), vendor))
    name = path.removeprefix("/v1/models/") if found is None else found["name"]
    if name in described:
        return 200, msgspec.json.encode(described[name])
    problem, body = _UNKNOWN[vendor]
    return 404, body(problem(name))


def _list(described: list[dict[str, object]], vendor: Vendor) -> dict[str, object]:
    match vendor:
        case Vendor.OPENAI:
            return {"object": "list", "data": described}
        case Vendor.ANTHROPIC:
            ids = {"first_id": described[0]["id"], "last_id": described[-1]["id"]}
            return {"data": described, "has_more": False, **ids}
        case Vendor.GOOGLE:
            return {"models": described}
        case _:
            assert_never(vendor)


def _openai(model: SimModel) -> dict[str, object]:
    return {"id": model.id, "object": "model", "created": _SINCE, "owned_by": "simulator"}


def _anthropic(model: SimModel) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": f"Simulated {model.id}",
        "created_at": _SINCE_ISO,
        "lifecycle": "active",
        "max_input_tokens": model.window,
        "max_tokens": model.max_output,
        "capabilities": None,
    }


def _google(model: SimModel) -> dict[str, object]:
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": f"Simulated {model.id}",
        "description": "A model of the simulator.",
        "inputTokenLimit": model.window,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


_DESCRIBED: Final = {
    Vendor.OPENAI: _openai,
    Vendor.ANTHROPIC: _anthropic,
    Vendor.GOOGLE: _google,
}
_UNKNOWN: Final = {
    Vendor.OPENAI: (problems.openai_unknown_model, problems.openai_body),
    Vendor.ANTHROPIC: (problems.anthropic_unknown_model, problems.anthropic_body),
    Vendor.GOOGLE: (problems.google_unknown_model, problems.google_body),
}
