"""The side parser of Gemini streams, whole replies, and streams as one array."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.events import Phase, Usage
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.gemini.array import ArrayForm
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.gemini.stream import GeminiWatcher
from gatewayctl.protocols.sse import SseEvent, write

CODEC = GeminiCodec()


def event(data: Any) -> SseEvent:
    """Return a frame."""
    encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
    return SseEvent(raw=write("", encoded), data=encoded)


def frame(*parts: Any, reason: str | None = None, **fields: Any) -> SseEvent:
    """Return a frame of one candidate."""
    candidate: dict[str, Any] = {"content": {"parts": parts}, **fields}
    if reason is not None:
        candidate["finishReason"] = reason
    return event({"candidates": [candidate]})


@pytest.mark.parametrize(
    ("part", "phase"),
    [
        ({"text": "a"}, Phase.CONTENT),
        ({"text": "a", "thought": True}, Phase.CONTENT),
        ({"functionCall": {"name": "f"}}, Phase.CONTENT),
        ({"inlineData": {"mimeType": "image/png", "data": "AA"}}, Phase.CONTENT),
        ({"text": ""}, Phase.LIFECYCLE),
        ({"text": "", "thoughtSignature": "AA"}, Phase.LIFECYCLE),
        ({}, Phase.LIFECYCLE),
    ],
)
def test_a_part_is_content_when_it_says_something(part: dict[str, Any], phase: Phase) -> None:
    """A signature alone commits nothing."""
    assert GeminiWatcher().see(frame(part)) is phase


def test_only_a_reason_for_every_candidate_ends_an_answer() -> None:
    """There is no frame of its own for the end."""
    watcher = GeminiWatcher()
    assert watcher.see(frame({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED")) is Phase.CONTENT
    assert watcher.see(frame({"text": "b"}, index=1)) is Phase.CONTENT
    assert watcher.see(frame({"text": "c"}, reason="STOP", index=1)) is Phase.CONTENT
    assert watcher.see(event({})) is Phase.LIFECYCLE
    assert watcher.see(frame({"text": "d"}, reason="MAX_TOKENS", index=0)) is Phase.CONTENT
    assert (watcher.complete, watcher.written) == (True, 4)
    assert watcher.see(event({"usageMetadata": {"promptTokenCount": 7}})) is Phase.LIFECYCLE
    assert (watcher.complete, watcher.resumed) == (True, False)


def test_a_reason_in_every_frame_ends_nothing() -> None:
    """Some servers tell one with each piece, or in a frame before the text."""
    watcher = GeminiWatcher()
    watcher.see(frame({"text": ""}, reason="STOP"))
    assert (watcher.complete, watcher.resumed) == (True, False)
    watcher.see(frame({"text": "a"}))
    assert (watcher.complete, watcher.resumed) == (False, True)
    watcher.see(frame({"text": "b"}, reason="STOP"))
    assert (watcher.complete, watcher.resumed) == (True, True)


def test_a_refused_prompt_ends_the_answer() -> None:
    """What blocked it is a reason like any other; an unspecified one is none."""
    blocked: dict[str, Any] = {"promptFeedback": {"blockReason": "SAFETY"}}
    watcher = GeminiWatcher()
    assert watcher.see(event(blocked)) is Phase.LIFECYCLE
    assert watcher.complete
    blocked["usageMetadata"] = {"promptTokenCount": 4, "totalTokenCount": 4}
    watcher = GeminiWatcher()
    watcher.see(event(blocked))
    assert watcher.complete
    assert watcher.usage == Usage(input=4, output=0)  # Google leaves zeros out
    unblocked = {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}
    assert GeminiWatcher().see(event(unblocked)) is Phase.LIFECYCLE


def test_usage_is_cumulative_and_its_parts_are_told_apart() -> None:
    """Cached tokens are inside the prompt's, thoughts beside the answer's, media by their kind."""
    watcher = GeminiWatcher()
    watcher.see(event({"usageMetadata": {"promptTokenCount": 100}}))
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 80},
            {"modality": "IMAGE", "tokenCount": 12},
            {"modality": "AUDIO", "tokenCount": 8},
        ],
    }
    watcher.see(event({"usageMetadata": usage}))
    expected = Usage(
        input=45, input_cache_read=40, image=12, audio=8, output=10, reasoning_output=3
    )
    assert watcher.usage == expected
    reply = {"candidates": [{"content": {"parts": [{"text": "abc"}]}}], "usageMetadata": usage}
    facts = CODEC.read_reply(json.dumps(reply).encode())
    assert (facts.usage, facts.written, facts.error) == (expected, 3, None)


def by_medium(**counts: int) -> list[dict[str, Any]]:
    """Return the details of a count, as Google tells them."""
    return [{"modality": name.upper(), "tokenCount": it} for name, it in counts.items()]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {
                "promptTokensDetails": by_medium(text=200, audio=800),
                "cacheTokensDetails": by_medium(audio=600),
            },
            Usage(input=200, input_cache_read=600, audio=200, output=1300),
        ),
        (
            {
                "promptTokensDetails": by_medium(text=700, video=300),
                "cacheTokensDetails": by_medium(text=500, video=100),
            },
            Usage(input=200, input_cache_read=600, image=200, output=1300),
        ),
        (
            {
                "toolUsePromptTokenCount": 500,
                "toolUsePromptTokensDetails": by_medium(text=100, image=400),
            },
            Usage(input=500, input_cache_read=600, image=400, output=1300),
        ),
        (
            {"candidatesTokensDetails": by_medium(text=10, image=1290, audio=0)},
            Usage(input=400, input_cache_read=600, output=1300, output_image=1290, output_audio=0),
        ),
    ],
)
def test_media_are_told_apart_wherever_they_are_counted(
    details: dict[str, Any], expected: Usage
) -> None:
    """What was cached of a medium is not billed again, and pictures in an answer are no text."""
    counts = {"promptTokenCount": 1000, "cachedContentTokenCount": 600}
    usage = {**counts, "candidatesTokenCount": 1300, **details}
    watcher = GeminiWatcher()
    watcher.see(event({"usageMetadata": usage}))
    assert watcher.usage == expected
    reply = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": usage}
    assert CODEC.read_reply(json.dumps(reply).encode()).usage == expected


@pytest.mark.parametrize("usage", [3, {"promptTokenCount": "x"}, {"promptTokensDetails": [3, {}]}])
def test_a_figure_that_cannot_be_read_is_unknown(usage: Any) -> None:
    """And no reason to break off an answer."""
    watcher = GeminiWatcher()
    assert watcher.see(event({"usageMetadata": usage})) is Phase.LIFECYCLE
    assert watcher.usage == Usage()


@pytest.mark.parametrize(
    "broken",
    [
        event({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}),
        SseEvent(raw=b'{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}\n\n'),
        SseEvent(raw=b'[{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}]\n\n'),
    ],
)
def test_an_error_in_the_stream_is_found_in_a_frame_or_bare(broken: SseEvent) -> None:
    """Google's servers write it without the field of an event, too."""
    watcher = GeminiWatcher()
    assert watcher.see(broken) is Phase.ERROR
    assert watcher.error == "busy"
    assert watcher.told is not None
    assert "UNAVAILABLE" in watcher.told.codes


