"""Pack OpenAI's vocabularies from ``../shared/data/*.tiktoken``.

``python scripts/build_vocabularies.py`` writes the packaged files. ``--check`` needs no source: it
writes each packaged vocabulary out as OpenAI publishes it, in memory, and compares the SHA-256 of
that with the published one; exit 1 when they differ.
"""

import argparse
import base64
import hashlib
import sys
from pathlib import Path

import msgspec
import zstandard

from gatewayctl.core.errors import CountUnavailable
from gatewayctl.tokenizers import catalog
from gatewayctl.tokenizers.catalog import VOCABULARIES, Vocabulary

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
TARGET = ROOT / "gatewayctl" / "tokenizers" / "vocab"


def parse(published: bytes) -> list[bytes]:
    """Return the tokens of a ``.tiktoken`` file: lines of base64, a space and the rank."""
    return [base64.b64decode(line.split()[0]) for line in published.splitlines()]


def render(tokens: list[bytes]) -> bytes:
    """Return the ``.tiktoken`` file of the tokens."""
    lines = (b"%b %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
    return b"".join(lines)


def write(vocabulary: Vocabulary) -> str | None:
    """Pack one vocabulary; return what is wrong, if anything."""
    published = (DATA / f"{vocabulary.name}.tiktoken").read_bytes()
    if hashlib.sha256(published).hexdigest() != vocabulary.published:
        return f"{vocabulary.name}.tiktoken is not the published file"
    content = msgspec.msgpack.encode(parse(published))
    packed = zstandard.ZstdCompressor(level=22).compress(content)
    (TARGET / catalog.file_name(vocabulary)).write_bytes(packed)
    print(f"{catalog.file_name(vocabulary)}: {len(packed)} bytes")
    found = (hashlib.sha256(content).hexdigest(), len(content))
    if found != (vocabulary.unpacked, vocabulary.size):
        return f"put into tokenizers/catalog.py for {vocabulary.name}: unpacked, size = {found}"
    return None


def check(vocabulary: Vocabulary) -> str | None:
    """Return what is wrong with one packaged vocabulary, if anything."""
    try:
        tokens = catalog.unpack(vocabulary, catalog.packed(vocabulary))
    except CountUnavailable as error:
        return str(error)
    if hashlib.sha256(render(tokens)).hexdigest() != vocabulary.published:
        return f"{catalog.file_name(vocabulary)} is not the published vocabulary"
    return None


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="verify, write nothing")
    act = check if parser.parse_args().check else write
    problems = [problem for entry in VOCABULARIES.values() if (problem := act(entry))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
