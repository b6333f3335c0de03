"""Random bits by the block: the kernel takes as long for eight bytes as for thousands.

From the kernel's own source, so that nobody can guess what comes next. Called from one thread.
"""

import os
from collections.abc import Iterator

_BLOCK = 4096
_DRAW = 16


def _draws() -> Iterator[bytes]:
    while True:
        block = os.urandom(_BLOCK)
        for start in range(0, _BLOCK, _DRAW):
            yield block[start : start + _DRAW]


_drawn = _draws()


def token() -> str:
    """Return 24 hexadecimal digits that no other call returns."""
    return next(_drawn)[:12].hex()


def seed() -> int:
    """Return 64 bits of chance."""
    return int.from_bytes(next(_drawn)[:8])
