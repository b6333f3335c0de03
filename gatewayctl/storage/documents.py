"""JSON files of ours, each with its schema version: read, written whole, and refused if newer.

A document is a ``msgspec.Struct`` with a field ``schema_version``. What it says, and what becomes
of one that is damaged, is its owner's business.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files

T = TypeVar("T")


class WrittenByNewer(StorageFailed):
    """A newer version of the program wrote a file, so that this one has to leave it as it is."""

    def __init__(self, path: Path, *, found: int, known: int) -> None:
        super().__init__(
            f"{path} was written by a newer gatewayctl (schema {found}, this one knows {known}): "
            "update this one"
        )


class _Version(msgspec.Struct, frozen=True):
    schema_version: int


def read(path: Path, kind: type[T], version: int) -> T | None:
    """Return the document in a file, None where there is none.

    Raises StorageFailed where the file cannot be read, WrittenByNewer for a schema version above
    ``version``, and ``ValueError`` where it holds something else, in words that may repeat it.
    """
    data = files.read_bytes(path)
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=_Version).schema_version
        if found > version:
            raise WrittenByNewer(path, found=found, known=version)
        return msgspec.json.decode(data, type=kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write(path: Path, document: msgspec.Struct) -> None:
    """Replace a file by a document, unless it is the same; raise StorageFailed."""
    data = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
    if data != files.read_bytes(path):
        files.write_atomic(path, data)
