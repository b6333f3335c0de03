"""GitHub Copilot's listing: three maxima that are not parts of each other."""

from support.listings import drive

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims


def test_the_three_maxima_stay_apart() -> None:
    """The window is not prompt and output added up; what is not enabled cannot be asked."""
    data = [
        {
            "id": "gpt-5",
            "capabilities": {
                "family": "gpt-5",
                "limits": {
                    "max_context_window_tokens": 400_000,
                    "max_prompt_tokens": 128_000,
                    "max_output_tokens": 128_000,
                },
                "supports": {"tool_calls": True, "vision": True, "streaming": True},
                "type": "chat",
            },
            "policy": {"state": "enabled"},
        },
        {"id": "off", "policy": {"state": "disabled"}, "capabilities": {"limits": {}}},
        {"id": "embed", "capabilities": {"limits": {"max_inputs": 512}, "type": "embeddings"}},
    ]
    found = drive("copilot", {"/models": {"data": data}}, base="https://api.c.example")
    assert found.models == {
        "gpt-5": Claims(
            context_window=400_000,
            max_input_tokens=128_000,
            max_output_tokens=128_000,
            capabilities={Capability.TOOLS: True, Capability.IMAGES: True},
        ),
        "embed": Claims(),
    }
    assert found.skipped == {"not enabled": 1}
