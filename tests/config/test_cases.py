"""Broken and unwise files as data: each line says which problems stand in it.

A comment ``#! error CODE`` (or ``warning``) at the end of a line of ``cases/*.toml`` expects that
problem in that line; a file has exactly the problems that it says.
"""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.jsonschema import json_schema
from gatewayctl.config.lint import Surroundings
from gatewayctl.config.load import Loaded, load_bytes
from gatewayctl.config.problems import Severity

CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))
TODAY = date(2026, 6, 1)
_SAID = re.compile(r"(error|warning) ([a-z0-9-]+)")


def read(path: Path) -> Loaded:
    """Read a case as the command line would."""
    return load_bytes(
        path.read_bytes(),
        name=path.name,
        environ={},
        catalog=SmallCatalog(),
        around=Surroundings(today=TODAY),
    )


def expected(path: Path) -> list[tuple[int, str, str]]:
    """Return line, severity and code of everything that the file expects."""
    return sorted(
        (number, severity, code)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for severity, code in _SAID.findall(line.partition("#!")[2])
    )


def test_there_are_cases() -> None:
    """The folder is found, and every case expects something."""
    assert len(CASES) >= 45
    assert all(expected(path) for path in CASES)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_file_has_exactly_the_problems_that_it_says(path: Path) -> None:
    """All problems of a file come in one run, each in its line, and no other."""
    loaded = read(path)
    found = sorted((each.line or 0, each.severity.value, each.code) for each in loaded.problems)
    assert found == expected(path)
    has_error = any(each.severity is Severity.ERROR for each in loaded.problems)
    assert (loaded.settings is None) == has_error


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_caret_stands_inside_its_line(path: Path) -> None:
    """Line, column and source line belong together, so that the caret can be drawn."""
    for problem in read(path).problems:
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.column <= len(problem.source_line) + 1
        assert len(problem.source_line) == len(path.read_text().splitlines()[problem.line - 1])


def test_one_case_has_every_key_of_the_format() -> None:
    """Each key is accepted or called not yet supported; a new one needs a line there."""
    text = (Path(__file__).parent / "cases" / "every-key.toml").read_text()
    schema: Any = json_schema()
    tables = [schema, *schema["$defs"].values()]
    keys = {key for table in tables for key in table["properties"]}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()
