"""Groq's listing: windows, output limits, and models that are off."""

from support.listings import drive

from gatewayctl.registry.claims import Claims


def test_limits_are_read_and_what_is_not_active_is_left_out() -> None:
    """A model that is off cannot be asked, whatever it would hold."""
    data = [
        {
            "id": "openai/gpt-oss-120b",
            "active": True,
            "context_window": 131072,
            "max_completion_tokens": 65536,
        },
        {"id": "off", "active": False, "context_window": 8192},
        {"id": "silent"},
    ]
    found = drive("groq", {"/openai/v1/models": {"data": data}}, base="https://g.example/openai/v1")
    assert found.models == {
        "openai/gpt-oss-120b": Claims(context_window=131072, max_output_tokens=65536),
        "silent": Claims(),
    }
    assert found.skipped == {"not active": 1}
