"""What holds of the Messages codec whatever it translates."""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strict

from gatewayctl.core.conversation import (
    Call,
    Document,
    Format,
    Image,
    Inline,
    Linked,
    Message,
    Mode,
    Part,
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
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.events import (
    Begun,
    CallBegun,
    CallDelta,
    Ended,
    Event,
    Finished,
    Metered,
    RefusalDelta,
    Reply,
    Stop,
    TextDelta,
    ThoughtDelta,
    ThoughtEnded,
    Usage,
    fold,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import Changes, ReplyContext, Target
from gatewayctl.protocols.messages.codec import MessagesCodec
from gatewayctl.protocols.sse import BadFrame, SseEvent, SseParser

CODEC = MessagesCodec()
ORIGIN = "p/m"
CONTEXT = ReplyContext(
    id="req_1",
    origin=ORIGIN,
    prompt=Prompt(protocol=WireProtocol.MESSAGES, model="asked", messages=()),
    now=lambda: 1.0,
)

WORDS = st.text(min_size=1, max_size=8).filter(lambda text: text == text.strip())
SHOWN = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Image, source=st.builds(Linked, url=WORDS)),
    st.builds(Document, text=WORDS, name=st.none() | WORDS),
    st.builds(Document, source=st.just(Inline(media_type="application/pdf", data="AAAA"))),
)
SEALS = st.builds(Seal, form=st.just("messages.signature"), data=WORDS, origin=st.just(ORIGIN))
OWN = st.one_of(st.builds(Text, text=WORDS), st.builds(Thought, text=WORDS, seal=SEALS))
ARGUMENTS = st.dictionaries(WORDS, st.integers(), max_size=2).map(
    lambda given: msgspec.json.encode(given).decode()
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Draw turns as every protocol can tell them: each call answered in the next turn."""
    found = [Message(role=Role.SYSTEM, parts=(draw(st.builds(Text, text=WORDS)),))]
    calls = 0
    results: list[Part] = []
    for _ in range(draw(st.integers(1, 3))):
        shown = draw(st.lists(SHOWN, min_size=1, max_size=2))
        found.append(Message(role=Role.USER, parts=(*results, *shown)))
        own: list[Part] = list(draw(st.lists(OWN, min_size=1, max_size=2)))
        results = []
        for _ in range(draw(st.integers(0, 2))):
            own.append(Call(id=f"call:{calls}", name="f", arguments=draw(ARGUMENTS)))
            content = tuple(draw(st.lists(SHOWN, max_size=2)))
            failed = draw(st.booleans())
            results.append(Result(id=f"call:{calls}", content=content, failed=failed))
            calls += 1
        if isinstance(own[-1], Thought):  # something always follows
            own.append(draw(st.builds(Text, text=WORDS)))
        found.append(Message(role=Role.ASSISTANT, parts=tuple(own)))
    return (*found, Message(role=Role.USER, parts=(*results, Text(text="go on"))))


PROMPTS = st.builds(
    Prompt,
    protocol=st.just(WireProtocol.MESSAGES),
    model=st.just("claude-opus-4-0"),
    messages=conversations(),
    stream=st.booleans(),
    tools=st.just(
        (Tool(name="f", description="d", parameters=b'{"type":"object","properties":{}}'),)
    ),
    tool_choice=st.sampled_from([None, ToolChoice(mode=Mode.AUTO), ToolChoice(mode=Mode.NONE)]),
    format=st.sampled_from([None, Format(schema=b'{"type":"object"}')]),
    thinking=st.sampled_from([None, Thinking(budget=2000), Thinking(budget=1024, visible=False)]),
    output_budget=st.just(4096),
    sampling=st.sampled_from([Sampling(), Sampling(temperature=1, top_p=1)]),
    stop=st.lists(WORDS, max_size=1).map(tuple),
    tier=st.sampled_from([None, "auto", "default"]),
    fast=st.booleans(),
    user=st.none() | st.just("someone"),
)


@settings(max_examples=40, deadline=None)
@given(prompt=PROMPTS)
def test_a_prompt_that_is_written_reads_the_same(prompt: Prompt) -> None:
    """Nothing of what this protocol can say is lost or added on the way there and back."""
    written = CODEC.write_prompt(prompt, Target(origin=ORIGIN, changes=Changes(model=prompt.model)))
    thinks = not prompt.thinking or b'"thinking":{' in written.body
    assert written.dropped == (() if thinks else ("reasoning",))
    read = CODEC.read_prompt(written.body)
    expected = msgspec.structs.replace(
        prompt,
        messages=tuple(_unsigned(message) for message in prompt.messages),
        thinking=prompt.thinking if thinks else None,
    )
    assert read == expected


def _unsigned(message: Message) -> Message:
    """Return a message whose thoughts are of nobody: a body does not say whose they are."""
    parts = [
        msgspec.structs.replace(part, seal=msgspec.structs.replace(part.seal, origin=""))
        if isinstance(part, Thought) and part.seal is not None
        else part
        for part in message.parts
    ]
    return msgspec.structs.replace(message, parts=tuple(parts))


TOLD = st.one_of(
    st.builds(TextDelta, text=WORDS),
    st.builds(ThoughtDelta, text=WORDS),
    st.builds(ThoughtEnded, seal=SEALS),
    st.builds(RefusalDelta, text=WORDS),
    st.tuples(WORDS, ARGUMENTS),
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Draw the events of a whole answer; the arguments of its calls may be told side by side."""
    found: list[Event] = [Begun(id="msg_1", model="m")]
    late: list[Event] = []
    calls = 0
    for each in draw(st.lists(TOLD, max_size=6)):
        if not isinstance(each, tuple):
            found.append(each)
            continue
        name, arguments = each
        half = draw(st.integers(0, len(arguments)))
        found.append(CallBegun(call=calls, id=draw(st.sampled_from(["", "c", "c:1"])), name=name))
        rest = CallDelta(call=calls, arguments=arguments[half:])
        found.append(CallDelta(call=calls, arguments=arguments[:half]))
        (late if draw(st.booleans()) else found).append(rest)
        calls += 1
    usage = Usage(input=3, output=draw(st.integers(0, 9)))
    stop = draw(st.sampled_from([Stop.END, Stop.BUDGET, Stop.CALLS, Stop.REFUSAL]))
    return [*found, *late, Metered(usage=usage), Finished(stop=stop), Ended()]


def streamed(events: Sequence[Event], step: int) -> bytes:
    """Return the stream that is written where so many events come at once."""
    writer = CODEC.event_writer(CONTEXT)
    batches = [events[at : at + step] for at in range(0, len(events), step)]
    return b"".join(writer.write(batch) for batch in batches)


def read(stream: bytes, step: int) -> list[Event]:
    """Return the events that are read where so many bytes come at once."""
    parser, reader = SseParser(1 << 20), CODEC.event_reader()
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
    return [event for frame in frames for event in reader.read(frame)]


@settings(max_examples=40, deadline=None)
@given(events=answers(), step=st.integers(1, 40))
def test_a_stream_says_the_same_as_a_whole_reply(events: list[Event], step: int) -> None:
    """Strictly valid both ways, the same in pieces of any size, and read as what was said."""
    stream = streamed(events, step)
    assert stream == streamed(events, 1)
    strict.events("messages", stream)
    body = CODEC.write_reply(fold(events), CONTEXT)
    strict.reply("messages", body)
    reply = fold(read(stream, step))
    assert reply == fold(read(stream, len(stream)))
    assert _compact(reply) == _compact(fold(CODEC.read_events(body)))
    assert _said(reply) == _said(fold(events))


def _compact(reply: Reply) -> Reply:
    """Return a reply without what its form alone tells: refusals are text in this protocol."""
    (choice,) = reply.choices
    return msgspec.structs.replace(
        reply, choices=(msgspec.structs.replace(choice, parts=_said(reply)),)
    )


def _said(reply: Reply) -> tuple[object, ...]:
    """Return what a reply says: text, thoughts with their proofs, calls with their arguments.

    Proofs behind the last text are no part of it.
    """
    found: list[object] = []
    for choice in reply.choices:
        for part in choice.parts:
            match part:
                case Thought():
                    found.append((part.text, part.seal and _inner(part.seal)))
                case Call():
                    found.append((part.name, msgspec.json.decode(part.arguments)))
                case _ if found and isinstance(found[-1], str):
                    found[-1] += part.text
                case _:
                    found.append(part.text)
    if any(isinstance(each, str) and each for each in found):
        while (
            isinstance(found[-1], tuple) and found[-1][0] == "" and isinstance(found[-1][1], tuple)
        ):
            found.pop()
    return tuple(found)


def _inner(seal: Seal) -> object:
    """Return what a seal holds, once out of its tag; nothing for one of plain text."""
    held = provenance.sealed(seal.form, seal.data)
    return None if held.form == "text" else (held.form, held.data)


NAMES = st.sampled_from(
    sorted(
        {"model", "messages", "role", "content", "type", "text", "system", "tools", "tool_choice"}
        | {"name", "input", "id", "tool_use_id", "source", "thinking", "signature", "data", "index"}
        | {"message", "delta", "content_block", "usage", "stop_reason", "partial_json", "metadata"}
        | {"output_config", "format", "schema", "cache_control", "input_schema", "max_tokens"}
    )
)
VALUES = st.sampled_from(
    sorted(
        {"user", "assistant", "m", "text", "tool_use", "tool_result", "thinking", "image", "base64"}
        | {"redacted_thinking", "content_block_start", "content_block_delta", "content_block_stop"}
        | {"message_start", "message_delta", "message_stop", "server_tool_use", "message"}
        | {"document", "web_search_tool_result"}
    )
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": VALUES, "content": st.lists(st.dictionaries(NAMES, JSON, max_size=5), max_size=3)}
    ),
    max_size=2,
)
BODIES = st.builds(
    lambda more, turns: msgspec.json.encode({"model": "m", "messages": turns} | more),
    st.dictionaries(NAMES, JSON, max_size=3),
    TURNS,
)


