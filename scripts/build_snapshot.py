"""Build the packaged table of models from the sources' files in ``../shared/data``.

``python scripts/build_snapshot.py`` writes it, the same bytes for the same data.
``--check`` verifies the packaged file against its SHA-256 and, where the data folder is present,
that building it anew gives the same table; exit 1 when not.
"""

import argparse
import hashlib
import sys
import zlib
from pathlib import Path

from gatewayctl.config.kinds import kinds
from gatewayctl.registry import snapshot
from gatewayctl.registry.sources import PARSERS, provider_names
from gatewayctl.registry.table import Part, join

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
TARGET = ROOT / "gatewayctl" / "registry" / "snapshot"

# File and date of each source: the day LiteLLM's release was taken over, and the newest update
# inside models.dev's data.
SOURCES = {
    "litellm": ("litellm-1.109.1.json", "2026-11-21T00:00:00Z"),
    "models_dev": ("models-dev-rebuilt.json", "2026-06-30T00:00:00Z"),
}


def build() -> bytes:
    """Return the table's file, uncompressed."""
    parts = {}
    for source, (file, date) in SOURCES.items():
        names = provider_names(source, kinds())
        table = PARSERS[source]((DATA / file).read_bytes(), names)
        print(f"{source}: {len(table.models)} models, skipped {dict(table.skipped)}")
        parts[source] = Part(fetched_at=date, models=table.models)
    return join(parts)


def write() -> None:
    """Build and write the packaged file and its digest."""
    packed = zlib.compress(build(), 9)
    (TARGET / snapshot.TABLE).write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    (TARGET / snapshot.DIGEST).write_text(f"{digest}  {snapshot.TABLE}\n", encoding="ascii")
    print(f"{snapshot.TABLE}: {len(packed)} bytes")


def check() -> list[str]:
    """Return what is wrong with the packaged file."""
    packed = (TARGET / snapshot.TABLE).read_bytes()
    if hashlib.sha256(packed).hexdigest() != snapshot.digest():
        return [f"{snapshot.TABLE} does not match {snapshot.DIGEST}"]
    if not DATA.is_dir():
        print(f"the data folder is not here: only the digest of {snapshot.TABLE} was checked")
        return []
    # Compared unpacked: another zlib may pack the same table into other bytes.
    if zlib.decompress(packed) != build():
        return [f"{snapshot.TABLE} is stale: run python scripts/build_snapshot.py"]
    return []


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="verify, write nothing")
    if not parser.parse_args().check:
        write()
        return 0
    problems = check()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
