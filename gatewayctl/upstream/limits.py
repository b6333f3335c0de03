"""Which limit a refusal by size names, how much it counted, and whether it is about tokens at all.

Pure. A figure in an upstream's words is believed only where the words around it say what it is:
a limit that is misread would cap a window for good. Fields of the error object say more than its
words, and the error of a provider behind a router is read where the router's says nothing.
Whether a failure is a refusal by size is ``failures``' business, what it teaches
``core.learning``'s.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from gatewayctl.core.errors import FailureKind
from gatewayctl.protocols.told import Told, error_in
from gatewayctl.upstream.meanings import WORDS

_TOKEN_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
    }
)
"""Codes that say by themselves that there were too many tokens."""

_FIGURE = r"([0-9][0-9,]{2,12})(?![0-9A-Za-z_%]|[.,][0-9])"
_NO_UNIT = (
    r"(?![ -]*(?:(?:bytes?|[kmg]i?b|char(?:acter)?s?|images?|pictures?|pages?|pixels?|px|files?"
    r"|documents?|messages?|tools?|items?|requests?|seconds?|ms|dollars?|credits?)\b"
    r"|(?:new|output|completion|generated|reasoning)[ -]tokens?\b))"
)
_LIMIT = _FIGURE + _NO_UNIT

_LIMITS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"[0-9](?: tokens)? ?> ?{_LIMIT}",  # Anthropic
        rf"n_ctx[^0-9]{{1,4}}{_LIMIT}",  # LM Studio
        rf"\bwith {_LIMIT} maximum context",  # Mistral
        rf"must (?:be|have) (?:<=?|less than|at most) {_LIMIT}",  # Together and its like
        rf"cannot exceed {_LIMIT}",
        rf"should be \[[0-9]{{1,9}}, ?{_LIMIT}\]",
        (
            rf"(?:context|prompt|input|sequence|model)[ -]?(?:length|window|size|limit)"
            rf"(?: (?:is|of|only|limit|maximum|allowed|which)){{0,4}}[ :=(]{{1,3}}{_LIMIT}"
        ),
        (
            rf"(?:limit|maximum)(?: (?:is|of|number|tokens?|allowed|context|prompt|length)){{0,6}}"
            rf"[ :=(]{{1,3}}{_LIMIT}"
        ),
    )
)
"""Where providers name their limit, the plainest form first."""

_SUM: Final = re.compile(r"([0-9][0-9,]{0,12}) ?\+ ?([0-9][0-9,]{0,12}) ?>")
_INPUT_AND_OUTPUT: Final = re.compile(
    r"passed ([0-9][0-9,]{0,12}) input tokens and requested ([0-9][0-9,]{0,12}) output"
)
_DIFFERENCE: Final = re.compile(
    r"([0-9][0-9,]{0,12}) ?> ?[0-9][0-9,]{0,12} ?- ?([0-9][0-9,]{0,12})"
)
"""vLLM: a budget is more than what the input leaves of the window."""
_COUNTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_FIGURE}(?: tokens)? ?> ?[0-9]",
        (
            rf"(?:requested|request (?:contains|has)|resulted in|prompt contains|passed|given"
            rf"|received)"
            rf"(?: (?:about|a|total|of|only|tokens?)){{0,4}}[ :(]{{1,3}}{_FIGURE}"
        ),
        (
            rf"(?:request|input|prompt|count|length|first|keep|long)"
            rf"(?: (?:is|of|token|tokens|count|length)){{0,4}}[ :(]{{1,3}}{_FIGURE}"
            rf"(?=[^0-9]*[0-9]{{3}})"
        ),
    )
)
"""Where they say what they counted, a figure that stands before the limit last."""

_ELSE: Final = re.compile(
    r"(?i)\b(?:bytes?|[0-9][0-9.,]* ?[kmg]i?b|megabytes?|images?|pictures?|pages?|pixels?"
    r"|(?:request|payload|body|entity|file|content) (?:is )?(?:too large|size)"
    r"|(?:tokens?|requests?) per (?:minute|hour|day)|TPM|RPM|TPD|quota)\b"
)
"""What else than tokens a refusal may be about."""

_OUTPUT: Final = re.compile(
    r"(?i)max_(?:completion_|output_|new_)?tokens`? (?:is|must|cannot|exceeds|should)"
    r"|maximum(?: allowed| number| of){0,4} (?:output|completion)"
    r"|(?:output|completion) (?:token )?(?:limit|maximum)|at most [0-9,]+ (?:output|completion)"
)
"""Words about the length of the reply."""

_OF_TOKENS: Final = (
    re.compile(r"(?i)context|\btokens?\b|(?:prompt|input) (?:is )?(?:too long|length)"),
    *(words.pattern for words in WORDS if words.kind is FailureKind.CONTEXT_OVERFLOW),
)
_OF_INPUT: Final = re.compile(
    r"(?i)context|prompt|input|length of the messages|model token limit|`inputs`"
)
_MADE_UP: Final = re.compile(r"\(2013\)")  # MiniMax: the number of the error, where a limit stands


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What a refusal by size says: its limit and what it counted, in tokens, where it says so.

    ``by_tokens`` is False where it is about bytes, images or the reply's length alone.
    """

    window: int | None = None
    counted: int | None = None
    by_tokens: bool = True


def limit_of(told: Told) -> Limit:
    """Return what a refusal by size says; a limit that what was counted is within is none."""
    said = [told]
    if told.beneath:
        said.append(error_in(told.beneath.encode()))
    if not any(_is_by_tokens(each) for each in said):
        return Limit(by_tokens=False)
    for each in said:
        window, counted = each.limit or _window(each.message), each.size or _counted(each.message)
        if window is not None:
            good = counted is None or counted > window
            return Limit(window=window, counted=counted) if good else Limit()
    return Limit()


def _is_by_tokens(told: Told) -> bool:
    if told.limit is not None:
        return True
    words = told.message
    of_tokens = any(each.search(words) for each in _OF_TOKENS)
    if _OUTPUT.search(words) and not _OF_INPUT.search(words):
        return False
    if _TOKEN_CODES.intersection((*told.codes, *told.reasons)):
        return of_tokens or not _ELSE.search(words)
    return of_tokens and not _ELSE.search(words)


def _window(words: str) -> int | None:
    words = _MADE_UP.sub("", words)
    found = (limit.search(words) for limit in _LIMITS)
    return next((_number(each[1]) for each in found if each is not None), None)


def _counted(words: str) -> int | None:
    for both in (_SUM, _INPUT_AND_OUTPUT, _DIFFERENCE):
        if (found := both.search(words)) is not None:
            return _number(found[1]) + _number(found[2])
    return next(_single(words), None)


def _single(words: str) -> Iterator[int]:
    for count in _COUNTS:
        if (found := count.search(words)) is not None:
            yield _number(found[1])


def _number(figure: str) -> int:
    return int(figure.replace(",", ""))