def passed(body: bytes) -> object:
    """Return what a request is written as once it was read, or the path of its refusal."""
    try:
        prompt = CODEC.read_prompt(body)
        return CODEC.write_prompt(prompt, Target(origin=ORIGIN, changes=Changes(model="m")))
    except RequestInvalid as error:
        return error.path


def told(call: Callable[[], Sequence[Event]]) -> object:
    """Return what a reply is written as once it was read, or why it is bad."""
    try:
        return CODEC.write_reply(fold(call()), CONTEXT)
    except BadFrame as error:
        return str(error)


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=40) | JSON.map(msgspec.json.encode) | BODIES)
def test_whatever_a_request_is_it_is_passed_on_or_refused(body: bytes) -> None:
    """Nothing but a refusal with a path leaves."""
    assert passed(body) is not None


@settings(max_examples=100, deadline=None)
@given(bodies=st.lists(st.binary(max_size=40) | JSON.map(msgspec.json.encode), max_size=4))
def test_whatever_an_upstream_sends_it_is_read_or_bad(bodies: list[bytes]) -> None:
    """Nothing but ``BadFrame`` leaves, of a whole reply and of a stream."""
    reader = CODEC.event_reader()
    for body in bodies:
        frame = SseEvent(raw=b"", data=body)
        assert told(partial(CODEC.read_events, body))
        assert told(partial(reader.read, frame))


@pytest.mark.parametrize("depth", [400, 900, 5000])
def test_no_depth_of_nesting_raises_anything_else(depth: int) -> None:
    """Where it is too deep to be read or written again, it is refused."""
    nested = b"[" * depth + b"]" * depth
    call = b'{"type":"tool_use","id":"t","name":"f","input":{"a":%b}}' % nested
    result = b'{"type":"tool_result","tool_use_id":"t"}'
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[%b]},'
        b'{"role":"user","content":[%b]}],"tools":[{"name":"f","input_schema":{"a":%b}}]}'
    ) % (call, result, nested)
    assert passed(body)
    reply = b'{"type":"message","content":[%b]}' % call
    assert told(partial(CODEC.read_events, reply))
