"""What images, documents and sound cost, by each vendor's published formula."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.core import media
from gatewayctl.core.model import Vision
from gatewayctl.core.shape import Audio, Detail, Document, Image

EVERY = [None, *Vision]


@pytest.mark.parametrize(
    ("vision", "width", "height", "detail", "tokens"),
    [
        (Vision.GPT_4O, 1024, 1024, Detail.HIGH, 765),
        (Vision.GPT_4O, 2048, 4096, Detail.AUTO, 1105),
        (Vision.GPT_4O, 4096, 8192, Detail.LOW, 85),
        (Vision.GPT_4O, 500, 100, Detail.AUTO, 85 + 170),
        (Vision.GPT_4O_MINI, 1024, 1024, Detail.AUTO, 2833 + 4 * 5667),
        (Vision.O1, 1024, 1024, Detail.AUTO, 75 + 4 * 150),
        (Vision.GPT_5, 1024, 1024, Detail.AUTO, 70 + 4 * 140),
        (Vision.COMPUTER_USE, 1024, 768, Detail.AUTO, 65 + 4 * 129),
        (Vision.PATCHES_MINI, 1024, 1024, Detail.AUTO, 1659),
        (Vision.PATCHES_MINI, 1800, 2400, Detail.AUTO, 2353),
        (Vision.PATCHES_NANO, 1024, 1024, Detail.AUTO, 2520),
        (Vision.PATCHES_O4_MINI, 32, 32, Detail.AUTO, 2),
        (Vision.GEMINI_2, 384, 384, Detail.AUTO, 258),
    ],
)
def test_published_examples_come_out_exactly(
    vision: Vision, width: int, height: int, detail: Detail, tokens: int
) -> None:
    """OpenAI's and Google's own examples, low = likely = high."""
    picture = Image(width=width, height=height, detail=detail)
    assert media.image(picture, vision) == (tokens, tokens, tokens)


@pytest.mark.parametrize(
    ("vision", "width", "height", "likely"),
    [
        (Vision.CLAUDE, 200, 200, 64),
        (Vision.CLAUDE, 1092, 1092, 1521),
        (Vision.CLAUDE, 8000, 8000, 1568),
        (Vision.CLAUDE_HIGH, 1920, 1080, 2691),
        (Vision.CLAUDE_HIGH, 3840, 2160, 4784),
        (Vision.GEMINI_2, 960, 540, 1548),
        (Vision.GEMINI_3, 960, 540, 1120),
        (Vision.GPT_5_4, 8000, 8000, 2500),
        (Vision.GPT_5_6, 3200, 3200, 10000),
    ],
)
def test_examples_that_leave_room_are_spanned(
    vision: Vision, width: int, height: int, likely: int
) -> None:
    """Where a vendor says it in two ways, both are inside."""
    cost = media.image(Image(width=width, height=height), vision)
    assert cost.low <= likely <= cost.high
    assert abs(cost.likely - likely) <= likely // 50


@given(
    st.integers(1, 2**20),
    st.integers(1, 2**20),
    st.sampled_from(Detail),
    st.sampled_from(EVERY),
)
def test_any_size_costs_something_in_order(
    width: int, height: int, detail: Detail, vision: Vision | None
) -> None:
    """0 < low ≤ likely ≤ high, for slivers and giants."""
    cost = media.image(Image(width=width, height=height, detail=detail), vision)
    assert 0 < cost.low <= cost.likely <= cost.high


@pytest.mark.parametrize(("vision", "detail"), list(product(EVERY, Detail)))
def test_an_unknown_size_spans_what_it_can_be(vision: Vision | None, detail: Detail) -> None:
    """From a thumbnail to the largest picture that is taken."""
    unknown = media.image(Image(detail=detail), vision)
    assert 0 < unknown.low <= unknown.likely <= unknown.high
    for side in (16, 300, 1000, 3000, 8000):
        known = media.image(Image(width=side, height=side, detail=detail), vision)
        assert known.high <= max(unknown.high, known.low)


@pytest.mark.parametrize("vision", EVERY)
def test_documents_cost_by_page(vision: Vision | None) -> None:
    """Ten pages cost ten times one; unknown ones span a wide range."""
    one, ten = (media.document(Document(size=9, pages=pages), vision) for pages in (1, 10))
    assert ten == one.times(10)
    for unknown in (Document(), Document(size=500_000)):
        low, likely, high = media.document(unknown, vision)
        assert 0 < low <= likely <= high


def test_sound_costs_by_the_second() -> None:
    """Google 32 tokens, OpenAI 10, others within what is usual."""
    minute = Audio(size=10, milliseconds=60_000)
    assert media.audio(minute, Vision.GEMINI_2) == (1920, 1920, 1920)
    assert media.audio(minute, Vision.GPT_4O) == (600, 600, 600)
    low, likely, high = media.audio(Audio(size=480_000), None)
    assert low < likely < high
    assert media.audio(Audio(), None).low > 0
