"""Text is counted as tiktoken counts it, and no text is slow, crashes or panics."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayctl.tokenizers import encoder as encoding
from gatewayctl.tokenizers import tiktoken as subject
from gatewayctl.tokenizers.catalog import VOCABULARIES
from gatewayctl.tokenizers.encoder import CHUNK, chunks
from gatewayctl.tokenizers.tiktoken import encoder

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
EACH = pytest.mark.parametrize("vocabulary", VOCABULARIES)

PROSE = (ROOT / "README.md").read_text(encoding="utf-8")
CORE = sorted((ROOT / "gatewayctl" / "core").rglob("*.py"))
CODE = "".join(path.read_text(encoding="utf-8") for path in CORE)  # enough for five chunks
CHINESE = "天地玄黄,宇宙洪荒。日月盈昃,辰宿列張。寒來暑往,秋收冬藏。\n閏餘成歲,律呂調陽。"
CORPORA = {
    "prose": PROSE * 10,
    "code": CODE,
    "windows line ends": PROSE.replace("\n", "\r\n") * 10,
    "minified": "".join(CODE.split()),
    "french": "L'été d'avant n'était qu'un rêve, c'est-à-dire peu. " * 5_000,
    "chinese": CHINESE * 5_000,
    "russian": "Все счастливые семьи похожи друг на друга.\n" * 5_000,  # noqa: RUF001
    "emoji": "Well done 👍🏽! 👨‍👩‍👧‍👦 🇩🇪, and again ☕️.\n" * 5_000,
    "numbers": "".join(f"{n * 7919},{n / 7:.3f};" for n in range(20_000)),
    "paths": "/usr/share/doc\n/etc/hosts\n// comment\n\n/\n" * 5_000,
}


def whole(vocabulary: str, text: str) -> int:
    """Return tiktoken's own count of the whole text at once."""
    return len(encoder(vocabulary)._encoding.encode_ordinary(text))


def randomly(alphabet: str, length: int = MEGABYTE) -> str:
    """Return random characters, the same in every run."""
    return "".join(random.Random(1).choices(alphabet, k=length))  # noqa: S311


