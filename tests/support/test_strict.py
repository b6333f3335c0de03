"""Strict reading notices what is wrong with a stream: a check that finds nothing proves nothing."""

import pytest
from support import strict, translating
from support.translating import PROTOCOLS

from gatewayctl.core.model import WireProtocol

STREAMS = {
    case.title: case.streams
    for case in translating.replies()
    if case.title in ("a thought and parallel calls", "text and a call")
}
REFUSALS = (AssertionError, ValueError, IndexError, AttributeError)


def frames_of(protocol: WireProtocol, title: str) -> list[bytes]:
    """Return a valid stream in pieces of one event."""
    stream = STREAMS[title][protocol].replace(b"\r\n", b"\n")
    strict.events(protocol, stream)
    return [block + b"\n\n" for block in stream.split(b"\n\n") if block]


def is_piece(frame: bytes) -> bool:
    """Tell whether a frame brings text, thought or arguments and nothing else: it may be missed."""
    structural = (
        b'"role":"assistant","content":',
        b'"id":"call_',
        b'"finish_reason":"',
        b"finishReason",
    )
    if b'"functionCall"' in frame and b"finishReason" not in frame:
        return True  # whole by itself
    if any(word in frame for word in (*structural, b"message_delta", b"signature")):
        return False
    return b'"delta"' in frame or b'"parts"' in frame


@pytest.mark.parametrize("title", STREAMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_frame_that_is_missing_or_told_twice_is_noticed(
    protocol: WireProtocol, title: str
) -> None:
    """Each frame of a valid stream in turn, but for mere pieces, and usage that none must tell."""
    frames = frames_of(protocol, title)
    for place, frame in enumerate(frames):
        if is_piece(frame) or b'"choices":[]' in frame:
            continue
        for wrong in (
            [*frames[:place], *frames[place + 1 :]],
            [*frames[:place], frame, *frames[place:]],
        ):
            with pytest.raises(REFUSALS):
                strict.events(protocol, b"".join(wrong))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_without_its_end_is_noticed(protocol: WireProtocol) -> None:
    """Cut behind any event but the last, it is not complete."""
    frames = frames_of(protocol, "text and a call")
    for end in range(len(frames) - 1):
        with pytest.raises(REFUSALS):
            strict.events(protocol, b"".join(frames[:end]))


def test_a_comment_is_noticed_where_it_does_harm() -> None:
    """Gemini CLI takes a comment for a broken frame; a blank object is no event."""
    frames = frames_of(WireProtocol.GEMINI, "text and a call")
    strict.events("gemini", b"".join((frames[0], b"data: {}\n\n", *frames[1:])))
    with pytest.raises(AssertionError, match="a comment"):
        strict.events("gemini", b"".join((frames[0], b": still here\n\n", *frames[1:])))


def test_a_field_that_clients_count_on_is_missed() -> None:
    """The vendors' types let pass what the APIs' descriptions require."""
    body = (
        b'{"id":"c","object":"chat.completion","created":1,"model":"m","service_tier":null,'
        b'"system_fingerprint":null,"choices":[{"index":0,"finish_reason":"stop","logprobs":null,'
        b'"message":{"role":"assistant","content":"Hi"}}],"usage":null}'
    )
    strict.reply("chat_completions", body)
    with pytest.raises(AssertionError, match=r"choices\.message lacks refusal"):
        strict.complete("chat_completions", body)
