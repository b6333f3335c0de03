"""Whatever an upstream sends, a Gemini reply is read or is a bad frame."""

import contextlib
import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.core.events import Event, fold
from gatewayctl.protocols.codec import BadFrame
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.sse import SseEvent

CODEC = GeminiCodec()
NAMES: Final = (
    "candidates content parts text thought thoughtSignature functionCall name args id index "
    "finishReason logprobsResult chosenCandidates topCandidates token logProbability "
    "promptFeedback blockReason usageMetadata promptTokenCount promptTokensDetails modality "
    "cacheTokensDetails candidatesTokensDetails toolUsePromptTokensDetails "
    "tokenCount modelVersion responseId executableCode code error message"
)
VALUES: Final = ["", "STOP", "IMAGE", "a", True, 3, -1, 1.5, None]
ODD = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=5)
    ),
    max_leaves=12,
)
PARTS = st.lists(st.dictionaries(st.sampled_from(NAMES.split()), ODD, max_size=4), max_size=3)
FRAMES = st.fixed_dictionaries(
    {},
    optional={
        "candidates": ODD
        | st.lists(
            st.fixed_dictionaries(
                {"content": st.fixed_dictionaries({"parts": PARTS})},
                optional={"finishReason": st.just("STOP"), "logprobsResult": ODD},
            ),
            max_size=2,
        ),
        "usageMetadata": ODD,
        "promptFeedback": ODD,
        "error": ODD,
        "responseId": ODD,
    },
)


@settings(max_examples=150)
@given(st.lists(FRAMES, max_size=4))
def test_frames_of_any_form_are_read_or_bad(frames: list[dict[str, Any]]) -> None:
    """Nothing but ``BadFrame`` leaves, and what was read makes a reply."""
    watcher, reader = CODEC.watcher(usage_requested=True), CODEC.event_reader()
    found: list[Event] = []
    with contextlib.suppress(BadFrame):  # what came before it stands
        for frame in frames:
            event = SseEvent(raw=b"", data=json.dumps(frame).encode())
            watcher.see(event)
            found += reader.read(event)
    fold(found)


@settings(max_examples=80)
@given(FRAMES)
def test_whole_replies_of_any_form_are_read_or_bad(frame: dict[str, Any]) -> None:
    """The facts of a reply and its events alike."""
    body = json.dumps(frame).encode()
    for read in (CODEC.read_reply, lambda given: fold(CODEC.read_events(given))):
        try:
            assert read(body) is not None
        except BadFrame:
            continue
