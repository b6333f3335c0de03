"""Look-ups on the packaged table: real figures, dated ids, and never another version."""

from typing import Any

import pytest

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.registry import snapshot
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.forms import Names
from gatewayctl.registry.lookup import Registry
from gatewayctl.registry.table import Part, Table, join


@pytest.fixture
def packaged() -> Registry:
    """Give the packaged table, nothing on top."""
    return Registry(snapshot.load())


def _registry(*ids: str) -> Registry:
    """Make a table in which each model's window is its position, counted from 1."""
    models = {model_id: Claims(context_window=n) for n, model_id in enumerate(ids, 1)}
    part = Part(fetched_at="2026-01-01T00:00:00Z", models=models)
    return Registry(Table.load(join({"models_dev": part})))


def _window(facts: ModelFacts | None) -> int | None:
    return facts.context_window.value if facts is not None and facts.context_window else None


@pytest.mark.parametrize(
    ("model", "window", "max_input", "max_output"),
    [
        ("gpt-5", 400_000, 272_000, 128_000),
        ("gpt-5-pro", 400_000, 272_000, 272_000),
        ("gpt-5.4", 1_050_000, 922_000, 128_000),
    ],
)
def test_openai_limits_are_told_apart(
    packaged: Registry, model: str, window: int, max_input: int, max_output: int
) -> None:
    """Window, input and output of the models on which LiteLLM alone mixes them up (#30928)."""
    facts = packaged.facts("openai", model)
    assert facts is not None
    limits = (facts.context_window, facts.max_input_tokens, facts.max_output_tokens)
    assert [limit.value for limit in limits if limit] == [window, max_input, max_output]


def test_a_stripped_base_never_matches_another_version(packaged: Registry) -> None:
    """``claude-opus-4`` is the 200,000 tokens of May 2025, not the million of ``-4-7``."""
    old, new = (packaged.facts("anthropic", f"claude-opus-4{v}") for v in ("", "-7"))
    assert (_window(old), _window(new)) == (200_000, 1_000_000)
    assert _registry("p/m-4-7", "p/m-4-7-20260101").facts("p", "m-4") is None
    assert _registry("p/m-4").facts("p", "m-4-7") is None


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("m-20251001", "m"),
        ("m-2025-10-01", "m"),
        ("m@20251001", "m"),
        ("m-latest", "m"),
        ("m", "m-20251001"),
        ("m", "m-2025-10-01"),
        ("m", "m@20251001"),
        ("m", "m-latest"),
        ("m-latest", "m-20251001"),
        ("m@20251001", "m-20251001"),
        ("m-20251001", "m-2025-10-01"),
    ],
)
def test_a_date_or_latest_is_stripped_or_added(asked: str, listed: str) -> None:
    """The answer carries the id that was asked for."""
    facts = _registry(f"p/{listed}").facts("p", asked)
    assert facts is not None
    assert facts.id == f"p/{asked}"


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("m-20251001", "m-20250101"),  # another day is another model
        ("m-1", "m"),
        ("m-12345678", "m"),  # no date
        ("m-20251332", "m"),
        ("M", "m"),
        ("x/m", "m"),
        ("m", "x/m"),
    ],
)
def test_nothing_else_is_the_same_model(asked: str, listed: str) -> None:
    """Versions, case, other days and last segments are different ids."""
    assert _registry(f"p/{listed}").facts("p", asked) is None


def test_the_newest_of_several_dates_answers() -> None:
    """An undated name means the newest, however its date is spelled; the exact id comes first."""
    ids = ("p/m-20250101", "p/m-2025-12-01", "p/m@20250601")
    assert _window(_registry(*ids).facts("p", "m")) == 2
    assert _window(_registry(*ids, "p/m").facts("p", "m")) == 4


def test_another_provider_never_answers(packaged: Registry) -> None:
    """The same last segment has other windows elsewhere, so the provider is part of the id."""
    assert packaged.facts("groq", "gpt-5") is None
    assert packaged.listed_by("gpt-5", ["groq", "openai", "anthropic"]) == ("openai",)


def test_provider_names_of_the_tables_become_ours(packaged: Registry) -> None:
    """Each built-in provider finds its models, whatever the tables call it."""
    for provider, model in (
        ("gemini", "gemini-2.5-pro"),
        ("moonshot", "kimi-k2.6"),
        ("together", "Qwen/Qwen3.5-397B-A17B"),
        ("fireworks", "accounts/fireworks/models/kimi-k2p6"),
    ):
        assert packaged.facts(provider, model) is not None, (provider, model)
    assert packaged.facts("ollama", "llama3") is None


