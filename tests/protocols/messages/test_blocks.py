"""The content blocks of a Messages request, read as parts of the IR."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Call,
    Document,
    Image,
    Inline,
    Linked,
    Message,
    Prompt,
    Result,
    Role,
    Seal,
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.protocols import provenance
from gatewayctl.protocols.messages import ids
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
USER = {"role": "user", "content": "hi"}


def prompt(*messages: dict[str, Any]) -> Prompt:
    """Return the prompt that a request with these messages is read as."""
    return CODEC.read_prompt(msgspec.json.encode({"model": "m", "messages": list(messages)}))


def parts(*blocks: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    """Return the parts that one message of these blocks is read as."""
    (message,) = prompt({"role": role, "content": list(blocks)}).messages
    return message.parts


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text(text="a")),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}},
            Image(source=Linked(url="https://x.test/a")),
        ),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            Image(source=Inline(media_type="image/png", data="AA"), cache="1h"),
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            Image(source=Uploaded(id="file_1")),
        ),
        (
            {
                "type": "document",
                "title": "A",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
            },
            Document(source=Inline(media_type="application/pdf", data="AA"), name="A"),
        ),
        (
            {"type": "document", "source": {"type": "text", "data": "words"}},
            Document(text="words"),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "words"}},
            Document(text="words"),
        ),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "https://x.test",
                "content": [{"type": "text", "text": "found"}],
            },
            Document(text="https://x.test\nfound", name="T"),
        ),
        ({"type": "container_upload", "file_id": "f"}, Document(source=Uploaded(id="f"))),
        ({"type": "compaction", "content": "so far"}, Text(text="so far")),
        (
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1]}},
            Call(id="toolu_1", name="f", arguments='{"a":[1]}'),
        ),
        (
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"},
            Result(id="toolu_1", content=(Text(text="ok"),)),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t", "is_error": True},
            Result(id="t", failed=True),
        ),
        (
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [
                    {"type": "text", "text": "seen"},
                    {"type": "image", "source": {"type": "url", "url": "u"}},
                    {"type": "document", "source": {"type": "text", "data": "doc"}},
                ],
                "cache_control": {"type": "ephemeral"},
            },
            Result(
                id="t",
                content=(
                    Text(text="seen"),
                    Image(source=Linked(url="u")),
                    Document(text="doc"),
                ),
                cache="5m",
            ),
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            Thought(text="hm", seal=Seal(form="messages.signature", data="c2ln")),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thought(text="hm")),
        (
            {"type": "redacted_thinking", "data": "AAAA"},
            Thought(seal=Seal(form="messages.redacted", data="AAAA")),
        ),
    ],
)
def test_each_block_is_a_part(block: dict[str, Any], part: Any) -> None:
    """Every kind of block that says something to a model."""
    assert parts(block) == (part,)


def test_a_document_of_blocks_keeps_its_images() -> None:
    """Its text becomes one document, its images stand behind it."""
    image = {"type": "image", "source": {"type": "url", "url": "u"}}
    texts = [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]
    block = {"type": "document", "source": {"type": "content", "content": texts}}
    assert parts(block) == (Document(text="a\nb"), Image(source=Linked(url="u")))


def test_thoughts_of_translated_replies_are_known_again() -> None:
    """A tag gives back the seal and the model that it is of, and a text that was not shown."""
    seal = Seal(form="responses.encrypted", data="AAAA", origin="openai/gpt")
    tag = provenance.tag(seal, "other/model")
    plain = provenance.tag(Seal(form="text", data="unseen"), "deepseek/r1")
    found = parts(
        {"type": "thinking", "thinking": "hm", "signature": tag},
        {"type": "redacted_thinking", "data": tag},
        {"type": "thinking", "thinking": "", "signature": plain},
        role="assistant",
    )
    text_seal = Seal(form="text", data="", origin="deepseek/r1")
    assert found == (
        Thought(text="hm", seal=seal),
        Thought(seal=seal),
        Thought(text="unseen", seal=text_seal),
    )


def test_ids_that_were_spelled_for_the_client_are_themselves_again() -> None:
    """Calls and results go back to their model under the ids that it gave."""
    call_id = ids.fitting("functions.bash:0")
    (call,) = parts({"type": "tool_use", "id": call_id, "name": "f", "input": {}})
    (result,) = parts({"type": "tool_result", "tool_use_id": call_id})
    assert (call.id, result.id) == ("functions.bash:0", "functions.bash:0")


def test_calls_of_a_providers_own_tools_are_calls_and_results() -> None:
    """A search in the history is kept as a turn of its own, without what only Anthropic reads."""
    found = [{"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "AAAA"}]
    search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"q": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": found}
    said = [{"type": "text", "text": "a"}, search, result, {"type": "text", "text": "b"}]
    told = '[{"type":"web_search_result","url":"u","title":"T"}]'
    assert prompt(USER, {"role": "assistant", "content": said}).messages[1:] == (
        Message(
            role=Role.ASSISTANT,
            parts=(Text(text="a"), Call(id="srv_1", name="web_search", arguments='{"q":"x"}')),
        ),
        Message(role=Role.USER, parts=(Result(id="srv_1", content=(Text(text=told),)),)),
        Message(role=Role.ASSISTANT, parts=(Text(text="b"),)),
    )


def test_a_call_of_a_providers_own_tool_without_result_is_dropped() -> None:
    """Nothing stands for what it told, and that is recorded."""
    search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    said = {"role": "assistant", "content": [{"type": "text", "text": "a"}, search]}
    found = prompt(USER, said)
    assert found.messages[1].parts == (Text(text="a"),)
    assert found.dropped == ("content[server_tool_use]",)
