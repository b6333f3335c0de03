"""Generate ``gatewayctl/core/known.py``: which characters the packaged o200k knows.

``core`` may not read files, and a vocabulary is too large to count with in a routing decision; what
a single character costs fits a few kilobytes. ``--check`` changes nothing, and exits 1 when the
module is not what the vocabulary says.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

from gatewayctl.tokenizers.catalog import load

TARGET = Path(__file__).resolve().parent.parent / "gatewayctl" / "core" / "known.py"

LAST = 0x1FAFF
"""The last code point looked at; beyond it hardly anything is a token."""

BLOCK = 64
"""Characters whose UTF-8 differs in its last byte only; the vocabulary has much the same of all."""

FREQUENT = 20_000
"""The rank up to which a token was found early, and so often, when the vocabulary was made."""

HAN, HANGUL = range(0x4E00, 0xA000), range(0xAC00, 0xD7A4)
WIDTH = 44

HEAD = '''\
"""Which characters o200k knows, as ``scripts/build_characters.py`` finds it; not to be edited.

What the characters cost is ``core.characters``' business.
"""

from typing import Final

BLOCK: Final = 64
'''


def pieces(char: str, ranks: dict[bytes, int]) -> int:
    """Return how many tokens a character is on its own, by byte-pair merging in order of rank."""
    parts = [bytes([byte]) for byte in char.encode(errors="surrogatepass")]
    while True:
        joined = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
        if not joined or min(joined) == len(ranks):
            return len(parts)
        place = joined.index(min(joined))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def literal(name: str, doc: str, text: str, width: int) -> Iterator[str]:
    """Yield the lines of a constant string."""
    yield f"\n{name}: Final = ("
    for start in range(0, len(text), width):
        yield f'    "{text[start : start + width]}"'
    yield f')\n"""{doc}"""'


def module() -> str:
    """Return the module's text."""
    ranks = load("o200k_base")
    rank = {code: ranks.get(chr(code).encode(errors="surrogatepass")) for code in range(LAST + 1)}
    lines = [HEAD.rstrip("\n")]
    for name, script in (("HAN", HAN), ("HANGUL", HANGUL)):
        tokens = {code: found for code in script if (found := rank[code]) is not None}
        often = "".join(chr(code) for code, found in tokens.items() if found < FREQUENT)
        other = "".join(chr(code) for code, found in tokens.items() if found >= FREQUENT)
        lines += literal(f"{name}_FREQUENT", "Tokens of their own, of a low rank.", often, WIDTH)
        lines += literal(name, "The other characters that are tokens of their own.", other, WIDTH)
    alone = [
        code
        for code in range(0x80, LAST + 1)
        if rank[code] is not None and code not in HAN and code not in HANGUL
    ]
    runs = [
        [code for _, code in run] for _, run in groupby(enumerate(alone), lambda p: p[1] - p[0])
    ]
    ranges = " ".join(f"{run[0]:x}-{run[-1]:x}" if run[1:] else f"{run[0]:x}" for run in runs)
    lines.append('\nOTHERS: Final = """')
    line = ""
    for word in ranges.split():
        if len(line) + len(word) >= 98:  # noqa: PLR2004 - the longest line there may be
            lines.append(line)
            line = ""
        line = f"{line} {word}".lstrip()
    lines.append(
        f'{line}\n"""\n"""Those of other scripts: code points, first and last of each run."""'
    )
    blocks = []
    for first in range(0, LAST + 1, BLOCK):
        split = [
            pieces(chr(code), ranks)
            for code in range(first, first + BLOCK)
            if code >= 0x80 and rank[code] is None  # noqa: PLR2004 - beyond ASCII
        ]
        blocks.append(str(round(sum(split) / len(split))) if split else "1")
    lines += literal(
        "BLOCKS",
        "For each 64 code points: how many tokens a character is that is not one itself.",
        "".join(blocks),
        90,
    )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    text = module()
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8", newline="\n")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        print(f"out of date: {TARGET.name}; run: make generate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
