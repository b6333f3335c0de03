"""Generated files depend on nothing but the repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("seed", ["1", "2", "3"])
@pytest.mark.parametrize("script", ["build_completions.py", "build_man.py"])
def test_the_order_of_sets_does_not_show(script: str, seed: str) -> None:
    """Whatever the hash seed of the interpreter, the committed files are what is generated."""
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
