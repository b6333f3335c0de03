"""What images, documents and sound cost in tokens: each vendor's published formula.

Every cost is low, likely, high. A formula that is published as exact gives three times the same
for a known size; where a vendor's words leave room, or the size is unknown, they span what can be.
Sizes come from ``protocols.heads``; which formula holds for a model, from ``config.families``.

Sources: OpenAI, https://developers.openai.com/api/docs/guides/images-vision (tiles, patches,
multipliers), .../guides/pdf-files and .../guides/realtime-costs; Anthropic,
https://platform.claude.com/docs/en/build-with-claude/vision (limits of size, patches of 28 pixels)
and .../pdf-support; Google, https://ai.google.dev/gemini-api/docs/tokens, .../media-resolution,
.../image-understanding and .../document-processing; Together,
https://docs.together.ai/docs/vision-overview (tiles of 560 pixels).
"""

import math
from typing import NamedTuple

from gatewayctl.core.model import Vision
from gatewayctl.core.shape import Audio, Detail, Document, Image


class Cost(NamedTuple):
    """Tokens: what something surely, usually and at most costs."""

    low: int
    likely: int
    high: int

    def times(self, count: int) -> "Cost":
        """Return the cost of so many."""
        return Cost(self.low * count, self.likely * count, self.high * count)


class _Patches(NamedTuple):
    """A formula in patches of 32 pixels: limits by detail (None: none), and what a patch costs."""

    per_patch: float
    high: tuple[int, int] | None = (1_536, 2_048)  # patches, pixels of the longer side
    original: tuple[int, int] | None = (1_536, 2_048)
    auto: Detail = Detail.HIGH
    published: bool = True  # else a patch is billed at up to 1.2 tokens, which is only observed


_TILES = {  # tokens for the whole, and for each tile of 512 pixels
    Vision.GPT_4O: (85, 170),
    Vision.GPT_4O_MINI: (2_833, 5_667),
    Vision.O1: (75, 150),
    Vision.GPT_5: (70, 140),
    Vision.COMPUTER_USE: (65, 129),
}
_LARGE = (10_000, 6_000)
_PATCHES = {
    Vision.PATCHES: _Patches(1.0, published=False),
    Vision.PATCHES_MINI: _Patches(1.62),
    Vision.PATCHES_NANO: _Patches(2.46),
    Vision.PATCHES_O4_MINI: _Patches(1.72),
    Vision.GPT_5_4: _Patches(1.0, (2_500, 2_048), _LARGE, published=False),
    Vision.GPT_5_5: _Patches(1.0, (2_500, 2_048), _LARGE, Detail.ORIGINAL, published=False),
    Vision.GPT_5_6: _Patches(1.0, (2_500, 2_048), None, Detail.ORIGINAL, published=False),
}
_OBSERVED = 1.2
_CLAUDE = {Vision.CLAUDE: (1_568, 1_568), Vision.CLAUDE_HIGH: (4_784, 2_576)}  # tokens, pixels
_GEMINI_3 = {Detail.LOW: 280, Detail.MEDIUM: 560, Detail.HIGH: 1_120, Detail.ORIGINAL: 2_240}

_LARGEST_SIDE = 8_000
"""What an image of unknown size is at most, where the formula knows no limit."""

_UNKNOWN_IMAGE = Cost(64, 1_600, 16_384)


def image(picture: Image, vision: Vision | None) -> Cost:
    """Return what one image costs."""
    if vision in _TILES:
        return _tiled(picture, *_TILES[vision])
    if vision in _PATCHES:
        return _patched(picture, _PATCHES[vision])
    if vision in _CLAUDE:
        return _claude(picture, *_CLAUDE[vision])
    if vision is Vision.GEMINI_2:
        return _gemini_2(picture)
    if vision is Vision.GEMINI_3:
        most = _GEMINI_3.get(picture.detail, 1_120)
        return Cost(min(258, most), most, most)
    return _unknown(picture)


