"""One small file per source: how its listing is asked for, paged and read. No I/O: see ``asking``.

Fetching is ``registry.refresh``'s business, believing is ``registry.merge``'s.
"""

from collections.abc import Callable, Mapping

from gatewayctl.config.kinds import Kind
from gatewayctl.registry.claims import Parse
from gatewayctl.registry.sources import (
    anthropic,
    compatible,
    copilot,
    gemini,
    groq,
    litellm,
    llamacpp,
    lmstudio,
    mistral,
    models_dev,
    ollama,
    openai,
    openrouter,
    vllm,
)
from gatewayctl.registry.sources.asking import Listing, Origin

PARSERS: Mapping[str, Parse] = {"models_dev": models_dev.parse, "litellm": litellm.parse}
"""The tables, which can be read from a file too: each is one reply."""

LISTINGS: Mapping[str, Callable[[Origin], Listing]] = {
    "anthropic": anthropic.listing,
    "compatible": compatible.listing,
    "copilot": copilot.listing,
    "gemini": gemini.listing,
    "groq": groq.listing,
    "litellm": litellm.listing,
    "llamacpp": llamacpp.listing,
    "lmstudio": lmstudio.listing,
    "mistral": mistral.listing,
    "models_dev": models_dev.listing,
    "ollama": ollama.listing,
    "openai": openai.listing,
    "openrouter": openrouter.listing,
    "vllm": vllm.listing,
}
"""How each source is asked, by the name that a kind's ``listing`` gives it."""


def provider_names(source: str, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Map a source's provider names to ours, from what each built-in kind says of its tables.

    A kind that is in no table under any name maps to "" even if a table has its name: what tables
    say of a local server's models is how they were trained, not how they are served.
    """
    names = dict.fromkeys(kinds, "")
    for name, kind in kinds.items():
        tables = kind.tables
        listed = tables.litellm if source == "litellm" else filter(None, (tables.models_dev,))
        names.update(dict.fromkeys(listed, name))
    return names
