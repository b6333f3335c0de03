"""What upstreams meter, in every form that is documented: disjoint, cumulative, never invented."""

from typing import Any

import msgspec
import pytest
from anthropic.types import Usage as AnthropicUsage
from anthropic.types.beta import BetaUsage
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from gatewayctl.core.events import Usage
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Codec, StreamWatcher
from gatewayctl.protocols.sse import SseEvent

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]


def seen(codec: Codec, *events: Any) -> StreamWatcher:
    """Return a watcher that saw the events."""
    watcher = codec.watcher(usage_requested=True)
    for each in events:
        data = msgspec.json.encode(each)
        watcher.see(SseEvent(raw=b"data: " + data + b"\n\n", data=data))
    return watcher


def chat(usage: Any, **more: Any) -> Usage:
    """Return what is read of a chat usage, the same in a stream and in a whole reply."""
    body = {"choices": [], "usage": usage, **more}
    streamed = seen(CHAT, body).usage
    assert CHAT.read_reply(msgspec.json.encode(body)).usage == streamed
    return streamed


def responses(usage: Any) -> Usage:
    """Return what is read of a Responses usage, the same in a stream and in a whole reply."""
    body = {"status": "completed", "output": [], "usage": usage}
    streamed = seen(RESPONSES, {"type": "response.completed", "response": body}).usage
    assert RESPONSES.read_reply(msgspec.json.encode(body)).usage == streamed
    return streamed


def messages(*usages: Any) -> Usage:
    """Return what is read of a Messages usage; of several, in ``message_delta`` events."""
    start = {"type": "message_start", "message": {"usage": usages[0]}}
    streamed = seen(
        MESSAGES, start, *({"type": "message_delta", "usage": it} for it in usages[1:])
    ).usage
    if len(usages) == 1:
        body = {"type": "message", "content": [], "usage": usages[0]}
        assert MESSAGES.read_reply(msgspec.json.encode(body)).usage == streamed
    return streamed


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {
                    "cached_tokens": 40,
                    "cache_write_tokens": 10,
                    "audio_tokens": 7,
                    "image_tokens": 3,
                },
                "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 2},
            },
            Usage(
                input=40,
                input_cache_read=40,
                input_cache_write_5m=10,
                audio=7,
                image=3,
                output=20,
                reasoning_output=12,
                output_audio=2,
            ),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5},
            Usage(input=5, output=0),
        ),
    ],
)
def test_chat_usage_of_the_official_type_is_disjoint(usage: dict[str, Any], read: Usage) -> None:
    """OpenAI's figures: what is cached, written, heard or seen is part of the prompt."""
    CompletionUsage.model_validate(usage, strict=True)
    assert chat(usage) == read


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        # DeepSeek · Moonshot and Together · Mistral
        (
            {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
            Usage(input=5, input_cache_read=4),
        ),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(input=5, input_cache_read=4)),
        ({"prompt_tokens": 9, "num_cached_tokens": 4}, Usage(input=5, input_cache_read=4)),
        # xAI leaves reasoning out of its completion, Google's compatible address names none
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 215,
                "completion_tokens_details": {"reasoning_tokens": 200},
            },
            Usage(input=10, output=205, reasoning_output=200),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 65},
            Usage(input=10, output=55),
        ),
        # a total that fits nothing is no reason to change a figure
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 99,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input=10, output=5, reasoning_output=3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": None}, Usage(input=10)),
        ({"prompt_tokens": 3.0, "completion_tokens": 2}, Usage(input=3, output=2)),
        ({"prompt_tokens": "3", "completion_tokens": True}, Usage()),
        ({"prompt_tokens": -3, "completion_tokens": 1e300}, Usage()),
        ({"prompt_tokens": 3, "prompt_tokens_details": 7}, Usage(input=3)),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(input=0, input_cache_read=3),
        ),
        (7, Usage()),
        ("many", Usage()),
        ([], Usage()),
        (None, Usage()),
    ],
)
def test_chat_usage_of_compatible_servers(usage: Any, read: Usage) -> None:
    """Figures are found where each server puts them, and what is none breaks no answer."""
    assert chat(usage) == read


@pytest.mark.parametrize(
    ("event", "read"),
    [
        (
            {
                "choices": [],
                "x_groq": {"id": "r", "usage": {"prompt_tokens": 4, "completion_tokens": 2}},
            },
            Usage(input=4, output=2),
        ),
        (
            {
                "choices": [
                    {
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 4, "completion_tokens": 2},
                    }
                ]
            },
            Usage(input=4, output=2),
        ),
        (
            {"choices": [], "timings": {"cache_n": 236, "prompt_n": 1, "predicted_n": 35}},
            Usage(input=1, input_cache_read=236, output=35),
        ),
        (
            {
                "choices": [],
                "timings": {"prompt_n": 9, "predicted_n": 3},
                "usage": {"prompt_tokens": 8, "completion_tokens": 2},
            },
            Usage(input=8, output=2),
        ),
    ],
)
def test_chat_usage_in_other_places_of_a_stream(event: dict[str, Any], read: Usage) -> None:
    """Groq, Moonshot and llama.cpp tell it elsewhere; a usage of the usual form goes first."""
    assert seen(CHAT, event).usage == read


