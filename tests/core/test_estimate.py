"""Bounds and ratios: ordered, exact, and never above the bound."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import shape

from gatewayctl.core.estimate import (
    UNSEEN_TOKENS,
    Counted,
    bound,
    breakdown,
    by_bound,
    by_count,
    by_ratio,
)
from gatewayctl.core.model import Capability, EstimatorKind, EstimatorSettings, Vision
from gatewayctl.core.routing.decision import Method
from gatewayctl.core.shape import Audio, Document, Image, Measured, Segment, TextStats

AUTO = EstimatorSettings()


def measured(**counts: int) -> Measured:
    """Return one message's text by what was counted in it."""
    return Measured(segments={Segment.MESSAGES: TextStats(**counts)}, messages=1)


def big(size: int) -> int:
    """Return a body length that never caps."""
    return size * 8 + 10**6


def test_char_ratio_is_exactly_what_the_config_says() -> None:
    """8 characters at 4 each with margin 1.25: 1, 2 and 3 tokens, no overhead added."""
    settings = EstimatorSettings(
        kind=EstimatorKind.CHAR_RATIO, chars_per_token=Decimal(4), safety_margin=Decimal("1.25")
    )
    got = by_ratio(shape(), measured(chars=8, letters=8, words=1), settings)
    assert (got.low, got.likely, got.high) == (1, 2, 3)
    assert got.method is Method.RATIO


def test_the_bound_is_the_body_and_what_providers_add() -> None:
    """A byte-level token covers at least one byte, and a preamble is added unseen."""
    assert bound(shape()) == 100 + UNSEEN_TOKENS
    got = by_bound(shape())
    assert (got.low, got.high, got.method) == (0, 100 + UNSEEN_TOKENS, Method.BOUND)


@pytest.mark.parametrize("vision", [None, *Vision])
def test_what_is_only_pointed_to_never_exceeds_the_bound(vision: Vision | None) -> None:
    """A file of unknown length may be a hundred pages, each as text and as an image."""
    pointed = {
        Capability.IMAGES: Measured(segments={}, images=((Image(), 1),)),
        Capability.DOCUMENTS: Measured(segments={}, documents=((Document(), 1),)),
        Capability.AUDIO: Measured(segments={}, audio=((Audio(), 1),)),
    }
    settings = EstimatorSettings(vision=vision)
    for need, measure in pointed.items():
        asked = msgspec.structs.replace(shape(), body_bytes=31, needs=frozenset({need}), remote=1)
        assert by_ratio(asked, measure, settings).high <= bound(asked)
        assert by_count(asked, measure, Counted(tokens={}), settings).high <= bound(asked)


def test_forty_thousand_words_are_at_least_forty_thousand_tokens() -> None:
    """No tokenizer in use joins words, so a low estimate never falls under their count."""
    body = msgspec.structs.replace(shape(), body_bytes=big(80_000))
    got = by_ratio(body, measured(chars=80_000, letters=40_000, words=40_000, runs=40_000), AUTO)
    assert got.low >= 40_000


@given(
    st.builds(
        measured,
        **{name: st.integers(0, 10**6) for name in TextStats.__struct_fields__},
    ),
    st.sampled_from([EstimatorKind.AUTO, EstimatorKind.CHAR_RATIO]),
    st.decimals("1", "3", places=2),
    st.integers(0, 10**7),
)
def test_low_likely_high_and_bound_are_in_order(
    text: Measured, kind: EstimatorKind, margin: Decimal, length: int
) -> None:
    """Whatever the text and settings: low ≤ likely ≤ high ≤ bound."""
    body = msgspec.structs.replace(shape(), body_bytes=length)
    got = by_ratio(body, text, EstimatorSettings(kind=kind, safety_margin=margin))
    assert 0 <= got.low <= got.likely <= got.high <= bound(body)


def with_media(**fields: object) -> Measured:
    """Return ten tokens' worth of text, exactly counted elsewhere, and media."""
    return msgspec.structs.replace(measured(chars=40, words=10, letters=30, runs=10), **fields)


COUNTED = Counted(tokens={Segment.MESSAGES: 6}, overhead=4)
VISION = EstimatorSettings(vision=Vision.GPT_4O)


def test_an_exact_count_is_exact_with_images_of_known_size() -> None:
    """Low = likely = high, the image by its published formula, and no margin on any of it."""
    known = with_media(images=((Image(width=1024, height=1024), 2),))
    got = by_count(shape(), known, COUNTED, VISION)
    assert (got.low, got.likely, got.high) == (10 + 2 * 765,) * 3
    assert got.method is Method.EXACT


def test_tokens_that_the_body_lists_are_counted_as_they_are() -> None:
    """Nobody estimates what is a number of tokens already: no ratio and no margin."""
    listed = Measured(segments={}, tokens=5_000)
    for settings in (AUTO, EstimatorSettings(kind=EstimatorKind.CHAR_RATIO)):
        got = by_ratio(msgspec.structs.replace(shape(), body_bytes=25_000), listed, settings)
        assert got.low - 5_000 == got.likely - 5_000 <= 10
        assert 5_000 <= got.high <= 5_010


@pytest.mark.parametrize(
    "unclear",
    [
        {"images": ((Image(), 1),)},
        {"documents": ((Document(size=9000), 1),)},
        {"audio": ((Audio(size=9000), 1),)},
        {"server_tools": 1},
    ],
)
def test_what_is_unclear_widens_even_an_exact_count(unclear: dict[str, object]) -> None:
    """The text's count is exact; what stands beside it is not known."""
    got = by_count(shape(), with_media(**unclear), COUNTED, VISION)
    assert 10 <= got.low <= got.likely < got.high


def test_what_the_body_only_names_costs_something() -> None:
    """An earlier response is input, however short the request that goes on with it."""
    alone = by_ratio(shape(), measured(), AUTO)
    named = by_ratio(msgspec.structs.replace(shape(), remote=1), measured(), AUTO)
    assert named.low == alone.low
    assert named.high >= alone.high + 10_000


def test_a_picture_is_not_bounded_by_its_bytes() -> None:
    """A blank picture of 8,000 by 8,000 pixels is a few hundred bytes, and 62,500 patches."""
    needs = frozenset({Capability.IMAGES})
    body = msgspec.structs.replace(shape(), needs=needs, body_bytes=400)
    giant = with_media(images=((Image(width=8000, height=8000), 1),))
    for vision in (None, *Vision):
        settings = EstimatorSettings(vision=vision)
        assert by_ratio(body, giant, settings).high <= bound(body)
    elsewhere = msgspec.structs.replace(shape(), needs=needs, remote=1)
    assert by_ratio(elsewhere, with_media(images=((Image(), 1),)), AUTO).high <= bound(elsewhere)


def test_the_breakdown_says_what_each_part_usually_costs() -> None:
    """Images, documents and sound beside the segments of text."""
    measured = with_media(images=((Image(width=1024, height=1024), 2),))
    parts = breakdown(shape(), measured, VISION)
    assert parts["images"] == 2 * 765
    assert parts["documents"] == parts["audio"] == parts["tools"] == 0
    assert parts["messages"] >= 10


def test_the_breakdown_adds_up_with_what_the_body_only_names() -> None:
    """A provider's own tools and an earlier response cost tokens that stand in no text."""
    body = msgspec.structs.replace(shape(), remote=1)
    measured = msgspec.structs.replace(with_media(), server_tools=2)
    parts = breakdown(body, measured, AUTO)
    assert parts["unseen"] == 2 * 350 + 4_000
    likely = by_ratio(body, measured, AUTO).likely
    assert likely <= sum(parts.values()) <= likely + len(parts)
