"""Legacy completions: what a request is sized by, and what its reply and its stream say."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.events import Phase
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.catalog import COMPLETIONS
from gatewayctl.protocols.codec import BadFrame, Changes
from gatewayctl.protocols.sse import SseParser

WORDS = "word " * 1000


def body(**fields: Any) -> bytes:
    """Return a request."""
    return msgspec.json.encode({"model": "m", **fields})


def likely(**fields: Any) -> int:
    """Return how many tokens have to fit."""
    data = body(**fields)
    shape = COMPLETIONS.shape(data)
    return by_ratio(shape, COMPLETIONS.measure(data), EstimatorSettings()).likely


def seen(text: bytes, *, usage_requested: bool = True) -> tuple[list[Phase], Any, bytes]:
    """Return the phases of a stream, its side parser, and what a client gets of it."""
    watcher = COMPLETIONS.watcher(usage_requested=usage_requested)
    phases, released = [], b""
    for event in SseParser(1 << 20).feed(text):
        phases.append(watcher.see(event))
        released += watcher.release(event)
    return phases, watcher, released


def test_the_shape_is_that_of_its_own_endpoint() -> None:
    """Never translated; without ``max_tokens`` the API's own sixteen are wanted."""
    shape = COMPLETIONS.shape(body(prompt="Hi", stream=True, n=2))
    assert shape.protocol is WireProtocol.CHAT_COMPLETIONS
    assert shape.demands == {Demand.ENDPOINT}
    assert (shape.stream, shape.n, shape.output_budget) == (True, 2, 16)
    assert COMPLETIONS.shape(body(prompt="Hi", max_tokens=500)).output_budget == 500
    assert COMPLETIONS.shape(body()).output_budget == 16


def test_of_many_prompts_the_largest_is_what_has_to_fit() -> None:
    """Each is completed by itself, with the text that is to follow it."""
    assert likely(prompt=["a", WORDS, "b"]) == likely(prompt=WORDS)
    assert likely(prompt=[[1] * 4000, [2]]) == likely(prompt=[1] * 4000)
    assert likely(prompt="a", suffix=WORDS) > 1000
    assert likely(prompt=None) == likely()


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b'{"prompt":"a"}', "$.model"),
        (b'{"model":"m","prompt":7}', "$.prompt"),
        (b'{"model":"m","prompt":{"id":"pmpt"}}', "$.prompt"),
        (b'{"model":"m","prompt":"a","max_tokens":-1}', "$.max_tokens"),
    ],
)
def test_what_is_no_request_is_refused_with_its_path(data: bytes, path: str) -> None:
    """Where it is wrong is said before anything is sent."""
    with pytest.raises(RequestInvalid) as raised:
        COMPLETIONS.shape(data)
    assert raised.value.path == path


def test_its_edits_are_those_of_its_api() -> None:
    """The model's name, a clamped budget, and the usage of a stream; nothing else."""
    data = b'{"model":"a", "prompt":"Hi","max_tokens":90,"stream":true}'
    changed = COMPLETIONS.patch(data, Changes(model="b", output_budget=50, include_usage=True))
    assert changed == (
        b'{"model":"b", "prompt":"Hi","max_tokens":50,"stream":true'
        b',"stream_options":{"include_usage":true}}'
    )
    assert COMPLETIONS.address("m", "", stream=True) == "/completions"


def test_a_reply_says_what_was_written_and_metered() -> None:
    """The text of all choices; a reply without choices is none."""
    facts = COMPLETIONS.read_reply(
        b'{"choices":[{"text":"abc"},{"text":"de"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}'
    )
    assert (facts.written, facts.usage.input, facts.usage.output) == (5, 4, 2)
    with pytest.raises(BadFrame):
        COMPLETIONS.read_reply(b'{"data":[]}')


def test_a_stream_commits_with_its_first_text_and_ends_with_done() -> None:
    """Text makes content, the rest is lifecycle; the usage chunk is withheld from who did not ask.

    A reason to finish is no end: only ``[DONE]`` is.
    """
    stream = (
        b'data: {"choices":[{"text":"","index":0}]}\n\n'
        b'data: {"choices":[{"text":"Hello","index":0}]}\n\n'
        b'data: {"choices":[{"text":"","finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
        b"data: [DONE]\n\n"
    )
    phases, watcher, released = seen(stream, usage_requested=False)
    assert phases == [
        Phase.LIFECYCLE,
        Phase.CONTENT,
        Phase.LIFECYCLE,
        Phase.LIFECYCLE,
        Phase.TERMINAL,
    ]
    assert (watcher.written, watcher.usage.input, watcher.usage.output) == (5, 3, 1)
    assert b"prompt_tokens" not in released
    assert seen(stream)[2] == stream


def test_an_error_in_a_stream_is_told() -> None:
    """In the words and with the code of the upstream."""
    phases, watcher, _ = seen(b'data: {"error":{"message":"busy","code":"overloaded"}}\n\n')
    assert phases == [Phase.ERROR]
    assert (watcher.error, watcher.error_code) == ("busy", "overloaded")


def test_what_is_no_chunk_is_a_bad_frame() -> None:
    """A stream that cannot be read is no answer."""
    with pytest.raises(BadFrame):
        seen(b"data: {broken\n\n")
