"""What always holds of the Chat Completions codec, both ways."""

import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewayctl.core.conversation import (
    Audio,
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
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.events import fold
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.sse import BadFrame, SseEvent, SseParser, write

CODEC = ChatCompletionsCodec()
TARGET = Target(origin="up/m", changes=Changes(model="m", include_usage=True))
WORDS = st.sampled_from(["a", "b c", "{}", "é\n"])
IMAGES = st.sampled_from(
    [
        Image(source=Inline(media_type="image/png", data="iVBO"), detail="low"),
        Image(source=Linked(url="https://a.example/x.png")),
    ]
)
MEDIA = st.one_of(
    IMAGES,
    st.just(Audio(source=Inline(media_type="audio/mpeg", data="SUQz"))),
    st.just(Document(source=Inline(media_type="application/pdf", data="JV"), name="a.pdf")),
)
USERS = st.one_of(
    WORDS.map(lambda word: Message(role=Role.USER, parts=(Text(text=word),), name="ann")),
    st.tuples(WORDS.map(lambda word: Text(text=word)), MEDIA).map(
        lambda parts: Message(role=Role.USER, parts=parts)
    ),
)


@st.composite
def rounds(draw: st.DrawFn) -> list[Message]:
    """Return what the user says, and what the model answers: words, calls, and their results."""
    user = draw(USERS)
    said: tuple[Any, ...] = (Text(text=draw(WORDS)),)
    if draw(st.booleans()):
        return [user, Message(role=Role.ASSISTANT, parts=(*said, Refusal(text="no")))]
    calls = tuple(Call(id=name, name="f", arguments=draw(WORDS)) for name in ("c1", "c2"))
    results = tuple(Result(id=call.id, content=(Text(text=draw(WORDS)),)) for call in calls)
    return [
        user,
        Message(role=Role.ASSISTANT, parts=(*said, *calls)),
        Message(role=Role.USER, parts=results),
    ]


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    """Return a request that loses nothing in this protocol."""
    turns = [turn for part in draw(st.lists(rounds(), max_size=2)) for turn in part]
    system = [Message(role=Role.SYSTEM, parts=(Text(text="s"),))] * draw(st.integers(0, 1))
    stream = draw(st.booleans())
    return Prompt(
        protocol=WireProtocol.CHAT_COMPLETIONS,
        model="m",
        messages=(*system, *turns, draw(USERS)),
        stream=stream,
        include_usage=stream,
        tools=(
            Tool(
                name="f",
                description="d",
                parameters=b'{"type":"object","properties":{}}',
                strict=True,
            ),
            Tool(name="g"),
        ),
        tool_choice=draw(
            st.sampled_from(
                [
                    None,
                    ToolChoice(mode=Mode.REQUIRED),
                    ToolChoice(mode=Mode.REQUIRED, names=("f",)),
                    ToolChoice(mode=Mode.AUTO, names=("f", "g")),
                ]
            )
        ),
        parallel=draw(st.sampled_from([None, True, False])),
        format=draw(
            st.sampled_from([None, Format(), Format(schema=b"{}", name="n", strict=False)])
        ),
        thinking=draw(st.sampled_from([None, Thinking(effort="low")])),
        output_budget=draw(st.sampled_from([None, 7])),
        sampling=draw(st.sampled_from([Sampling(), Sampling(temperature=0.0, top_p=1.0, seed=0)])),
        stop=draw(st.sampled_from([(), ("x", "y")])),
        n=draw(st.sampled_from([1, 2])),
        logprobs=draw(st.sampled_from([None, 0, 3])),
        tier=draw(st.sampled_from([None, "flex"])),
        user=draw(st.sampled_from([None, "u"])),
    )


@settings(max_examples=60)
@given(prompt=prompts())
def test_what_is_written_is_read_again(prompt: Prompt) -> None:
    """Nothing is lost or added on the way, and nothing is recorded as lost."""
    written = CODEC.write_prompt(prompt, TARGET)
    assert CODEC.read_prompt(written.body) == prompt
    assert written.dropped == ()


PIECES = [
    {"role": "assistant", "content": ""},
    {"reasoning_content": "hm"},
    {"content": "a\u2028b"},
    {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
]
STREAM = b"".join(
    [
        *(write("", msgspec.json.encode({"choices": [{"delta": it}]})) for it in PIECES),
        b": comment\r\n\r\ndata: [DONE]\r\n\r\n",
    ]
)


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=6).map(sorted))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    """Where the network cuts a stream says nothing."""
    places = [0, *cuts, len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert events(chunks) == events([STREAM])


def events(chunks: list[bytes]) -> list[object]:
    """Return the events of a stream that comes in these chunks."""
    parser, reader = SseParser(1 << 20), CODEC.event_reader()
    return [
        found for chunk in chunks for event in parser.feed(chunk) for found in reader.read(event)
    ]


FIELDS = [
    "model", "messages", "role", "content", "type", "text", "tool_calls", "function", "name",
    "arguments", "id", "index", "tool_choice", "tools", "response_format", "reasoning", "stop",
    "reasoning_details", "image_url", "url", "file", "input_audio", "function_call", "choices",
    "delta", "message", "usage", "logprobs", "thinking", "metadata", "refusal", "finish_reason",
]  # fmt: skip
VALUES = ["user", "assistant", "tool", "text", "image_url", "function", "json_schema", "data:,", ""]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(VALUES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=150)
@given(value=JSON, rest=JSON)
@example(value={"role": "user", "content": [{"type": []}]}, rest=None)
@example(value={"role": "assistant", "reasoning_details": [[], {"id": []}]}, rest=None)
def test_no_json_whatever_raises_anything_else(value: object, rest: object) -> None:
    """Requests are refused in one way, replies in another, and everything else is understood."""
    fields = rest if isinstance(rest, dict) else {}
    for body in (
        json.dumps(value).encode(),
        json.dumps(fields | {"model": "m", "messages": [value]}).encode(),
        json.dumps({"model": "m", "messages": [{"role": "user", "content": [value]}]}).encode(),
        json.dumps({"model": "m", "messages": [], "tools": [value], "tool_choice": rest}).encode(),
    ):
        try:
            prompt = CODEC.read_prompt(body)
            CODEC.write_prompt(prompt, TARGET)
        except RequestInvalid as error:
            assert error.path  # noqa: PT017 - either outcome is right
    for reply in (value, {"choices": [value, {"delta": rest, "message": value}]}):
        data = json.dumps(reply).encode()
        try:
            fold(CODEC.read_events(data))
            fold(CODEC.event_reader().read(SseEvent(raw=data, data=data)))
        except BadFrame as error:
            assert str(error)  # noqa: PT017 - either outcome is right


def test_no_depth_of_nesting_raises_anything_else() -> None:
    """Just below the depth that is refused, nothing runs out of stack."""
    fields: dict[str, Any] = {
        "model": "m",
        "messages": [
            {"role": "assistant", "content": "...", "tool_calls": [{"id": "c", "function": "..."}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "..."}}],
            },
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": "..."}}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": "..."}},
    }
    reply = {"choices": [{"message": {"content": "...", "reasoning_details": [{"data": "..."}]}}]}
    for depth in range(450, 1100, 25):
        nested = b"[" * depth + b"]" * depth
        for start in range(1, len(fields) + 1):
            some = {"model": "m", "messages": []} | dict(list(fields.items())[:start])
            body = json.dumps(some).encode().replace(b'"..."', nested)
            try:
                CODEC.write_prompt(CODEC.read_prompt(body), TARGET)
            except RequestInvalid as error:
                assert error.path  # noqa: PT017 - either outcome is right
        try:
            fold(CODEC.read_events(json.dumps(reply).encode().replace(b'"..."', nested)))
        except BadFrame as error:
            assert str(error)  # noqa: PT017 - either outcome is right
