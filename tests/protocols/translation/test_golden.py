"""What upstreams are sent and clients are told is what was reviewed, in golden files."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import crossings

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = crossings.golden()
PRESENT = crossings.present()


@pytest.mark.parametrize("path", sorted(GOLDEN | PRESENT))
def test_what_is_sent_and_told_is_what_was_reviewed(path: str) -> None:
    """Every cell of client, upstream and case; ``make generate`` writes a change down."""
    assert GOLDEN.get(path, "").splitlines() == PRESENT.get(path, "").splitlines()


def test_the_table_of_what_is_kept_is_current() -> None:
    """docs/translation.md says what the codecs do now."""
    script = ROOT / "scripts" / "build_translation.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
