"""Families of models: which vocabulary counts their text, which formula their images."""

from decimal import Decimal

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.kinds import kinds
from gatewayctl.config.load import load_text
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, Vision
from gatewayctl.core.routing.graph import Cascade

AUTO = EstimatorSettings()


@pytest.mark.parametrize(
    ("kind", "model", "vocabulary", "vision"),
    [
        ("openai", "gpt-4o-2024-08-06", "o200k_base", Vision.GPT_4O),
        ("openai", "gpt-4o-mini", "o200k_base", Vision.GPT_4O_MINI),
        ("openai", "chatgpt-4o-latest", "o200k_base", Vision.GPT_4O),
        ("openai", "ft:gpt-4.1-mini:acme::1", "o200k_base", Vision.PATCHES_MINI),
        ("openai", "gpt-4.5-preview", "o200k_base", Vision.GPT_4O),
        ("openai", "o3-mini", "o200k_base", Vision.O1),
        ("openai", "o4-mini", "o200k_base", Vision.PATCHES_O4_MINI),
        ("openai", "gpt-5", "o200k_base", Vision.GPT_5),
        ("openai", "gpt-5.4", "o200k_base", Vision.GPT_5_4),
        ("openai", "gpt-5.99-new", "o200k_base", None),
        ("openai", "gpt-4", "cl100k_base", None),
        ("openai", "gpt-4-turbo", "cl100k_base", Vision.GPT_4O),
        ("openai", "gpt-3.5-turbo-0125", "cl100k_base", None),
        ("openai", "gpt-40", None, None),
        ("openai", "whisper-1", None, None),
        ("openrouter", "openai/gpt-5", "o200k_base", Vision.GPT_5),
        ("openrouter", "gpt-5", None, None),
        ("openrouter", "anthropic/claude-opus-4.5", None, Vision.CLAUDE),
        ("openrouter", "anthropic/claude-opus-4.8", None, Vision.CLAUDE_HIGH),
        ("openrouter", "google/gemini-2.5-pro", None, Vision.GEMINI_2),
        ("anthropic", "claude-opus-4-20250514", None, Vision.CLAUDE),
        ("anthropic", "claude-opus-4-7", None, Vision.CLAUDE_HIGH),
        ("anthropic", "claude-haiku-4-5", None, Vision.CLAUDE),
        ("gemini", "gemini-3-pro-preview", None, Vision.GEMINI_3),
        ("openai-compatible", "gpt-4o", None, None),
        ("ollama", "gpt-oss:20b", None, None),
    ],
)
def test_what_a_vendor_publishes_is_known_by_kind_and_id(
    kind: str, model: str, vocabulary: str | None, vision: Vision | None
) -> None:
    """A name alone proves nothing: a compatible server may call anything gpt-4o."""
    known = kinds()[kind].families.known(AUTO, model)
    assert (known.vocabulary, known.vision) == (vocabulary, vision)
    assert known.kind is EstimatorKind.AUTO


@pytest.mark.parametrize(
    "said",
    [
        EstimatorSettings(kind=EstimatorKind.CHAR_RATIO, chars_per_token=Decimal(4)),
        EstimatorSettings(kind=EstimatorKind.TIKTOKEN, vocabulary="cl100k_base"),
        EstimatorSettings(vocabulary="own"),
    ],
)
def test_the_users_tokenizer_stands_over_the_familys(said: EstimatorSettings) -> None:
    """Only the formula for images is added."""
    known = kinds()["openai"].families.known(said, "gpt-4o")
    assert (known.kind, known.vocabulary) == (said.kind, said.vocabulary)
    assert known.vision is Vision.GPT_4O


def test_every_packaged_vocabulary_name_is_one_of_openais() -> None:
    """The files spell them right."""
    named = {
        family.vocabulary
        for kind in kinds().values()
        for family in kind.families._families  # all of them, whatever their ids
    }
    assert named == {None, "o200k_base", "cl100k_base"}


def test_a_place_of_its_own_margin_keeps_what_is_known_of_its_model() -> None:
    """Saying one thing about a place's tokenizer takes nothing else away."""
    text = """
[providers.openai]
[[cascades]]
id = "c"
steps = [{ model = "openai/gpt-4o", tokenizer = { safety_margin = 1.5 } }]
"""
    loaded = load_text(text, name="x.toml", environ={}, catalog=SmallCatalog())
    assert loaded.settings is not None, loaded.problems
    route = loaded.settings.graph.routes["c"]
    assert isinstance(route, Cascade)
    estimator = route.places[0].estimator
    assert estimator is not None
    assert (estimator.safety_margin, estimator.vocabulary) == (Decimal("1.5"), "o200k_base")
    assert estimator.vision is Vision.GPT_4O
