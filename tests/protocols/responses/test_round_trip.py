"""Properties of reading and writing Responses requests, for prompts and bodies of any content."""

import json
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Refusal,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.responses.codec import ResponsesCodec

CODEC = ResponsesCodec()
TARGET = Target(origin="p/m", changes=Changes(model="small"))

WORDS = st.text(min_size=1, max_size=5)
NAMES = st.sampled_from(["read", "write", "look"])
IDS = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
TEXT = st.builds(Text, text=WORDS)
IMAGE = st.builds(
    Image,
    source=st.builds(Inline, media_type=st.just("image/png"), data=st.just("AAAA"))
    | st.builds(Linked, url=st.just("https://example.org/x.png")),
    detail=st.sampled_from(["auto", "low", "high"]),
)
DOCUMENT = st.builds(
    Document,
    source=st.builds(Inline, media_type=st.just("text/csv"), data=st.just("AAAA")),
    name=st.just("x.csv"),
)
THOUGHT = st.builds(
    lambda name, data, text: Thought(
        text=text,
        id=name,
        seal=Seal(form="responses.encrypted", data=f"{name}:{data}", origin="p/m"),
    ),
    IDS,
    IDS,
    st.text(max_size=5),
)
CALL = st.builds(Call, id=IDS, name=NAMES, arguments=WORDS)
RESULT = st.builds(Result, id=IDS, content=st.lists(TEXT | IMAGE, max_size=3).map(tuple))


def turn(role: Role, *parts: Any) -> st.SearchStrategy[Message]:
    """Draw a message of a role with such parts."""
    drawn = st.lists(st.one_of(*parts), min_size=1, max_size=4).map(tuple)
    return st.builds(Message, role=st.just(role), parts=drawn)


def followed(message: Message) -> bool:
    """Tell whether something follows every thought of a turn."""
    return not isinstance(message.parts[-1], Thought)


EXCHANGE = st.tuples(
    turn(Role.USER, TEXT, IMAGE, DOCUMENT),
    turn(Role.ASSISTANT, TEXT, st.builds(Refusal, text=WORDS), THOUGHT, CALL).filter(followed),
    turn(Role.USER, RESULT),
)
PROMPTS = st.builds(
    Prompt,
    protocol=st.just(WireProtocol.RESPONSES),
    model=st.just("small"),
    messages=st.lists(EXCHANGE, min_size=1, max_size=2).map(lambda found: sum(found, ())),
    stream=st.booleans(),
    tools=st.just(
        (Tool(name="read", parameters=b'{"type":"object","properties":{}}', strict=False),)
    ),
    tool_choice=st.none() | st.builds(ToolChoice, mode=st.sampled_from(Mode)),
    parallel=st.none() | st.booleans(),
    format=st.none() | st.just(Format(schema=b'{"type":"object"}', name="n", strict=True)),
    thinking=st.none() | st.just(Thinking(effort="high", visible=True, detail="auto")),
    verbosity=st.none() | st.just("low"),
    output_budget=st.none() | st.integers(16, 9999),
    sampling=st.builds(Sampling, temperature=st.none() | st.floats(0, 2)),
    logprobs=st.none() | st.integers(0, 5),
    tier=st.none() | st.just("flex"),
    user=st.none() | st.just("u"),
    metadata=st.just({"k": "v"}),
    store=st.booleans(),
)


@settings(max_examples=40)
@given(prompt=PROMPTS)
def test_what_is_written_is_read_back(prompt: Prompt) -> None:
    """Everything that this protocol can say comes through it unchanged."""
    written = CODEC.write_prompt(prompt, TARGET)
    assert written.dropped == ()
    assert CODEC.read_prompt(written.body) == unsealed(prompt)
    assert CODEC.shape(written.body).stream is prompt.stream


def unsealed(prompt: Prompt) -> Prompt:
    """Return a prompt as it reads without tags: whose thoughts they are is not said."""
    plain = msgspec.json.encode(prompt).replace(b'"origin":"p/m"', b'"origin":""')
    return msgspec.json.decode(plain, type=Prompt)


FIELDS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "output",
        "call_id",
        "id",
        "name",
        "arguments",
        "action",
        "input",
        "summary",
        "encrypted_content",
        "image_url",
        "file_data",
        "file_id",
        "detail",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "mcp_call",
        "local_shell_call",
        "shell_call_output",
        "computer_call_output",
        "item_reference",
        "compaction",
        "input_image",
        "input_file",
        "input_text",
        "refusal",
    ]
)
ITEM = st.dictionaries(FIELDS, JSON, max_size=5)
TYPED = st.tuples(KINDS, ITEM).map(lambda drawn: {**drawn[1], "type": drawn[0]})
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "input": st.lists(TYPED | ITEM, max_size=3) | JSON},
    optional={
        "tools": st.lists(TYPED, max_size=2) | JSON,
        "tool_choice": TYPED | JSON,
        "text": JSON,
        "reasoning": JSON,
        "include": JSON,
        "metadata": JSON,
        "instructions": JSON,
        "temperature": JSON,
        "unknown": JSON,
    },
)


@settings(max_examples=80)
@given(request=BODIES.map(json.dumps).map(str.encode) | st.binary(max_size=20))
def test_whatever_is_asked_is_read_or_refused(request: bytes) -> None:
    """Nothing but a refusal leaves here; what is read can be written, or is refused in words."""
    with suppress(RequestInvalid):
        prompt = CODEC.read_prompt(request)
        CODEC.shape(request)
        written = CODEC.write_prompt(prompt, TARGET)
        CODEC.read_prompt(written.body)


def test_no_depth_of_nesting_breaks_reading() -> None:
    """Just below the depth that is refused, nothing that takes a body apart runs out of stack."""
    items = [
        {"type": "local_shell_call", "call_id": "c", "action": {"a": "..."}},
        {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "output": "..."},
        {"type": "shell_call_output", "call_id": "c", "output": "..."},
    ]
    tools = [{"type": "function", "name": "f", "parameters": {"a": "..."}}]
    requests: list[dict[str, Any]] = [{"input": [item]} for item in items]
    for fields in (*requests, {"input": "x", "tools": tools}):
        request = json.dumps({"model": "m", **fields}).encode()
        for depth in range(900, 1000, 9):
            nested = b"[" * depth + b"]" * depth
            with suppress(RequestInvalid):
                CODEC.read_prompt(request.replace(b'"..."', nested))