def test_a_provider_of_another_name_has_its_kinds_models() -> None:
    """``[providers.work] kind = "openai"`` knows what openai's models hold."""
    registry = Registry(snapshot.load(), kinds={"work": "openai"})
    facts = registry.facts("work", "gpt-5")
    assert facts is not None
    assert (facts.id, facts.provider, _window(facts)) == ("work/gpt-5", "work", 400_000)
    assert registry.listed_by("gpt-5", ["work"]) == ("work",)
    assert ("work", "gpt-5") in set(registry.ids("work"))


def _with_listings(**listings: dict[str, Claims]) -> Registry:
    """Make a registry over one table and the listings of providers, all of kind "p"."""
    parts = {
        "models_dev": Part(
            fetched_at="2026-01-01T00:00:00Z",
            models={"p/m": Claims(context_window=1), "p/m-latest": Claims(context_window=2)},
        )
    }
    for provider, models in listings.items():
        said = {f"{provider}/{model}": claims for model, claims in models.items()}
        parts[provider] = Part(
            fetched_at="2026-02-02T00:00:00Z", models=said, provider=provider, url="http://x/"
        )
    kinds = {provider: "p" for provider in listings if provider != "p"}
    table = Table.load(join(parts))
    return Registry(table, kinds=kinds, listings={name: name for name in listings})


def test_a_provider_speaks_for_itself_and_for_nobody_else() -> None:
    """Of two accounts of one kind each sees its own listing over the tables, not the other's."""
    registry = _with_listings(
        p={"m": Claims(context_window=10)},
        work={"m": Claims(context_window=20), "tuned": Claims(context_window=30)},
    )
    assert _window(registry.facts("p", "m")) == 10
    assert _window(registry.facts("work", "m")) == 20
    assert _window(registry.facts("work", "tuned")) == 30
    assert registry.facts("p", "tuned") is None
    assert registry.listed_by("tuned", ["p", "work"]) == ("work",)
    assert set(registry.ids("work")) == {("work", "m"), ("work", "m-latest"), ("work", "tuned")}
    assert ("work", "tuned") in set(registry.ids())
    entry = registry.entry("work", "m")
    assert entry is not None
    (other,) = entry.others["context_window"]
    assert (other.value, other.source) == (1, "models_dev")
    assert registry.nearest("work/tunde", among=("p", "work"))[0] == "work/tuned"


def test_a_providers_aliases_come_before_dates() -> None:
    """What an alias leads to is what it means, at the tables too; an exact id is nobody's alias."""
    registry = _with_listings(
        work={
            "m": Claims(max_output_tokens=1),
            "nick": Claims(max_output_tokens=1, alias_of="m"),
            "bare": Claims(alias_of="m"),
            "lost": Claims(alias_of="gone"),
        }
    )
    for name in ("nick", "bare"):
        facts = registry.facts("work", name)
        assert facts is not None
        assert (facts.id, _window(facts)) == (f"work/{name}", 1)
        assert facts.max_output_tokens is not None
        assert facts.max_output_tokens.source == "work"
    assert _window(registry.facts("work", "m-latest")) == 2
    assert _window(registry.facts("work", "lost")) is None


def test_a_name_without_a_tag_is_the_latest_of_a_local_server() -> None:
    """``llama3`` and ``llama3:latest`` are one model, in either spelling."""
    registry = _with_listings(
        box={"a:latest": Claims(served=4096), "b": Claims(served=8192), "c:7b": Claims(served=1)}
    )
    for name, served in (("a", 4096), ("a:latest", 4096), ("b:latest", 8192), ("c", None)):
        facts = registry.facts("box", name)
        assert (facts.served.value if facts and facts.served else None) == served
    assert registry.facts("box", "c:latest") is None


def test_a_listing_that_is_off_says_nothing() -> None:
    """Neither of its models nor of what others list too."""
    table = _with_listings(work={"own": Claims(context_window=3)}).table
    registry = Registry(
        table, kinds={"work": "p"}, listings={"work": "work"}, off=frozenset({"work"})
    )
    assert registry.facts("work", "own") is None
    assert _window(registry.facts("work", "m")) == 1


