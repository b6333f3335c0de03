"""The gateway config that puts the simulator behind a gateway: ``demo.toml`` with its address."""

from importlib import resources
from typing import Final

_PLACEHOLDER: Final = "http://127.0.0.1:0"


def demo_config(base_url: str) -> str:
    """Return ``demo.toml`` for a simulator at ``base_url`` (``Simulator.base_url``)."""
    text = resources.files(__package__).joinpath("demo.toml").read_text(encoding="utf-8")
    return text.replace(_PLACEHOLDER, base_url.rstrip("/").removesuffix("/v1"))
