"""Which vocabularies are packaged, and their tokens, verified on load.

The files in ``vocab/`` are made by ``scripts/build_vocabularies.py`` and never edited or fetched:
the tokens in the order of their ranks, as a msgpack array of bytes, compressed with zstd. How text
is cut and counted with them is ``tokenizers.tiktoken``'s business.
"""

import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

import msgspec

from gatewayctl.core.errors import CountUnavailable

# The patterns that cut text into pieces before any merge, as tiktoken publishes them (NOTICE).
_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)",
    r"[^\r\n\p{L}\p{N}]?+\p{L}++",
    r"\p{N}{1,3}+",
    r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
    r"\s++$",
    r"\s*[\r\n]",
    r"\s+(?!\S)",
    r"\s",
)
_O200K_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _O200K_SUFFIX,
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _O200K_SUFFIX,
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
)


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """One vocabulary of OpenAI's.

    ``pattern`` cuts text into pieces; ``published`` is the SHA-256 of the vocabulary as OpenAI
    publishes it (``.tiktoken``), which tiktoken itself expects; ``unpacked`` is that of our file
    once decompressed; ``size`` the bytes it then has.
    """

    name: str
    pattern: str
    published: str
    unpacked: str
    size: int


_ALL = (
    Vocabulary(
        name="o200k_base",
        pattern="|".join(_O200K),
        published="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        unpacked="21be86ee43e53a592c4dc0621c2eca9af6bc4c29df3c9a2161e452e4ecccab5d",
        size=1_797_671,
    ),
    Vocabulary(
        name="cl100k_base",
        pattern="|".join(_CL100K),
        published="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        unpacked="ed0816e2b705c3b6474af6314071f4fdeebd9b5862af1ff3d3f9136711a8a00c",
        size=844_347,
    ),
)

VOCABULARIES: Mapping[str, Vocabulary] = MappingProxyType({entry.name: entry for entry in _ALL})
"""Every packaged vocabulary, by name."""

_TOKENS = msgspec.msgpack.Decoder(list[bytes])


def file_name(vocabulary: Vocabulary) -> str:
    """Return the name of a vocabulary's file."""
    return f"{vocabulary.name}.msgpack.zst"


def find(name: str) -> Vocabulary:
    """Return the vocabulary of that name; raise ``CountUnavailable`` when none is packaged."""
    try:
        return VOCABULARIES[name]
    except KeyError:
        raise CountUnavailable(f"no vocabulary {name!r} is packaged.") from None


def packed(vocabulary: Vocabulary) -> bytes:
    """Return the packaged file; raise ``CountUnavailable`` when it cannot be read."""
    try:
        return (resources.files(__package__) / "vocab" / file_name(vocabulary)).read_bytes()
    except OSError as error:
        raise CountUnavailable(
            f"the packaged vocabulary {vocabulary.name} cannot be read: reinstall gatewayctl."
        ) from error


def unpack(vocabulary: Vocabulary, data: bytes) -> list[bytes]:
    """Return the tokens of a packaged file by rank; ``CountUnavailable`` when it is damaged."""
    import zstandard  # noqa: PLC0415 - loaded only when something is counted exactly

    try:
        # Never more than expected, whatever the header of a damaged file says.
        content = zstandard.ZstdDecompressor().stream_reader(data).read(vocabulary.size + 1)
    except zstandard.ZstdError as error:
        raise _damaged(vocabulary) from error
    if hashlib.sha256(content).hexdigest() != vocabulary.unpacked:
        raise _damaged(vocabulary)
    return _TOKENS.decode(content)


def load(name: str) -> dict[bytes, int]:
    """Return each token's rank (about 30 ms); raise ``CountUnavailable`` when that cannot be."""
    vocabulary = find(name)
    tokens = unpack(vocabulary, packed(vocabulary))
    return dict(zip(tokens, range(len(tokens)), strict=True))


def _damaged(vocabulary: Vocabulary) -> CountUnavailable:
    return CountUnavailable(
        f"the packaged vocabulary {vocabulary.name} is damaged: reinstall gatewayctl."
    )