PATHOLOGICAL = {
    "spaces": " " * MEGABYTE,
    "spaces, then a word": " " * MEGABYTE + "x",
    "tabs": "\t" * MEGABYTE,
    "newlines": "\n" * MEGABYTE,
    "one letter": "a" * MEGABYTE,
    "one capital": "A" * MEGABYTE,
    "one digit": "7" * MEGABYTE,
    "one mark": "=" * MEGABYTE,
    "random letters": randomly("abcdefghijklmnopqrstuvwxyz"),
    "random capitals": randomly("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "one emoji": "😀" * (MEGABYTE // 4),
    "random emoji": randomly("😀😂🤣👍🏽🇩🇪", MEGABYTE // 4),
    "control characters": randomly("\x00\x01\x1f\r\n\t "),
    "combining marks": "\u0301" * (MEGABYTE // 2),
    "wide spaces": "\u3000" * (MEGABYTE // 3),
    "one ideograph": "中" * (MEGABYTE // 3),
    "lone surrogates": "\ud800" * (MEGABYTE // 3),
}


@EACH
@pytest.mark.parametrize("text", CORPORA.values(), ids=CORPORA)
def test_chunks_do_not_change_a_count(vocabulary: str, text: str) -> None:
    """Ordinary text has exactly the count that it has when tiktoken is given it whole."""
    assert len(list(chunks(text))) > 1
    assert encoder(vocabulary).count(text) == whole(vocabulary, text)


@EACH
@given(text=st.text("asZ é7中。あ한'\u2019\u0301😀.,/_-\n\r\t \u00a0\u3000\x1c\x85", max_size=60))
def test_every_safe_place_is_the_end_of_a_piece(vocabulary: str, text: str) -> None:
    """Wherever a text may be cut, cutting it changes nothing."""
    places = [match.end() for match in encoding._SAFE.finditer(text)]
    expected = whole(vocabulary, text)
    for place in places:
        assert whole(vocabulary, text[:place]) + whole(vocabulary, text[place:]) == expected, place


@given(text=st.text("aé \n😀", max_size=200), size=st.integers(1, 9))
def test_chunks_are_the_text(text: str, size: int) -> None:
    """Nothing is lost or added between chunks, and none is longer than the limit."""
    cut = list(chunks(text * size * 3_000))
    assert "".join(cut) == text * size * 3_000
    assert max(map(len, cut)) <= CHUNK


@EACH
@pytest.mark.parametrize("text", PATHOLOGICAL.values(), ids=PATHOLOGICAL)
def test_a_megabyte_of_anything_is_counted(vocabulary: str, text: str) -> None:
    """No megabyte crashes or panics, nor takes long: tiktoken gets bounded pieces of it."""
    count = encoder(vocabulary).count(text)
    assert max(map(len, chunks(text))) <= CHUNK
    assert 0 < count <= len(text.encode(errors="surrogatepass"))


@EACH
@pytest.mark.parametrize(
    "unit", [" ", "a", "7", "=", "\n", "😀", "ab", "\u0301"], ids=lambda unit: unit.encode().hex()
)
def test_runs_are_counted_to_one_percent(vocabulary: str, unit: str) -> None:
    """A run that must be cut anywhere has within 1 % the count that it has uncut."""
    text = unit * (300_000 // len(unit))
    exact = whole(vocabulary, text)
    assert abs(encoder(vocabulary).count(text) - exact) <= exact / 100


@EACH
def test_special_tokens_are_ordinary_text(vocabulary: str) -> None:
    """What looks like a control token in a prompt is counted as the characters it is."""
    assert encoder(vocabulary).count("<|endoftext|>") > 1


@EACH
def test_the_empty_text_has_no_tokens(vocabulary: str) -> None:
    """Nothing counts nothing."""
    assert encoder(vocabulary).count("") == 0


def test_a_text_seen_before_is_not_encoded_again() -> None:
    """A long text's count is remembered by its hash, across requests."""
    once = subject.TiktokenEncoder("cl100k_base")
    text = PROSE * 3
    first = once.count(text)
    del once._encoding  # whoever encodes now fails
    assert once.count(text) == first


def test_what_is_remembered_is_bounded() -> None:
    """However many texts come, only the latest are remembered, and none of their words."""
    once = subject.TiktokenEncoder("cl100k_base")
    once._remembered = 10
    for number in range(100):
        once.count(f"{number} is a number, and this a text that is long enough to be remembered")
    assert len(once._counts) == 10
    assert not any(isinstance(part, str) for key in once._counts for part in key)


class Reluctant:
    """An encoding that gives up on texts longer than a limit, as tiktoken does on some."""

    def __init__(self, limit: int, error: type[BaseException]) -> None:
        self.limit = limit
        self.error = error

    def encode_ordinary(self, text: str) -> list[int]:
        """Count one token per character, or give up."""
        if len(text) > self.limit:
            raise self.error
        return [0] * len(text)


PanicException = type("PanicException", (BaseException,), {})


@pytest.mark.parametrize("error", [ValueError, PanicException])
def test_what_tiktoken_gives_up_on_is_counted_in_halves(error: type[BaseException]) -> None:
    """A regular expression that gives up, with an error or a panic, is given less text."""
    once = subject.TiktokenEncoder("cl100k_base")
    once._encoding = Reluctant(1_000, error)  # type: ignore[assignment]
    assert once.count("a" * 50_000) == 50_000


def test_what_tiktoken_always_gives_up_on_counts_by_its_bytes() -> None:
    """If even a short text is refused, each byte counts: never too few, and no endless loop."""
    once = subject.TiktokenEncoder("cl100k_base")
    once._encoding = Reluctant(0, ValueError)  # type: ignore[assignment]
    assert once.count("é" * 5_000) == 10_000


def test_an_interrupt_is_no_panic() -> None:
    """What is not tiktoken's giving up is raised as it came."""
    once = subject.TiktokenEncoder("cl100k_base")
    once._encoding = Reluctant(0, KeyboardInterrupt)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        once.count("a")
