"""The sum that makes a model's effective window: its parts, their names, and how it is wrapped."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from support.terminal import on_terminal

from gatewayctl.cli.portrait import Portrait, print_portrait, terms
from gatewayctl.core.model import ModelFacts, Sourced, Unlocked

NOW = datetime(2026, 5, 5, 12, 0, 0, tzinfo=UTC)
AT = "2026-05-05T11:58:00Z"


def said(value: int, source: str) -> Sourced[int]:
    """Return a figure and who says it."""
    return Sourced(value=value, source=source, fetched_at=None if source == "config" else AT)


def facts(**limits: Sourced[int]) -> ModelFacts:
    """Return what is known of a model."""
    plain = ModelFacts(id="local/m", provider="local")
    return ModelFacts(id=plain.id, provider=plain.provider, **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        (Portrait(facts=facts()), []),
        (Portrait(facts=facts(context_window=said(9, "models_dev"))), ["listed"]),
        (Portrait(facts=facts(context_window=said(9, "local"))), ["listed"]),
        (Portrait(facts=facts(context_window=said(9, "local")), trained=True), ["trained"]),
        (Portrait(facts=facts(context_window=said(9, "litellm")), trained=True), ["listed"]),
        (
            Portrait(facts=facts(context_window=said(9, "local"), served=said(4, "local"))),
            ["trained", "served"],
        ),
        (
            Portrait(facts=facts(context_window=said(4, "local"), served=said(4, "local"))),
            ["listed", "served"],
        ),
        (
            Portrait(
                facts=facts(
                    context_window=said(9, "config"),
                    served=said(4, "assumed"),
                    learned=said(3, "learned"),
                )
            ),
            ["declared", "assumed", "learned"],
        ),
    ],
)
def test_each_part_is_called_what_it_is(known: Portrait, kinds: list[str]) -> None:
    """Declared by the config, listed, trained, served, assumed or learned."""
    assert [each.kind for each in terms(known)] == kinds


def test_the_example_of_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    """The arithmetic in words, with each part's source and age."""
    window = facts(context_window=said(40_960, "ollama"), served=said(4096, "ollama"))
    print_portrait(Portrait(facts=window), NOW)
    assert capsys.readouterr().out.splitlines()[1] == (
        "effective window 4,096 = "
        "min(40,960 trained (ollama, 2 min ago), 4,096 served (ollama, 2 min ago))"
    )


def test_fraction_input_limit_and_betas_stand_below(capsys: pytest.CaptureFixture[str]) -> None:
    """What is taken off a window, what the input may have of it, and what opens a larger one."""
    limited = ModelFacts(
        id="a/m",
        provider="a",
        context_window=said(200_000, "models_dev"),
        max_input_tokens=said(180_000, "models_dev"),
        unlocked=(Unlocked(beta="context-1m", context_window=1_000_000),),
    )
    print_portrait(Portrait(facts=limited, fraction=Decimal("0.9"), aliases=("a/n",)), NOW)
    assert capsys.readouterr().out.splitlines()[:5] == [
        "a/m  also a/n",
        "effective window 200,000 (models_dev, 2 min ago)",
        "ceiling          180,000 = 0.9 × 200,000 (capacity_fraction)",
        "input            at most 162,000 of it",
        "unlocked         1,000,000 for requests with the beta context-1m",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_sum_that_is_too_wide_has_a_part_a_line(tmp_path: Path) -> None:
    """On a narrow terminal nothing but the last columns of a table is left out."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[providers.local]\nkind = "ollama"\n[[models]]\nid = "local/m"\ncontext_window = 40960\n'
    )
    argv = ("models", "show", "local/m", "--config", str(config))
    home = str(tmp_path)
    wide = on_terminal(*argv, columns=120, HOME=home, NO_COLOR="1").splitlines()
    assert wide[1] == "effective window 4,096 = min(40,960 declared (config), 4,096 assumed)"
    narrow = on_terminal(*argv, columns=50, HOME=home, NO_COLOR="1").splitlines()
    assert narrow[1:3] == [
        "effective window 4,096 = min(40,960 declared (config),",
        "                             4,096 assumed)",
    ]