def test_the_users_facts_win_and_add_models() -> None:
    """An entry of the config outranks the tables and stands for models that they do not list."""
    own = {
        model_id: ModelFacts(
            id=model_id,
            provider=model_id.partition("/")[0],
            context_window=Sourced(value=1024, source="config"),
        )
        for model_id in ("openai/gpt-5", "local/mine")
    }
    registry = Registry(snapshot.load(), overrides=own)
    assert _window(registry.facts("openai", "gpt-5")) == 1024
    assert _window(registry.facts("local", "mine")) == 1024
    assert registry.listed_by("mine", ["openai", "local"]) == ("local",)
    assert ("local", "mine") in set(registry.ids())


def test_what_is_said_of_every_model_stands_over_the_tables() -> None:
    """A default holds where a model has no word of its own, for models that nobody lists too."""
    window = Sourced(value=2048, source="config")
    usual = ModelFacts(id="", provider="", context_window=window)
    own = ModelFacts(
        id="openai/gpt-5",
        provider="openai",
        context_window=Sourced(value=1024, source="config"),
    )
    registry = Registry(snapshot.load(), overrides={"openai/gpt-5": own}, usual=usual)
    assert _window(registry.facts("openai", "gpt-5")) == 1024
    listed = registry.facts("anthropic", "claude-haiku-4-5")
    assert listed is not None
    assert (listed.id, _window(listed)) == ("anthropic/claude-haiku-4-5", 2048)
    assert listed.max_output_tokens is not None
    assert _window(registry.facts("local", "unheard-of")) == 2048
    assert registry.entry("local", "unheard-of") is None
    silent = Registry(snapshot.load(), usual=ModelFacts(id="", provider=""))
    assert silent.facts("local", "unheard-of") is None


def test_a_source_that_is_off_says_nothing() -> None:
    """Turning LiteLLM off leaves models.dev's figures, and drops what only LiteLLM lists."""
    table = Table.load(
        join(
            {
                "litellm": Part(
                    fetched_at="2026-01-01T00:00:00Z",
                    models={
                        "p/a": Claims(max_output_tokens=1),
                        "p/b": Claims(max_output_tokens=1),
                    },
                ),
                "models_dev": Part(
                    fetched_at="2026-01-01T00:00:00Z",
                    models={"p/a": Claims(max_output_tokens=2)},
                ),
            }
        )
    )
    registry = Registry(table, off=frozenset({"litellm"}))
    entry = registry.entry("p", "a")
    assert entry is not None
    assert not entry.others
    assert registry.facts("p", "b") is None
    assert list(registry.ids()) == [("p", "a")]


def test_unknown_ids_are_remembered_within_bounds(packaged: Registry) -> None:
    """A flood of unknown names costs a bounded amount of memory."""
    for n in range(5000):
        assert packaged.facts("nobody", f"m{n}") is None
    assert len(packaged._facts) == 512


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt5", "openai/gpt-5"),
        ("gemni/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("claude-opus-47", "claude-opus-4-7"),
    ],
)
def test_a_mistyped_name_finds_its_neighbours(packaged: Registry, name: str, expected: str) -> None:
    """Full ids are offered for full ids, bare names for bare names, at most three."""
    near = packaged.nearest(name)
    assert expected in near
    assert len(near) <= 3


def test_only_what_may_be_asked_for_is_near_and_under_the_names_of_the_config() -> None:
    """A model of a provider that is not configured is no help, however near its name is."""
    registry = Registry(snapshot.load(), kinds={"mine": "openai"})
    near = registry.nearest("mine/gtp-5-mini", among=("mine", "groq"))
    assert near
    assert all(name.startswith("mine/") for name in near)
    assert "gpt-5-mini" in registry.nearest("gtp-5-mini", among=("mine",))
    assert registry.nearest("claude-haiku-4-5", among=("groq",)) == ()


def test_nothing_is_near_to_nonsense(packaged: Registry) -> None:
    """A far-fetched suggestion is worse than none."""
    assert packaged.nearest("zzzzzzzz") == ()
    assert packaged.nearest("") == ()


def test_an_unknown_id_does_not_look_at_every_model(packaged: Registry) -> None:
    """A config may name thousands of them; each looks only at the ids that begin like it."""
    compared: list[str] = []

    class Id(str):
        __slots__ = ()

        def startswith(self, *prefix: Any) -> bool:
            compared.append(str(self))
            return super().startswith(*prefix)

    names = Names([Id(model) for model in packaged.table.models("openai")])
    assert names.find("gpt-5-of-my-own") is None
    assert len(compared) < 10