def document(paper: Document, vision: Vision | None) -> Cost:
    """Return what one document costs: its pages, each as text and, mostly, as an image."""
    if paper.pages:
        pages = Cost(paper.pages, paper.pages, paper.pages)
    elif paper.size:  # a page takes 2 KB to 200 KB of a PDF
        pages = Cost(1, -(-paper.size // 50_000), -(-paper.size // 2_000))
    else:
        pages = Cost(1, 10, 100)
    page = _page(vision)
    return Cost(pages.low * page.low, pages.likely * page.likely, pages.high * page.high)


def audio(sound: Audio, vision: Vision | None) -> Cost:
    """Return what a clip of sound costs, by its length."""
    if vision in (Vision.GEMINI_2, Vision.GEMINI_3):
        rate = Cost(32, 32, 32)
    elif vision is None:
        rate = Cost(6, 25, 50)
    else:
        rate = Cost(10, 10, 10)
    if sound.milliseconds:
        lengths = Cost(*[sound.milliseconds] * 3)
    elif sound.size:  # compressed to 320, 96 or 12 kbit/s
        lengths = Cost(sound.size // 40, sound.size // 12, sound.size * 2 // 3)
    else:
        lengths = Cost(1_000, 60_000, 1_200_000)
    return Cost(*(-(-per * length // 1_000) for per, length in zip(rate, lengths, strict=True)))


def _page(vision: Vision | None) -> Cost:
    if vision is Vision.GEMINI_2:
        return Cost(258, 258, 258)
    if vision is Vision.GEMINI_3:
        return Cost(280, 560, 1_120)
    largest = image(Image(), vision)
    return Cost(50, 1_500 + largest.likely, 3_000 + largest.high)


def _tiled(picture: Image, base: int, tile: int) -> Cost:
    if picture.detail is Detail.LOW:
        return Cost(base, base, base)
    if not picture.width:
        return Cost(base + tile, base + 4 * tile, base + 8 * tile)
    width, height = _within(picture.width, picture.height, 2_048)
    short = min(width, height)
    if short > 768:  # noqa: PLR2004 - the published size
        width, height = width * 768 // short, height * 768 // short
    cost = base + tile * -(-width // 512) * -(-height // 512)
    return Cost(cost, cost, cost)


def _patched(picture: Image, formula: _Patches) -> Cost:
    detail = formula.auto if picture.detail in (Detail.AUTO, Detail.MEDIUM) else picture.detail
    limit = formula.original if detail is Detail.ORIGINAL else formula.high
    dearest = formula.per_patch if formula.published else _OBSERVED
    if not picture.width:
        most = limit[0] if limit else (_LARGEST_SIDE // 32) ** 2
        usual = min(most, 1_536)
        return Cost(1, math.ceil(usual * formula.per_patch), math.ceil(most * dearest))
    count = _patches_within(picture.width, picture.height, limit)
    least = usual = count
    if detail is Detail.LOW:  # some models take a copy of 512 pixels, some heed no detail
        least, usual, count = min(count, 256), 256, max(count, 256)
    return Cost(
        math.ceil(least * formula.per_patch),
        math.ceil(usual * formula.per_patch),
        math.ceil(count * dearest),
    )


def _patches_within(width: int, height: int, limit: tuple[int, int] | None) -> int:
    """Return the patches of an image, shrunk until they are no more than its limit."""
    if limit is None:
        return -(-width // 32) * -(-height // 32)
    budget, side = limit
    width, height = _within(width, height, side)
    count = -(-width // 32) * -(-height // 32)
    if count <= budget:
        return count
    shrink = math.sqrt(32 * 32 * budget / (width * height))
    across, down = width * shrink / 32, height * shrink / 32
    # Once more, so that one side is a whole number of patches; none is ever less than one.
    shrink = min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
    fitted = round(math.ceil(round(across * shrink, 6)) * math.ceil(round(down * shrink, 6)))
    return min(fitted, budget)


def _claude(picture: Image, tokens: int, side: int) -> Cost:
    """Return the newer count in patches of 28 pixels; the older, an area, is the other bound."""
    ceiling = math.ceil(tokens * 28 * 28 / 750)
    if not picture.width:
        return Cost(1, tokens, ceiling)
    width, height = _within(picture.width, picture.height, side)
    patches = min(tokens, -(-width // 28) * -(-height // 28))
    area = min(ceiling, -(-width * height // 750))
    return Cost(min(patches, area), patches, max(patches, area))


def _gemini_2(picture: Image) -> Cost:
    """Return 258 per tile; of how many pixels a tile is, the pages say in two ways."""
    if not picture.width:
        return Cost(258, 1_548, 6_192)
    width, height = _within(picture.width, picture.height, 3_072)
    if max(width, height) <= 384:  # noqa: PLR2004 - the published size
        return Cost(258, 258, 258)
    unit = min(768, max(256, min(width, height) * 2 // 3))
    cut = -(-width // unit) * -(-height // unit)
    laid = -(-width // 768) * -(-height // 768)
    return Cost(258 * min(cut, laid), 258 * cut, 258 * max(cut, laid))


def _unknown(picture: Image) -> Cost:
    """Span what open models do: one fixed size, up to 4 tiles, or patches of 14 to 28 pixels."""
    width, height = picture.width, picture.height
    if not width:
        return _UNKNOWN_IMAGE
    patches = -(-width // 28) * -(-height // 28)
    tiles = 1_601 * min(2, -(-width // 560)) * min(2, -(-height // 560))
    small = min(4_096, -(-width // 16) * -(-height // 16))
    return Cost(
        min(64, patches),
        min(patches, 4_096),
        max(tiles, small, min(patches, _UNKNOWN_IMAGE.high)),
    )


def _within(width: int, height: int, side: int) -> tuple[int, int]:
    """Shrink a size so that no side is longer than ``side``; never to nothing."""
    longest = max(width, height)
    if longest <= side:
        return width, height
    return max(1, width * side // longest), max(1, height * side // longest)
