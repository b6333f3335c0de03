"""A compatible server that tells nothing of its context, and cuts what is too long without a word.

All that gives it away is the usage it reports.
"""

from typing import Final

from gatewayctl.simulator.servers.local import SINCE, Answered, Local, Overlong, openai_list

MODEL: Final = "qwen3-8b"
OVERLONG: Final = Overlong.CUT
WORDS: Final = "openai"
RESERVES_OUTPUT: Final = False


def answer(method: str, path: str, body: bytes, local: Local) -> Answered | None:
    """Answer the listing, which names models and nothing more."""
    del body
    if (method, path) != ("GET", "/v1/models"):
        return None
    return openai_list(
        [
            {"id": name, "object": "model", "created": SINCE, "owned_by": "local"}
            for name in local.models
        ]
    )
