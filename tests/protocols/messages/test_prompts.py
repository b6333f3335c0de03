"""Messages requests, read as prompts of the IR."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import (
    Call,
    Document,
    Format,
    Image,
    Inline,
    Linked,
    Message,
    Mode,
    Prompt,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.messages import ids
from gatewayctl.protocols.messages.codec import MessagesCodec

CODEC = MessagesCodec()
USER = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def prompt(*messages: dict[str, Any], **fields: Any) -> Prompt:
    """Return the prompt that a request with these messages and fields is read as."""
    body = {"model": "m", "max_tokens": 9, "messages": list(messages or (USER,))} | fields
    return CODEC.read_prompt(msgspec.json.encode(body))


def parts(*blocks: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    """Return the parts that one message of these blocks is read as."""
    (message,) = prompt({"role": role, "content": list(blocks)}).messages
    return message.parts


def refused(*messages: dict[str, Any], **fields: Any) -> str | None:
    """Return the path at which a request is refused."""
    with pytest.raises(RequestInvalid) as caught:
        prompt(*messages, **fields)
    return caught.value.path


def test_the_fields_of_a_request() -> None:
    """Everything that has a place in the IR goes there, and nothing is recorded as dropped."""
    found = prompt(
        system="Be brief.",
        stream=True,
        temperature=0,
        top_p=0.5,
        top_k=4,
        stop_sequences=["x"],
        metadata={"user_id": "me"},
        service_tier="standard_only",
        speed="fast",
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
    )
    assert found == Prompt(
        protocol=WireProtocol.MESSAGES,
        model="m",
        messages=(
            Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
            Message(role=Role.USER, parts=(Text(text="hi"),)),
        ),
        stream=True,
        output_budget=9,
        sampling=Sampling(temperature=0, top_p=0.5, top_k=4),
        stop=("x",),
        user="me",
        tier="default",
        fast=True,
        format=Format(schema=b'{"type":"object"}'),
    )


def test_claude_codes_system_messages_keep_their_place() -> None:
    """A system array beside ``messages``, and messages of the role system among the others."""
    system = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {}}]
    later = {"role": "system", "content": [{"type": "text", "text": "c"}]}
    assert prompt(USER, later, system=system).messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="a"), Text(text="b"))),
        Message(role=Role.USER, parts=(Text(text="hi"),)),
        Message(role=Role.SYSTEM, parts=(Text(text="c"),)),
    )


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


def test_tools_that_clients_run_are_kept_and_others_recorded() -> None:
    """Hosted tools are told by their type, hints that mean something here by their name."""
    found = prompt(
        tools=[
            {**TOOL, "description": "d", "strict": True, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "g", "eager_input_streaming": True, "defer_loading": False},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "bash_20250124", "name": "bash"},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    )
    assert found.tools == (
        Tool(name="f", description="d", parameters=b'{"type":"object"}', strict=True, cache="5m"),
        Tool(name="g"),
    )
    assert found.tool_choice == ToolChoice(mode=Mode.REQUIRED, names=("f",))
    assert found.parallel is False
    assert found.dropped == (
        "eager_input_streaming",
        "tools[web_search_20250305]",
        "tools[bash_20250124]",
    )


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"type": "auto"}, ToolChoice(mode=Mode.AUTO)),
        ({"type": "any"}, ToolChoice(mode=Mode.REQUIRED)),
        ({"type": "none"}, ToolChoice(mode=Mode.NONE)),
        (None, None),
    ],
)
def test_the_choice_of_a_tool(choice: Any, found: ToolChoice | None) -> None:
    """Each kind of choice has its mode."""
    assert prompt(tools=[TOOL], tool_choice=choice).tool_choice == found


def test_a_choice_without_tools_that_are_left_is_none() -> None:
    """What may be called or must not be is nothing, where there is nothing to call."""
    for kind in ("auto", "none"):
        assert prompt(tools=[], tool_choice={"type": kind}).tool_choice is None


@pytest.mark.parametrize(
    ("thinking", "effort", "found"),
    [
        (None, None, None),
        (None, "low", Thinking(effort="low")),
        ({"type": "disabled"}, "high", Thinking(off=True)),
        ({"type": "enabled", "budget_tokens": 2000}, None, Thinking(budget=2000)),
        (
            {"type": "adaptive", "display": "summarized"},
            "high",
            Thinking(effort="high", adaptive=True, visible=True),
        ),
        ({"type": "adaptive", "display": "omitted"}, None, Thinking(adaptive=True, visible=False)),
    ],
)
def test_how_much_may_be_thought(thinking: Any, effort: Any, found: Thinking | None) -> None:
    """Budgets, effort and whether what is thought is to be seen."""
    config = {"effort": effort}
    assert prompt(thinking=thinking, output_config=config).thinking == found


def test_what_the_ir_cannot_hold_is_recorded_by_name() -> None:
    """Unknown and Anthropic's own fields, unless they say nothing."""
    found = prompt(
        {"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "a"}]},
        context_management={"edits": [{"type": "clear_thinking_20251015"}]},
        mcp_servers=[{"type": "url"}],
        container="c",
        betas=[],
        diagnostics=None,
        metadata={"user_id": "me", "other": 1},
        output_config={"task_budget": {"type": "tokens", "total": 1}},
        service_tier="unheard-of",
        thinking={"type": "between_tools"},
        x=0,
    )
    assert set(found.dropped) == {
        "content[hologram]",
        "context_management",
        "mcp_servers",
        "container",
        "metadata",
        "output_config.task_budget",
        "service_tier",
        "thinking[between_tools]",
        "x",
    }


def test_messages_that_say_nothing_are_left_out() -> None:
    """Empty text and blocks that were dropped leave no message behind."""
    assert prompt({"role": "user", "content": ""}, USER, system="").messages == (
        Message(role=Role.USER, parts=(Text(text="hi"),)),
    )


@pytest.mark.parametrize(
    ("message", "fields", "path"),
    [
        ({"role": "robot", "content": "hi"}, {}, "$.messages[0].role"),
        (
            {"role": "user", "content": [{"type": "tool_use", "name": "f"}]},
            {},
            "$.messages[0].content[0].id",
        ),
        (
            {"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": 3}]},
            {},
            "$.messages[0].content[0].input",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result"}]},
            {},
            "$.messages[0].content[0].tool_use_id",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "content": [3]}]},
            {},
            "$.messages[0].content[0].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "image", "source": {"type": "fax"}}]},
            {},
            "$.messages[0].content[0].source",
        ),
        (USER, {"tools": [{"input_schema": {}}]}, "$.tools[0].name"),
        (USER, {"tools": [{"name": "f", "input_schema": 3}]}, "$.tools[0].input_schema"),
        (USER, {"tools": [TOOL], "tool_choice": {"type": "x"}}, "$.tool_choice.type"),
        (USER, {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "$.tool_choice"),
        (USER, {"tools": [], "tool_choice": {"type": "any"}}, "$.tool_choice"),
        (USER, {"output_format": {"type": "json_object"}}, "$.output_format"),
        (USER, {"output_config": {"format": {"type": "x"}}}, "$.output_config.format"),
        (USER, {"temperature": "hot"}, "$.temperature"),
        (USER, {"top_k": 1.5}, "$.top_k"),
        (USER, {"stop_sequences": [1]}, "$.stop_sequences"),
        (USER, {"model": 3}, "$.model"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is(
    message: dict[str, Any], fields: dict[str, Any], path: str
) -> None:
    """Nothing is guessed: the path at fault is told."""
    assert refused(message, **fields) == path
