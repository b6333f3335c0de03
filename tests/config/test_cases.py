"""Broken and unwise files as data: each line says which problems stand in it.

A comment ``#! error CODE`` (or ``warning``) at the end of a line of ``cases/*.toml`` expects that
problem in that line; a file has exactly the problems that it says. ``words.txt`` has column, key,
message and hint of every one. New words are accepted by running this file: PYTHONPATH=tests
.venv/bin/python tests/config/test_cases.py
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
WORDS = Path(__file__).parent / "words.txt"
TODAY = date(2026, 6, 1)
_SAID = re.compile(r"(error|warning) ([a-z0-9-]+)")

DOCUMENTED: dict[str, tuple[str, ...]] = {
    "error: syntax": ("syntax",),
    "error: unknown key": ("unknown-key",),
    "error: wrong type": ("wrong-type",),
    "error: duplicate id": ("duplicate-id",),
    "error: unknown provider": ("unknown-provider",),
    "error: unknown source of the registry": ("unknown-source",),
    "error: a bare name that is no alias, route or known id": ("unknown-name",),
    "error: cycle": ("cycle",),
    "error: alloy with fewer than 2 constituents": ("alloy-too-few-constituents",),
    "error: alloy of an unknown strategy": ("unknown-value",),
    "error: alloy without a name": ("alloy-missing-name",),
    "error: alloy with a missing or zero window": (
        "alloy-missing-context-window",
        "alloy-zero-context-window",
        "alloy-auto-window-unknown",
    ),
    "error: alloy with a weight that is not positive": ("alloy-weight-not-positive",),
    "error: alloy with a minimum of 0": ("alloy-zero-minimum",),
    "error: constituent under an explicit minimum": ("alloy-constituent-under-minimum",),
    "error: cascade without steps": ("cascade-without-steps",),
    "error: dispatcher without targets": ("dispatcher-without-targets",),
    "error: worst_case without its key": ("worst-case-without-size",),
    "error: NaN and infinity": ("not-finite",),
    "error: margin below 1": ("margin-below-one",),
    "error: ratio that is not positive": ("ratio-not-positive",),
    "error: fraction outside (0, 1]": ("fraction-out-of-range",),
    "error: port, URL, duration out of form": (
        "port-out-of-range",
        "url-out-of-form",
        "duration-out-of-form",
    ),
    "error: a host beyond loopback without client keys": ("public-host-without-keys",),
    "error: a suffixed size beyond the registry's": ("size-suffix-is-binary",),
    "warning: an odd suffixed size": ("odd-size",),
    "warning: an exact id that no source lists": ("unlisted-model",),
    "warning: weight under round_robin": ("weight-not-used",),
    "warning: a window larger than the registry's": ("window-larger-than-known",),
    "warning: cascade whose later steps are smaller": ("cascade-shrinks",),
    "warning: size gap between a dispatcher's targets": ("size-gap",),
    "warning: target or rule that can never be reached": ("never-reached", "rule-always-holds"),
    "warning: alloy of unlike constituents": ("alloy-unlike-constituents",),
    "warning: cascade on a single provider": ("cascade-single-provider",),
    "warning: model retired or retiring": ("retiring-model",),
    "warning: secret in plain text": ("plain-secret",),
    "warning: an off-peak price without hours, and the reverse": (
        "price-without-hours",
        "hours-without-price",
    ),
    "warning: the fit proof": (
        "never-fits",
        "name-promises-more",
        "assumed-size-too-large",
        "min-output-over-window",
        "limit-over-window",
        "order-without-facts",
    ),
}
"""What validation is documented to find, and the codes under which it does."""


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


def words(path: Path) -> str:
    """Return what is said of each problem of a case, besides line, severity and code."""
    lines = [f"== {path.stem}"]
    for each in read(path).problems:
        lines.append(f"{each.line}:{each.column} {each.code} {each.key}: {each.message}")
        lines += [f"    {each.hint}"] if each.hint else []
    return "\n".join(lines)


def recorded() -> dict[str, str]:
    """Return the accepted words by case."""
    parts = WORDS.read_text(encoding="utf-8").split("== ")[1:]
    return {part.partition("\n")[0]: f"== {part}".rstrip() for part in parts}


def test_there_are_cases() -> None:
    """The folder is found, and every case expects something."""
    assert len(CASES) >= 70
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
def test_a_problem_says_where_what_and_what_to_do(path: Path) -> None:
    """Column, key, message and hint are those that somebody read and accepted."""
    assert words(path) == recorded().get(path.stem)
    assert all(problem.hint for problem in read(path).problems)


def test_no_words_are_left_of_cases_that_are_gone() -> None:
    """The file of words has the cases that there are, and no others."""
    assert recorded().keys() == {path.stem for path in CASES}


@pytest.mark.parametrize(("said", "codes"), DOCUMENTED.items(), ids=DOCUMENTED)
def test_every_documented_problem_has_a_case(said: str, codes: tuple[str, ...]) -> None:
    """Each error and warning that validation promises is found in some broken file."""
    severity, _, _ = said.partition(": ")
    found = {(kind, code) for path in CASES for _, kind, code in expected(path)}
    assert {(severity, code) for code in codes} <= found


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


if __name__ == "__main__":
    WORDS.write_text("\n\n".join(map(words, CASES)) + "\n", encoding="utf-8")
