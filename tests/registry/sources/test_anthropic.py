"""Anthropic's listing: pages, limits that may be null, and where a model stands."""

import pytest
from support.listings import drive

from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims

SONNET = {
    "type": "model",
    "id": "claude-sonnet-x",
    "display_name": "Claude Sonnet X",
    "created_at": "2026-01-01T00:00:00Z",
    "lifecycle": "active",
    "deprecated_at": None,
    "retires_at": None,
    "max_input_tokens": 1_000_000,
    "max_tokens": 128_000,
    "capabilities": {
        "batch": {"supported": True},
        "image_input": {"supported": True},
        "pdf_input": {"supported": False},
        "structured_outputs": {"supported": True},
        "thinking": {"supported": True, "types": {"adaptive": {"supported": True}}},
    },
}


def _page(*entries: object, more: object = False, last: object = None) -> dict[str, object]:
    return {"data": list(entries), "has_more": more, "last_id": last, "first_id": None}


def test_limits_capabilities_and_lifecycle_are_read() -> None:
    """``max_tokens`` is the reply's limit here; nothing says the window of both."""
    found = drive("anthropic", {"/v1/models?limit=1000": _page(SONNET)})
    assert found.models == {
        "claude-sonnet-x": Claims(
            max_input_tokens=1_000_000,
            max_output_tokens=128_000,
            capabilities={
                Capability.IMAGES: True,
                Capability.DOCUMENTS: False,
                Capability.JSON_SCHEMA: True,
                Capability.REASONING: True,
            },
            lifecycle="active",
        )
    }


def test_null_limits_are_unknown_and_dates_lose_their_time() -> None:
    """A deprecated model says since when and until when; a retired one is none any more."""
    old = {
        **SONNET,
        "id": "old",
        "lifecycle": "deprecated",
        "deprecated_at": "2026-06-01T10:00:00Z",
        "retires_at": "2027-01-05T00:00:00Z",
        "max_input_tokens": None,
        "max_tokens": None,
        "capabilities": None,
    }
    gone = {**SONNET, "id": "gone", "lifecycle": "retired"}
    found = drive("anthropic", {"/v1/models?limit=1000": _page(old, gone)})
    assert found.models == {
        "old": Claims(lifecycle="deprecated", deprecated_at="2026-06-01", retires_at="2027-01-05")
    }
    assert found.skipped == {"retired": 1}


def test_pages_follow_the_last_id() -> None:
    """Each page is asked for after the last id of the one before, until there is no more."""
    found = drive(
        "anthropic",
        {
            "/v1/models?limit=1000": _page({"id": "a"}, more=True, last="a b&c"),
            "/v1/models?limit=1000&after_id=a%20b%26c": _page({"id": "b"}, {"id": "a"}),
        },
    )
    assert list(found.models) == ["a", "b"]
    assert found.skipped == {"duplicate": 1}
    assert len(found.asked) == 2


@pytest.mark.parametrize("last", [None, "", 7, "x" * 5000])
def test_more_without_a_cursor_is_a_failure(last: object) -> None:
    """Half a listing must not pass for a whole one."""
    with pytest.raises(SourceFailed, match="not where"):
        drive("anthropic", _page({"id": "a"}, more=True, last=last))
