"""Tokenizer files as models have them, made here: of each kind of model that is in use.

They are trained on a few words, so that a test can tell their counts from those of any other.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

WORDS = ["The quick brown fox jumps over the lazy dog.\n", "def f(x):\n    return x + 1\n"] * 50

# How Llama 3, Qwen and their like cut text into pieces, in effect.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level() -> Tokenizer:
    """Return byte-level BPE behind a regular expression; it has a special token."""
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_PIECES), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(WORDS, trainer)
    return made


def sentencepiece() -> Tokenizer:
    """Return BPE that cuts no text into pieces beforehand and falls back on bytes."""
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", *alphabet], show_progress=False
    )
    made.train_from_iterator(WORDS, trainer)
    return made


def unigram() -> Tokenizer:
    """Return a unigram model."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=100, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(WORDS, trainer)
    return made


def wordpiece() -> Tokenizer:
    """Return a WordPiece model."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[UNK]"], show_progress=False
    )
    made.train_from_iterator(WORDS, trainer)
    return made


def characters() -> Tokenizer:
    """Return a model of which each character is a token: what it counts is plain to see."""
    vocabulary = {chr(code): code for code in range(128)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="\x00"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return made


MAKERS: Mapping[str, Callable[[], Tokenizer]] = MappingProxyType(
    {
        "byte-level": byte_level,
        "sentencepiece": sentencepiece,
        "unigram": unigram,
        "wordpiece": wordpiece,
        "characters": characters,
    }
)


def written(folder: Path, made: Tokenizer, name: str = "tokenizer.json") -> str:
    """Write a tokenizer's file; return its path."""
    path = folder / name
    path.write_text(made.to_str(), encoding="utf-8")
    return str(path)
