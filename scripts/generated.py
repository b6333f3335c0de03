"""What all generators share: write their files, or with ``--check`` say which are out of date.

A generator is a script ``build_*.py`` whose output depends on nothing but the repository; ``make
generate`` runs them all, ``make check`` runs them all with ``--check``.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write_or_check(files: Mapping[str, str], *, folder: str) -> None:
    """Make ``folder`` (relative to the repository) hold exactly ``files``, or check that it does.

    Exits 1 under ``--check`` when a file is missing, different, or no longer generated.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    target = ROOT / folder
    target.mkdir(exist_ok=True)
    present = {path.name for path in target.iterdir()}
    stale = sorted(
        {name for name, text in files.items() if not _holds(target / name, text)}
        | (present - files.keys())
    )
    if check and stale:
        sys.exit(f"out of date in {folder}/: {', '.join(stale)}; run: make generate")
    for name in stale:
        if name in files:
            (target / name).write_text(files[name], encoding="utf-8", newline="\n")
        else:
            (target / name).unlink()


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
