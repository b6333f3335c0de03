"""The tiny model's file; that a real server loads it is shown in ``tests/e2e``."""

import struct
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_tiny_model.py"


def test_the_file_is_small_and_the_same_every_time(tmp_path: Path) -> None:
    """Two runs write equal bytes: a GGUF of version 3, about half a megabyte."""
    files = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    for file in files:
        subprocess.run([sys.executable, SCRIPT, file], check=True, timeout=60, capture_output=True)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert struct.unpack_from("<4sI", first) == (b"GGUF", 3)
    assert 400_000 < len(first) < 600_000
