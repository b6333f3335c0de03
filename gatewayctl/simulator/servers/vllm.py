"""vLLM: its listing tells what it serves, and it refuses what would not fit with its output."""

from typing import Final

from gatewayctl.simulator.servers.local import (
    SINCE,
    Answered,
    Local,
    Overlong,
    openai_list,
    said,
)

MODEL: Final = "Qwen/Qwen3-8B"
OVERLONG: Final = Overlong.REFUSE
WORDS: Final = "vllm"
RESERVES_OUTPUT: Final = True

_VERSION: Final = "0.11.0"


def answer(method: str, path: str, body: bytes, local: Local) -> Answered | None:
    """Answer the listing, the version and the question whether it is well."""
    del body
    match method, path:
        case (("GET" | "HEAD"), ("/" | "/health")):
            return Answered(body=b"")
        case "GET", "/version":
            return said({"version": _VERSION})
        case "GET", "/v1/models":
            return openai_list([_entry(name, local) for name in local.models])
        case _:
            return None


def _entry(name: str, local: Local) -> dict[str, object]:
    permission = {
        "id": "modelperm-simulated",
        "object": "model_permission",
        "created": SINCE,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": SINCE,
        "owned_by": "vllm",
        "root": name,
        "parent": None,
        "max_model_len": local.context,
        "permission": [permission],
    }
