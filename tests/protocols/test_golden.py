"""Every codec against the golden files of its protocol."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strict
from support.golden import CASES, Case

from gatewayctl.core.events import Phase, Usage
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.sse import SseParser

golden = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.protocol}-{case.name}")


@golden
def test_the_golden_files_are_valid_by_the_vendors_own_types(case: Case) -> None:
    """What is tested against is what the vendors' clients accept, errors and pings aside."""
    if case.expected["reply_error"] is None:
        strict.reply(case.protocol, case.reply)
    for event, phase in zip(case.events, case.phases, strict=True):
        outside = phase is Phase.ERROR or event.event == "ping" or not event.data.startswith(b"{")
        if not outside:
            strict.event(case.protocol, event.data)


@golden
def test_the_shape_is_what_the_request_says(case: Case) -> None:
    """Model, budgets, needs and remote inputs are read right."""
    shape = CODECS[case.protocol].shape(case.request)
    assert (shape.protocol, shape.body_bytes) == (case.protocol, len(case.request))
    told = msgspec.to_builtins(shape)
    told["needs"].sort()
    assert {field: told[field] for field in case.expected["shape"]} == case.expected["shape"]


@golden
def test_everything_that_counts_is_measured_and_nothing_else(case: Case) -> None:
    """Characters per segment, turns, tools and parts that are not text."""
    told = msgspec.to_builtins(CODECS[case.protocol].measure(case.request))
    segments = told.pop("segments")
    told["chars"] = {segment: stats["chars"] for segment, stats in segments.items()}
    del told["server_tools"]
    for kind in ("images", "documents", "audio"):
        told[kind] = sum(count for _, count in told[kind])
    assert told == {"thought": 0, "tokens": 0, **case.expected["measured"]}


@golden
def test_the_watcher_reads_phases_usage_and_errors(case: Case) -> None:
    """Each event means what it should; the usage and the tier are the last ones told."""
    watcher = CODECS[case.protocol].watcher(usage_requested=True)
    assert [watcher.see(event) for event in case.events] == case.phases
    assert watcher.usage == Usage(**case.expected["usage"])
    assert (watcher.written, watcher.tier) == (case.expected["written"], case.expected["tier"])
    assert (watcher.error, watcher.error_code) == (
        case.expected["error"],
        case.expected["error_code"],
    )


@golden
@pytest.mark.parametrize("requested", [True, False])
def test_a_client_gets_every_byte_but_a_usage_chunk_it_did_not_ask_for(
    case: Case, *, requested: bool
) -> None:
    """What is released is the stream itself, less at most the chat stream's usage chunk."""
    watcher = CODECS[case.protocol].watcher(usage_requested=requested)
    withheld = set() if requested else set(case.expected["withheld"])
    for index, event in enumerate(case.events):
        watcher.see(event)
        assert watcher.release(event) == (b"" if index in withheld else event.raw)


@golden
def test_a_whole_reply_meters_the_same_as_the_stream(case: Case) -> None:
    """The reply without streaming reports the same usage, or the same error."""
    facts = CODECS[case.protocol].read_reply(case.reply)
    assert facts.error == case.expected["reply_error"]
    if facts.error is None:
        assert facts.usage == Usage(**case.expected["usage"])
        assert facts.tier == case.expected["tier"]
        spaces = case.stream.count(b'\\": ')  # arguments that come as JSON are counted compactly
        assert 0 <= case.expected["written"] - facts.written <= spaces


@golden
def test_no_cut_stream_looks_complete(case: Case) -> None:
    """Cut at every byte: the terminal phase shows only once the terminal event is whole."""
    total = len(case.stream)
    ends_whole = case.phases[-1] is Phase.TERMINAL
    parser = SseParser(1 << 20)
    watcher = CODECS[case.protocol].watcher(usage_requested=True)
    for offset in range(total):
        events = parser.feed(case.stream[offset : offset + 1])
        terminal = any(watcher.see(event) is Phase.TERMINAL for event in events)
        assert terminal is (ends_whole and offset == total - 1)


@given(st.sampled_from(CASES), st.lists(st.integers(0, 5000), max_size=30))
def test_any_chunking_means_the_same(case: Case, places: list[int]) -> None:
    """Phases and usage do not depend on where the network cuts a stream."""
    bounds = [0, *sorted(min(place, len(case.stream)) for place in places), len(case.stream)]
    parser = SseParser(1 << 20)
    watcher = CODECS[case.protocol].watcher(usage_requested=True)
    phases = [
        watcher.see(event)
        for start, end in pairwise(bounds)
        for event in parser.feed(case.stream[start:end])
    ]
    assert phases == case.phases
    assert watcher.usage == Usage(**case.expected["usage"])
