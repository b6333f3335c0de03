"""How many input tokens a request has, for one candidate's tokenizer: bounds and ratios.

Works on sizes alone (``core.shape``), never on text. Every method gives ``low <= likely <= high``;
``high`` carries the safety margin, applied once, here, and is never more than the bound. Exact
counts need a vocabulary and are ``gatewayctl.tokenizers``' business.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

import msgspec

from gatewayctl.core import media
from gatewayctl.core.correction import GROUPS, UNIT
from gatewayctl.core.exact import (
    ceil_product,
    ceil_quotient,
    ceil_ratio,
    floor_product,
    floor_quotient,
)
from gatewayctl.core.media import Cost
from gatewayctl.core.model import Capability, EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.decision import Estimate, Method
from gatewayctl.core.shape import Measured, RequestShape, Segment, TextStats

UNSEEN_TOKENS = 1024
"""What providers add to a request without showing it: role markers, a tool-use preamble."""

UNSEEN_TOOL_TOKENS = 8192
"""What providers add where there are tools, beyond that: their own tools' definitions."""

REMOTE_TOKENS = 8_000_000
"""The most that one input costs which the body only points to (an image URL, a file id)."""

SMALLEST_MEDIA = 32
"""The fewest bytes in which an image or a document stands in a body; its cost is not in them."""

EARLIER = Cost(0, 4_000, 20_000)
"""What an earlier response, a stored prompt or conversation that is only named may hold."""

SERVER_TOOL = Cost(0, 350, 2_000)
"""What a tool costs that a provider defines itself."""

MESSAGE_TOKENS = 4
"""What providers spend on framing one message."""

REPLY_TOKENS = 3
"""What providers spend on the start of the reply."""

PREAMBLE = 100_000
"""A unit, in thousandths, of what providers put before tools: some have no such words."""

START = REPLY_TOKENS * 1000
"""The same in thousandths: the one feature that every request has."""

TOOL_TOKENS = 8
"""What providers spend on framing one tool definition."""


_THOUSANDTHS = {
    "runs": 381,
    "long_letters": 30,
    "digit_runs": 1456,
    "long_digits": 309,
    "lines": 1150,
    "marked_lines": -651,
    "gaps": 1086,
    "weight": 50,
    "beyond": 20,
}
"""What each count of a text usually adds, in thousandths of a token.

Fitted, with the weights in ``core.text`` and ``core.characters``, to o200k's counts, so that they
are rarely more than a fifth off either way. A line that is ``marked`` is a line too: no place in a
text counts for less than nothing, so that no text is estimated smaller than its beginning.
"""

_GROUPS = {
    "runs": "words",
    "long_letters": "words",
    "weight": "weight",
    "digit_runs": "digits",
    "long_digits": "digits",
    "lines": "lines",
    "marked_lines": "lines",
    "gaps": "lines",
    "beyond": "beyond",
}
"""Which of the groups that are corrected apart each count belongs to."""

_UNUSUAL = {
    "letters": ("letters", 200),
    "numerals": ("digits", 500),
    "blanks": ("blanks", 200),
    "marks": ("mark_runs", 800),
    "kana": ("kana", 500),
    "hangul": ("hangul", 500),
    "bytes": ("extra", 300),
}
"""The other groups: which count, and what one would cost if it were all that counted."""

_MEDIA = frozenset({Capability.IMAGES, Capability.DOCUMENTS, Capability.AUDIO})

AUTO_SLACK = Decimal("1.16")
"""How far the usual count may be off, on top of the margin that the user chose."""

AUTO_LEAST = Decimal("0.5")
"""The part of the usual count that the densest of texts still has."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A request's text counted with a vocabulary: tokens by segment, media not among them.

    ``overhead`` is what the published rules add: per message and name, for tool definitions, and
    for the start of the reply.
    """

    tokens: dict[Segment, int]
    overhead: int = 0


def bound(shape: RequestShape) -> int:
    """Return what the input cannot exceed: a byte-level token covers at least one byte.

    Images and the like have no such bound: a few bytes can be a large picture.
    """
    held = shape.body_bytes // SMALLEST_MEDIA if shape.needs & _MEDIA else 0
    return _text_bound(shape) + REMOTE_TOKENS * (shape.remote + held)


def by_bound(shape: RequestShape) -> Estimate:
    """Estimate from the body's length alone: 0 to the bound."""
    most = bound(shape)
    return Estimate(low=0, likely=most, high=most, method=Method.BOUND)


