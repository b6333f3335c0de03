"""The packaged table: what is known about models offline and before any refresh.

``table.json.zz`` is made by ``scripts/build_snapshot.py`` and is never edited; ``NOTICE`` says
where its data come from. Nothing here is ever written at run time.
"""

import zlib
from functools import cache
from pathlib import Path

from gatewayctl.registry.table import Table

TABLE = "table.json.zz"
DIGEST = "table.sha256"


def read(name: str) -> bytes:
    """Return one file of this package."""
    return Path(__file__).with_name(name).read_bytes()


@cache
def load() -> Table:
    """Load the packaged table, once per process (about 4 ms)."""
    return Table.load(zlib.decompress(read(TABLE)))


@cache
def digest() -> str:
    """Return the packaged file's SHA-256 as written when it was built; it names the snapshot."""
    return read(DIGEST).decode("ascii").split()[0]
