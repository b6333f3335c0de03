"""The simulator's list of models, in OpenAI's and in Anthropic's shape."""

from collections.abc import Mapping
from typing import Final

import msgspec

from gatewayctl.simulator import problems
from gatewayctl.simulator.catalogue import SimModel

_PATH: Final = "/v1/models"
_SINCE: Final = 1_767_225_600
_SINCE_ISO: Final = "2026-01-01T00:00:00Z"


def reply(path: str, models: Mapping[str, SimModel], *, anthropic: bool) -> tuple[int, bytes]:
    """Return status and body for a GET of ``path``; ``/`` is alive, anything else unknown."""
    describe = _anthropic if anthropic else _openai
    if path == "/":
        return 200, b"{}"
    if path == _PATH:
        data = [describe(model) for model in models.values()]
        listed: dict[str, object] = {"data": data}
        if anthropic:
            listed |= {"has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        else:
            listed |= {"object": "list"}
        return 200, msgspec.json.encode(listed)
    name = path.removeprefix(_PATH + "/")
    if name in models:
        return 200, msgspec.json.encode(describe(models[name]))
    if anthropic:
        problem = problems.anthropic_unknown_model(name)
        return problem.status, problems.anthropic_body(problem)
    problem = problems.openai_unknown_model(name)
    return problem.status, problems.openai_body(problem)


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