def test_chat_usage_is_cumulative_and_zeros_do_not_overwrite() -> None:
    """Servers that tell it with every chunk, and one whose last chunk is empty."""
    chunks = [
        {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1}},
        {
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 10},
        },
        {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
    ]
    assert seen(CHAT, *chunks).usage == Usage(input=0, input_cache_read=10, output=5)


def test_responses_usage_of_the_official_type_is_disjoint() -> None:
    """OpenAI's figures: what is cached or written is part of the input."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 30,
            "cache_write_tokens_details": {"ttl_12h_tokens": 10, "ttl_30m_tokens": 20},
        },
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 120,
    }
    ResponseUsage.model_validate(usage, strict=True)
    assert responses(usage) == Usage(
        input=30,
        input_cache_read=40,
        input_cache_write_5m=20,
        input_cache_write_1h=10,
        output=20,
        reasoning_output=12,
    )


def test_messages_usage_of_the_official_type_is_taken_as_it_is() -> None:
    """Anthropic's figures are disjoint already; thinking is a part of the output."""
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
    }
    AnthropicUsage.model_validate(usage)
    assert messages(usage) == Usage(
        input=10,
        input_cache_read=40,
        input_cache_write_5m=10,
        input_cache_write_1h=20,
        output=9,
        reasoning_output=4,
    )


def test_messages_compactions_count_although_the_sums_leave_them_out() -> None:
    """The server's own summaries are metered beside the answer, in ``iterations``."""
    one = {
        "input_tokens": 100,
        "output_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 7,
    }
    usage = {
        "input_tokens": 10,
        "output_tokens": 9,
        "iterations": [{"type": "compaction", **one}, {"type": "message", "model": "m", **one}],
    }
    BetaUsage.model_validate(usage)
    assert messages(usage) == Usage(
        input=110, input_cache_read=7, input_cache_write_5m=0, output=14
    )


@pytest.mark.parametrize(
    ("usages", "read"),
    [
        (
            [{"input_tokens": 10, "output_tokens": 1}, {"output_tokens": 7}],
            Usage(input=10, output=7),
        ),
        (
            [{"input_tokens": 10, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 7}],
            Usage(input=10, output=7),
        ),
        (
            [{"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 12, "output_tokens": 7}],
            Usage(input=12, output=7),
        ),
        (
            [{"input_tokens": 10, "cache_creation_input_tokens": 5}, {"output_tokens": 7}],
            Usage(input=10, input_cache_write_5m=5, output=7),
        ),
        (
            [{"input_tokens": 10}, {"output_tokens": 7}, {"output_tokens": 0}],
            Usage(input=10, output=7),
        ),
        ([{"input_tokens": 10}, 3], Usage(input=10)),
    ],
)
def test_messages_usage_is_cumulative(usages: list[Any], read: Usage) -> None:
    """Deltas replace; a later 0 never overwrites a count; what came before a break is kept."""
    assert messages(*usages) == read


FIGURES = st.one_of(st.none(), st.integers(0, 50))


@given(FIGURES, FIGURES, FIGURES, FIGURES, st.integers(0, 99))
def test_parts_of_the_input_add_up_to_its_total(
    cached: int | None, written: int | None, audio: int | None, image: int | None, total: int
) -> None:
    """Nothing is counted twice, whatever a server says its total consists of."""
    details = {
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "audio_tokens": audio,
        "image_tokens": image,
    }
    usages = (
        chat({"prompt_tokens": total, "prompt_tokens_details": details}),
        responses({"input_tokens": total, "input_tokens_details": details}),
    )
    for usage in usages:
        parts = [usage.input_cache_read, usage.input_cache_write_5m, usage.audio, usage.image]
        assert sum(part or 0 for part in [usage.input, *parts]) == total
        assert [part is None for part in parts] == [
            part is None for part in (cached, written, audio, image)
        ]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["prompt_tokens", "input_tokens", "output_tokens", "iterations"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_usage_whatever_breaks_an_answer(usage: Any) -> None:
    """Figures of any form are read or left out, and none is negative or beyond 64 bits."""
    for read in (chat(usage), responses(usage), messages(usage)):
        figures = [getattr(read, name) for name in read.__struct_fields__]
        assert all(figure is None or 0 <= figure < 2**63 for figure in figures)


@pytest.mark.parametrize(
    ("codec", "events", "read"),
    [
        (
            CHAT,
            [
                {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
                {"choices": [{"delta": {"content": "cut"}}]},
            ],
            Usage(input=9, output=1),
        ),
        (
            MESSAGES,
            [
                {"type": "message_start", "message": {"usage": {"input_tokens": 9}}},
                {"type": "content_block_delta", "delta": {"text": "cut"}},
            ],
            Usage(input=9),
        ),
        (
            RESPONSES,
            [
                {"type": "response.in_progress", "response": {"usage": {"input_tokens": 9}}},
                {"type": "response.output_text.delta", "delta": "cut"},
            ],
            Usage(input=9),
        ),
    ],
)
def test_what_was_metered_before_a_break_is_kept_litellm_13245(
    codec: Codec, events: list[Any], read: Usage
) -> None:
    """Bug row 14: a stream that breaks has cost what it told so far, and says how much it wrote."""
    watcher = seen(codec, *events)
    assert (watcher.usage, watcher.written) == (read, 3)
