"""Ollama: ``/api/tags`` lists models, ``/api/show`` says how each was trained, ``/api/ps`` serves.

Only models that are loaded are in ``/api/ps``. Of others a ``num_ctx`` among their parameters says
with what they will be loaded; without it nobody knows, and the server decides by its memory.
"""

import re
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, tokens
from gatewayctl.registry.sources.asking import (
    MOST_ASKED_ONE_BY_ONE,
    Answer,
    Ask,
    Listing,
    Origin,
    asked,
    asked_if_there,
)
from gatewayctl.registry.sources.entries import Collected, inner, items, model_id, named, unnamed

_LATEST = ":latest"
_TRAINED = ".context_length"
_NUM_CTX = re.compile(r"^[ \t]*num_ctx[ \t]+(\d{1,10})[ \t\r]*$", re.MULTILINE)
_CAPABILITIES = {
    Capability.TOOLS: "tools",
    Capability.IMAGES: "vision",
    Capability.AUDIO: "audio",
    Capability.REASONING: "thinking",
}


def is_there(origin: Origin) -> Generator[Ask, Answer, bool]:
    """Find out whether it is Ollama that answers at an address, and lets itself be asked."""
    loaded = yield from asked_if_there(f"{origin.root}/api/ps")
    return isinstance(inner(loaded).get("models"), list)


def listing(origin: Origin) -> Listing:
    """Ask which models there are, how each was trained, and which are loaded with what."""
    entries = (yield from asked(f"{origin.root}/api/tags")).get("models")
    names = [name for entry in items(entries) if (name := model_id(_name(entry))) is not None]
    shown: dict[str, Mapping[str, Any]] = {}
    for name in dict.fromkeys(names[:MOST_ASKED_ONE_BY_ONE]):
        body = msgspec.json.encode({"model": name})
        shown[name] = inner((yield from asked_if_there(f"{origin.root}/api/show", body)))
    loaded = yield from asked_if_there(f"{origin.root}/api/ps")
    sizes = {
        _name(entry): tokens(inner(entry).get("context_length"))
        for entry in items(inner(loaded).get("models"))
        if isinstance(_name(entry), str)
    }
    collected = Collected(origin.provider)

    def read(entry: Mapping[str, Any]) -> Claims:
        name = _name(entry)
        return _claims(shown.get(name, {}), entry, sizes.get(name))

    collected.take([_named(entry) for entry in items(entries)] or entries, read)
    for name in names:
        if name.endswith(_LATEST):
            collected.alias([name.removesuffix(_LATEST)], name)
    return collected.table()


def _name(entry: object) -> Any:
    """Return how one asks for a model; older versions call it its name alone."""
    return inner(entry).get("model") or inner(entry).get("name")


def _named(entry: object) -> object:
    return {**entry, "id": _name(entry)} if isinstance(entry, Mapping) else entry


def _claims(shown: Mapping[str, Any], entry: Mapping[str, Any], loaded: int | None) -> Claims:
    trained = _trained(inner(shown, "model_info"))
    if shown.get("remote_host") or entry.get("remote_host"):
        served = trained  # it runs in Ollama's cloud, where the whole window is served
    else:
        served = loaded or _asked_for(shown.get("parameters"), trained)
    return Claims(
        context_window=trained,
        served=served,
        capabilities=named(shown.get("capabilities"), _CAPABILITIES),
        unlisted=unnamed(shown.get("capabilities"), _CAPABILITIES),
    )


def _trained(info: Mapping[str, Any]) -> int | None:
    """Return the window of the model's architecture, among those of its parts."""
    exact = tokens(info.get(f"{info.get('general.architecture')}{_TRAINED}"))
    if exact is not None:
        return exact
    said = [tokens(value) for key, value in info.items() if key.endswith(_TRAINED)]
    return min((size for size in said if size is not None), default=None)


def _asked_for(parameters: object, trained: int | None) -> int | None:
    """Return the window that the model's own parameters ask for, at most what it was trained."""
    found = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    size = tokens(int(found[1])) if found is not None else None
    return min(size, trained) if size is not None and trained is not None else size
