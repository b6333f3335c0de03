"""Local model servers that the simulator plays: what they list, and what is too long for them.

``local.Local`` is the state of the one that is played; each other module is one kind, and satisfies
``local.Kind``. What is answered to a prompt that fits is ``brain``'s business as ever.
"""

from collections.abc import Mapping
from typing import Final

from gatewayctl.simulator.servers import compatible, llamacpp, lmstudio, ollama, vllm
from gatewayctl.simulator.servers.local import Kind, Local

KINDS: Final[Mapping[str, Kind]] = {
    "ollama": ollama,
    "vllm": vllm,
    "lmstudio": lmstudio,
    "llamacpp": llamacpp,
    "compatible": compatible,
}
"""Every kind by the name that ``Local.kind`` has."""

__all__ = ["KINDS", "Kind", "Local"]
