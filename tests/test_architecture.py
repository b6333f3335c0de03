"""The rules of the house that no linter has; the layers themselves are import-linter's business.

A rule with exceptions lists them in a table here, each with its reason, and an entry that is no
longer needed fails too: the tables stay as short as they can be.
"""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted(ROOT.glob("gatewayctl/**/*.py"))
EVERYTHING = [
    *PACKAGE,
    *sorted(ROOT.glob("scripts/*.py")),
    *sorted(ROOT.glob("tests/**/*.py")),
    *sorted(ROOT.glob("benchmarks/**/*.py")),
]

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 50

LONG_FILES: dict[str, str] = {}  # "gatewayctl/x.py": "why it is one thing"
LONG_FUNCTIONS: dict[str, str] = {}  # "gatewayctl/x.py:f": "why it is one thing"

NAMES_THAT_SAY_NOTHING = frozenset(
    {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
)


@pytest.fixture(scope="module", autouse=True)
def _trees_are_no_garbage() -> Iterator[None]:
    """Millions of nodes that stay would be looked through again and again."""
    gc.disable()
    yield
    _tree.cache_clear()
    gc.enable()


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function with its number of lines, docstring and signature included."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{_name(path)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_module_says_what_it_is_for() -> None:
    """A reader finds the purpose of every file of the package in its first lines."""
    silent = [_name(path) for path in PACKAGE if not ast.get_docstring(_tree(path))]
    assert not silent


def test_every_folder_of_the_package_is_a_package() -> None:
    """Without an __init__.py a folder escapes the import contracts unseen."""
    folders = {path.parent for path in PACKAGE}
    assert not [_name(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_files_stay_short_enough_to_be_read_whole() -> None:
    """No file has more than 400 lines, but for those that LONG_FILES gives a reason for."""
    lengths = {
        _name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING
    }
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE}
    assert long.keys() == LONG_FILES.keys(), long


def test_functions_stay_short_enough_to_be_seen_at_once() -> None:
    """No function has more than 50 lines, but for those that LONG_FUNCTIONS gives a reason for."""
    lengths = {name: lines for path in EVERYTHING for name, lines in _functions(path)}
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FUNCTION}
    assert long.keys() == LONG_FUNCTIONS.keys(), long


def test_no_module_is_named_for_nothing() -> None:
    """A module is named for what it holds; ``utils`` and its kin hold anything."""
    parts = {_name(path): {*path.relative_to(ROOT).parts, path.stem} for path in EVERYTHING}
    assert not [name for name, words in parts.items() if words & NAMES_THAT_SAY_NOTHING]


def test_no_exception_is_swallowed_without_a_word() -> None:
    """``except …: pass`` hides what went wrong; ``contextlib.suppress`` names what may."""
    silent = [
        f"{_name(path)}:{node.lineno}"
        for path in EVERYTHING
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
    assert not silent


def test_only_scripts_print() -> None:
    """The package speaks through typer.echo, rich or logging, never through ``print``."""
    printing = [
        f"{_name(path)}:{node.lineno}"
        for path in PACKAGE
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not printing


def test_nothing_but_the_command_line_reads_its_arguments_or_exits() -> None:
    """Below the CLI ``sys.exit`` would end a daemon from the inside; ``__main__`` is a CLI too."""
    offenders = [
        f"{_name(path)}:{node.lineno}"
        for path in PACKAGE
        if "cli" not in path.parts and path.name != "__main__.py"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        and node.attr in {"exit", "argv"}
    ]
    assert not offenders


@pytest.mark.parametrize("layer", ["core", "protocols"])
def test_the_pure_layers_only_take_addresses_apart(layer: str) -> None:
    """``urllib.parse`` is as pure as they are; import-linter cannot tell it from ``urllib``."""
    paths = [path for path in PACKAGE if path.is_relative_to(ROOT / "gatewayctl" / layer)]
    imported = {
        name
        for path in paths
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else _aliases(node))
    }
    assert {name for name in imported if name and name.startswith("urllib")} <= {"urllib.parse"}


def _aliases(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]