def test_lines_of_no_event_are_life_and_no_more() -> None:
    """Comments, blank lines, objects without an error."""
    for raw in (b"\n", b": ping\n\n", b"{}\n\n", b"retry: 3\n\n"):
        assert GeminiWatcher().see(SseEvent(raw=raw)) is Phase.LIFECYCLE


def test_what_is_no_frame_is_a_bad_frame() -> None:
    """Candidates of another form are not taken for none."""
    for data in (b"{", b"[]", b'{"candidates":3}', b'{"candidates":[{"index":"x"}]}'):
        with pytest.raises(BadFrame):
            GeminiWatcher().see(event(data))


def test_clients_see_an_overflow_in_googles_words_alone() -> None:
    """With the figures or without."""
    words = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
    assert CODEC.tells_overflow(json.dumps({"error": {"message": words}}).encode())
    assert CODEC.tells_overflow(
        b'[{"error":{"message":"The input token count exceeds the maximum number of tokens '
        b'allowed 1048576."}}]'
    )
    assert not CODEC.tells_overflow(b'{"error":{"message":"prompt is too long"}}')


def test_an_error_after_the_headers_is_the_same_object_as_before_them() -> None:
    """With the wait that Gemini CLI looks for."""
    error = ApiError(kind=ErrorKind.RATE_LIMITED, message="m", retry_after=1.5)
    told = CODEC.stream_error(error, seen=None)
    assert told == write("", CODEC.error(error).body)
    assert b'"retryDelay":"1.500s"' in told


def test_a_stream_is_an_array_for_who_asks_for_no_events() -> None:
    """An element a frame, keepalives between them, an error the last one."""
    form = ArrayForm(1 << 20)
    out = form.write(b"\n") + form.write(b'data: {"a":1}\n\ndata: {"b"')
    out += form.write(b':2}\n\n\ndata: {"error":{}}\n\n') + form.end()
    assert out.strip().startswith(b'[{"a":1},\n{"b":2}')
    assert json.loads(out) == [{"a": 1}, {"b": 2}, {"error": {}}]
    assert ArrayForm(9).end() == b"[]"


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9))), st.integers(1, 30))
def test_any_stream_is_valid_json_as_an_array(frames: list[dict[str, str]], size: int) -> None:
    """However its bytes are cut."""
    stream = b"".join(write("", json.dumps(each).encode()) + b"\n" for each in frames)
    form = ArrayForm(1 << 20)
    chunks = [form.write(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert json.loads(b"".join(chunks) + form.end()) == frames
