"""The packaged table is what its script made of the data."""

import subprocess
import sys
from pathlib import Path

from gatewayctl.registry import snapshot

ROOT = Path(__file__).parents[2]


def test_the_packaged_table_matches_its_digest_and_its_data() -> None:
    """``--check`` is content: the file is whole, and fresh where the data folder is present."""
    script = ROOT / "scripts" / "build_snapshot.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_it_holds_both_sources_and_thousands_of_models() -> None:
    """Offline and on a fresh install everything is known that the tables know."""
    table = snapshot.load()
    assert {source.name for source in table.sources} == {"litellm", "models_dev"}
    assert all(source.models > 4000 for source in table.sources)


def test_its_origin_and_licence_are_packaged() -> None:
    """Both tables are MIT-licensed, which asks for the notice to go along."""
    notice = snapshot.read("NOTICE").decode()
    for word in ("LiteLLM", "models.dev", "MIT License", "without restriction"):
        assert word in notice
