"""A decision as it is drawn: at any width, with every reason, source and age."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from gatewayctl.cli.tree import drawn

NOW = datetime(2026, 6, 4, tzinfo=UTC)
LISTED = {"source": "models_dev", "fetched_at": "2026-06-01T00:00:00Z"}


def node(name: str, kind: str = "model", *children: Any, **more: Any) -> dict[str, Any]:
    """Return a node of the tree."""
    reason = (
        f"because of {name[-8:]}, which is a reason of some words and figures, 1,048,576 of them"
    )
    usual = {"fit": "safe", "reason": reason, "duplicate": False}
    return {"id": name, "kind": kind, "children": list(children), **usual, **more}


def limits(window: int | None = 200_000, **more: Any) -> dict[str, Any]:
    """Return what is known of a model."""
    told = None if window is None else {"value": window, **LISTED}
    return {
        "context_window": told,
        "max_input_tokens": None,
        "max_output_tokens": None,
        "price": None,
        **more,
    }


LEAVES = ("up/one", "up/two", "a-provider-of-some-length/a-model-with-a-long-name-20260101")
TREE = node(
    "coding",
    "dispatcher",
    node(LEAVES[0], fit="unfit"),
    node("inner", "cascade", node(LEAVES[1]), node(LEAVES[0], duplicate=True)),
    node(LEAVES[2], fit="grey"),
)
MUCH: dict[str, Any] = {
    "max_input_tokens": {"value": 150_000, **LISTED},
    "max_output_tokens": {"value": 64_000, **LISTED},
    "price": {"low": 0.1, "high": 0.25},
}
DOC = {"chosen": "up/two", "tree": TREE, "models": {name: limits(**MUCH) for name in LEAVES}}


def lines(width: int | None, doc: dict[str, Any] | None = None) -> list[str]:
    """Draw at a width."""
    console = Console(width=width or 1000)
    return [line.plain for line in drawn(doc or DOC, NOW, width, console)]


@pytest.mark.parametrize("width", [80, *range(110, 170), 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Reasons are wrapped within the guides of the tree, and none is lost."""
    told = lines(width)
    assert max(map(len, told)) <= width
    words = " ".join(" ".join(told).replace("│", " ").split())
    for name in ("coding", "inner", *LEAVES):
        assert f"because of {name[-8:]}," in words
    assert words.count("1,048,576 of them") == 5


def test_wide_terminals_have_reasons_in_a_column() -> None:
    """All of them begin below one another."""
    starts = {line.index("because of") for line in lines(200) if "because of" in line}
    assert len(starts) == 1


def test_narrow_terminals_have_reasons_below_the_names() -> None:
    """So that they need not be cut to a few words a line."""
    told = lines(80)
    at = next(index for index, line in enumerate(told) if line.endswith("✗ up/one"))
    assert "because of up/one" in told[at + 1]


def test_the_chosen_model_has_an_arrow_once() -> None:
    """A duplicate of it says that it counts elsewhere."""
    told = lines(None)
    assert [line for line in told if "→" in line] == [line for line in told if "up/two" in line]
    (again,) = [line for line in told if "counts where it stands already" in line]
    assert "up/one" in again


def test_limits_of_one_origin_stand_together_with_source_and_age() -> None:
    """A window of the config's own beside limits of a table."""
    doc = {
        **DOC,
        "models": {
            "up/one": limits(
                max_input_tokens={"value": 150_000, **LISTED},
                max_output_tokens={"value": 8192, "source": "config", "fetched_at": None},
                price={"low": 0.5, "high": 2.25},
            ),
            "up/two": limits(None),
        },
    }
    told = "\n".join(lines(None, doc))
    assert (
        "window 200,000 · input 150,000 (models_dev, 3 d old) · output 8,192 (config) · "
        "$0.50\N{EN DASH}2.25"
    ) in told
    assert "window unknown" in told


def test_foreign_names_and_reasons_cannot_steer_the_terminal() -> None:
    """Whatever a daemon or a table says, it is text."""
    doc = {**DOC, "tree": node("a\x1b[31mb", reason="[red]no\x07[/red]")}
    (line,) = lines(None, doc)
    assert not {"\x1b", "\x07"} & set(line)
    assert "[red]no" in line
