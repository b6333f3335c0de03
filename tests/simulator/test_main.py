import re
import subprocess
import sys
from pathlib import Path

import pytest

from gatewayctl.simulator.__main__ import main
from gatewayctl.simulator.faults import FAULTS, WISHES, form
from gatewayctl.simulator.overflows import PROVIDERS
from gatewayctl.simulator.servers import KINDS


@pytest.mark.parametrize("option", ["--help", "--faults"])
def test_the_faults_can_be_listed(option: str) -> None:
    """Both options of the program name every fault, and every provider that overflow knows."""
    command = [sys.executable, "-m", "gatewayctl.simulator", option]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(name in printed for name in (*FAULTS, *WISHES, *PROVIDERS))
    assert "small!429=2" in printed


def test_the_manual_has_every_fault() -> None:
    """``docs/simulator.md`` says of each fault what the program says."""
    manual = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    rows = {f"| `{form(name)}` | {kind.meaning} |" for name, kind in (FAULTS | WISHES).items()}
    assert rows <= set(manual.splitlines())
    assert all(f"`{provider}`" in manual for provider in PROVIDERS)


def test_the_manual_has_every_option_and_every_server() -> None:
    """``docs/simulator.md`` names what the program's help does: each option, each server."""
    command = [sys.executable, "-m", "gatewayctl.simulator", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    manual = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z]+", printed)) - {"--help"}
    assert {"--as", "--context", "--tokenizer"} <= options
    assert all(option in manual for option in options)
    assert all(f"`{kind}`" in manual for kind in KINDS)


def test_what_is_no_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A port is a number."""
    with pytest.raises(SystemExit):
        main(["eighty"])
    assert "invalid int value" in capsys.readouterr().err