def by_ratio(shape: RequestShape, measured: Measured, settings: EstimatorSettings) -> Estimate:
    """Estimate from character counts, as ``settings`` say; images and the like cost extra."""
    low, likely, high = _text(measured, settings)
    most = _text_bound(shape)
    text = Cost(min(low, most), min(likely, most), min(high, most))
    return _with_media(text, shape, measured, settings, Method.RATIO)


def by_count(
    shape: RequestShape, measured: Measured, counted: Counted, settings: EstimatorSettings
) -> Estimate:
    """Estimate from an exact count of the text: low = likely = high, unless media are unclear."""
    text = sum(counted.tokens.values()) + counted.overhead
    return _with_media(Cost(text, text, text), shape, measured, settings, Method.EXACT)


def features(measured: Measured) -> tuple[int, ...]:
    """Return what the text and framing of a request usually cost, by ``correction.GROUPS``.

    In thousandths of a token; all are at least 0, and grow with the text.
    """
    tools = measured.segments.get(Segment.TOOLS, TextStats())
    rest = _without_tools(measured)
    groups = _by_group(rest)
    groups |= {name: getattr(rest, count) * part for name, (count, part) in _UNUSUAL.items()}
    groups["preamble"] = PREAMBLE if measured.tools else 0
    groups["tools"] = _thousandths(tools) + measured.tools * TOOL_TOKENS * 1000
    groups["messages"] = measured.messages * MESSAGE_TOKENS * 1000
    groups["start"] = START
    return tuple(groups[name] for name in GROUPS)


def beside(shape: RequestShape, measured: Measured, settings: EstimatorSettings) -> Cost:
    """Return what everything that is no text costs: images, documents, what is only named."""
    costs = [cost for part in _beside(shape, measured, settings).values() for cost in part]
    return Cost(*map(sum, zip(Cost(0, 0, 0), *costs, strict=True)))


def breakdown(
    shape: RequestShape, measured: Measured, settings: EstimatorSettings
) -> dict[str, int]:
    """Return likely tokens by part, as ``estimate`` shows them (parts round up on their own).

    ``unseen`` is what the body only names: tools that the provider defines, earlier responses.
    """
    parts = {
        segment.value: _likely(measured.segments.get(segment, TextStats()), settings)
        for segment in Segment
    }
    for name, costs in _beside(shape, measured, settings).items():
        parts[name] = sum(cost.likely for cost in costs)
    parts["overhead"] = _overhead(measured, settings)
    return parts


def tokenizer_name(settings: EstimatorSettings) -> str:
    """Name the estimator as explanations show it."""
    match settings.kind:
        case EstimatorKind.AUTO:
            return "auto"
        case EstimatorKind.CHAR_RATIO:
            return f"char_ratio:{settings.chars_per_token}"
        case EstimatorKind.TIKTOKEN | EstimatorKind.HUGGINGFACE:
            return f"{settings.kind.value}:{vocabulary_name(settings.vocabulary or '')}"
        case _:
            assert_never(settings.kind)


def vocabulary_name(vocabulary: str) -> str:
    """Name a vocabulary as explanations show it: of a tokenizer file its name, not its folder."""
    return vocabulary.replace("\\", "/").rpartition("/")[2]


def _text_bound(shape: RequestShape) -> int:
    tools = UNSEEN_TOOL_TOKENS if Capability.TOOLS in shape.needs else 0
    return shape.body_bytes + UNSEEN_TOKENS + tools


def _with_media(
    text: Cost,
    shape: RequestShape,
    measured: Measured,
    settings: EstimatorSettings,
    method: Method,
) -> Estimate:
    others = beside(shape, measured, settings)
    low, likely, high = (one + other for one, other in zip(text, others, strict=True))
    return Estimate(low=low, likely=likely, high=high, method=method)


def _beside(
    shape: RequestShape, measured: Measured, settings: EstimatorSettings
) -> dict[str, list[Cost]]:
    """Return what is there beside text, by part."""
    vision = settings.vision
    pointed = sum(count for picture, count in measured.images if not picture.width)
    pointed += sum(count for paper, count in measured.documents if not paper.size)
    earlier = max(0, shape.remote - pointed)
    listed = Cost(measured.tokens, measured.tokens, measured.tokens)
    return ({"tokens": [listed]} if measured.tokens else {}) | {
        "images": [media.image(it, vision).times(n) for it, n in measured.images],
        "documents": [media.document(it, vision).times(n) for it, n in measured.documents],
        "audio": [media.audio(it, vision).times(n) for it, n in measured.audio],
        "unseen": [SERVER_TOOL.times(measured.server_tools), EARLIER.times(earlier)],
    }


