"""OpenAI's listing: which models there are and when they go, and nothing of what they hold."""

from support.listings import drive

from gatewayctl.registry.claims import Claims


def test_it_says_which_models_there_are_and_when_they_go() -> None:
    """Limits that its API does not have are not read, whoever wrote them there."""
    found = drive(
        "openai",
        {
            "/v1/models": {
                "object": "list",
                "data": [
                    {"id": "gpt-5", "object": "model", "created": 1, "owned_by": "openai"},
                    {"id": "o1", "object": "model", "shutdown_date": "2026-10-23"},
                    {"id": "odd", "shutdown_date": "soon", "context_window": 7},
                ],
            }
        },
    )
    assert found.models == {
        "gpt-5": Claims(),
        "o1": Claims(retires_at="2026-10-23"),
        "odd": Claims(),
    }
