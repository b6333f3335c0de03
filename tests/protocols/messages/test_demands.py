"""What a Messages request demands that not every protocol can say."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.shape import Demand
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
TOOL = {"name": "f", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FILE = {"type": "file", "file_id": "file_1"}
LINK = {"type": "url", "url": "https://example.org/a"}


def demands(content: Any = "hi", **fields: Any) -> frozenset[Demand]:
    """Return the demands of a request with this content."""
    messages = [{"role": "user", "content": content}]
    body = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": messages} | fields)
    return CODEC.shape(body).demands


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, set()),
        ({"stop_sequences": None}, set()),
        ({"stop_sequences": []}, set()),
        ({"stop_sequences": ["x"]}, {Demand.STOP}),
        ({"tools": [TOOL, SEARCH], "tool_choice": {"type": "any"}}, set()),
        ({"tools": [TOOL, SEARCH], "tool_choice": {"type": "auto"}}, set()),
        ({"tools": [SEARCH], "tool_choice": {"type": "auto"}}, set()),
        ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, {Demand.HOSTED_TOOL}),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}}, set()),
        (
            {"tools": [TOOL, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
            {Demand.HOSTED_TOOL},
        ),
    ],
)
def test_fields_tell_what_cannot_be_dropped(fields: dict[str, Any], found: set[Demand]) -> None:
    """Stop sequences, and tools that must be called and that no client can run."""
    assert demands(**fields) == found


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"type": "image", "source": LINK}, set()),
        ({"type": "document", "source": LINK}, {Demand.DOCUMENT_URL}),
        ({"type": "document", "source": {"type": "text", "data": "x"}}, set()),
        ({"type": "image", "source": FILE}, {Demand.UPLOADED}),
        ({"type": "document", "source": FILE}, {Demand.UPLOADED}),
        ({"type": "container_upload", "file_id": "file_1"}, {Demand.UPLOADED}),
    ],
)
def test_blocks_tell_what_cannot_be_dropped(block: dict[str, Any], found: set[Demand]) -> None:
    """Files that one provider alone has, and addresses of documents, in results as well."""
    assert demands([block]) == found
    result = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    inside = set() if block["type"] == "container_upload" else found
    assert demands([result]) == inside