def _text(measured: Measured, settings: EstimatorSettings) -> tuple[int, int, int]:
    total = sum(measured.segments.values(), TextStats())
    margin = settings.safety_margin
    if settings.kind is EstimatorKind.CHAR_RATIO:
        ratio = settings.chars_per_token
        return (
            floor_quotient(total.chars, ratio * margin),
            ceil_quotient(total.chars, ratio),
            ceil_ratio(total.chars, margin, ratio),
        )
    overhead = _overhead(measured, settings)
    usual = _tokens(total)
    tools = measured.segments.get(Segment.TOOLS, TextStats())
    rest = _without_tools(measured)
    # How providers write tools down is theirs: without JSON's signs and words it is half as much.
    low = min(_least(rest) + _least(tools) // 2, usual) + overhead
    usual += overhead
    observed = settings.observed
    if observed is None:
        return low, usual, ceil_product(usual, margin * AUTO_SLACK)
    found = features(measured)
    likely = max(rest.words, -(-dot(found, observed.factors) // 1000))
    if not observed.enough:  # the plain ratio's margins hold, around both figures
        return low, max(low, likely), ceil_product(max(usual, likely), margin * AUTO_SLACK)
    # By the errors that were seen, the margin on top of them.
    certain = dict(zip(GROUPS, found, strict=True)) | _certain(rest)
    least = dot([certain[name] for name in GROUPS], observed.least) // 1000
    high = ceil_product(-(-dot(found, observed.most) // 1000), margin)
    low = max(rest.words, floor_quotient(least, margin))
    return min(low, likely), likely, max(likely, high)


def _likely(stats: TextStats, settings: EstimatorSettings) -> int:
    if settings.kind is EstimatorKind.CHAR_RATIO:
        return ceil_quotient(stats.chars, settings.chars_per_token)
    return _tokens(stats)


def _tokens(stats: TextStats) -> int:
    """Return the usual tokens of a text; no tokenizer in use joins words, so each is at least one.

    Nor does one usually make more than five letters a token, or more than forty characters.
    """
    least = max(stats.words, -(-min(stats.letters, stats.chars) // 5), -(-stats.chars // 40))
    return max(least, -(-_thousandths(stats) // 1000))


def _least(stats: TextStats) -> int:
    """Return the tokens of the densest of texts, in which blanks and repetitions are for nothing.

    Blank lines and ruled ones may be a hundred characters a token.
    """
    certain = {**_certain(stats), "lines": 0}
    return max(stats.words, floor_product(sum(certain.values()) // 1000, AUTO_LEAST))


def _certain(stats: TextStats) -> dict[str, int]:
    """Return a text's thousandths by group, but for repetitions and for lines without a word."""
    groups = _by_group(stats) | dict.fromkeys(("blanks", "marks", "kana", "hangul", "bytes"), 0)
    groups["weight"] -= stats.repeated * _THOUSANDTHS["weight"]
    groups["beyond"] -= stats.repeated_beyond * _THOUSANDTHS["beyond"]
    groups["lines"] = min(groups["lines"], stats.words * 1000)
    return {name: max(0, value) for name, value in groups.items()}


def dot(found: Sequence[int], factors: Sequence[int]) -> int:
    """Return the sum of features, each by its factor: thousandths of tokens, rounded up."""
    return -(-sum(each * factor for each, factor in zip(found, factors, strict=True)) // UNIT)


def _by_group(stats: TextStats) -> dict[str, int]:
    """Return a text's thousandths by group."""
    groups = dict.fromkeys(_GROUPS.values(), 0)
    for name, part in _THOUSANDTHS.items():
        groups[_GROUPS[name]] += int(getattr(stats, name)) * part
    groups["foreign"] = stats.foreign * _THOUSANDTHS["runs"]
    groups["words"] -= groups["foreign"]
    return {name: max(0, value) for name, value in groups.items()}


def _without_tools(measured: Measured) -> TextStats:
    rest = (stats for segment, stats in measured.segments.items() if segment is not Segment.TOOLS)
    return sum(rest, TextStats())


def _thousandths(stats: TextStats) -> int:
    return sum(int(getattr(stats, name)) * part for name, part in _THOUSANDTHS.items())


def _overhead(measured: Measured, settings: EstimatorSettings) -> int:
    if settings.kind is EstimatorKind.CHAR_RATIO:
        return 0
    return measured.messages * MESSAGE_TOKENS + measured.tools * TOOL_TOKENS + REPLY_TOKENS
