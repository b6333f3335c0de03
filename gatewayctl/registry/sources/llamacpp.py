"""llama.cpp's server: ``/v1/models`` says how a model was trained, ``/props`` what is served.

Every slot has a window of its own, of which ``/slots`` tells too where it is not turned off. A
server of several models (router mode) has properties per model, and is not made to load one.
"""

from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import quote

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
from gatewayctl.registry.sources.entries import Collected, flags, inner, items, model_id

_MODALITIES = {Capability.IMAGES: "vision", Capability.AUDIO: "audio"}


def listing(origin: Origin) -> Listing:
    """Ask for the models, then for what they are served with."""
    page = yield from asked(origin.models_url)
    entries = page.get("data")
    loaded = [name for entry in items(entries) if (name := _loaded(entry)) is not None]
    several = len(items(entries)) > 1 or any("status" in inner(entry) for entry in items(entries))
    served: dict[str, Claims] = {}
    if several:
        for name in loaded[:MOST_ASKED_ONE_BY_ONE]:
            query = f"?model={quote(name, safe='')}&autoload=false"
            served[name] = yield from _served(origin.root, query)
    elif loaded:
        served[loaded[0]] = yield from _served(origin.root, "")
    collected = Collected(origin.provider)

    def read(entry: Mapping[str, Any]) -> Claims:
        meta, running = inner(entry, "meta"), served.get(entry["id"], Claims())
        sizes = (tokens(meta.get("n_ctx")), running.served)
        return msgspec.structs.replace(
            running,
            context_window=tokens(meta.get("n_ctx_train")),
            served=min((size for size in sizes if size is not None), default=None),
        )

    collected.take(entries, read)
    for entry in items(entries):
        collected.alias(items(inner(entry).get("aliases")), inner(entry).get("id"))
    return collected.table()


def _loaded(entry: object) -> str | None:
    """Return the id of a model that runs; one alone has no status."""
    status = inner(entry, "status").get("value", "loaded")
    return model_id(inner(entry).get("id")) if status == "loaded" else None


def _served(root: str, query: str) -> Generator[Ask, Answer, Claims]:
    """Ask what one model is served with."""
    props = yield from asked_if_there(f"{root}/props{query}")
    slots = yield from asked_if_there(f"{root}/slots{query}")
    sizes = [tokens(inner(props, "default_generation_settings").get("n_ctx"))]
    sizes.append(tokens(inner(props).get("n_ctx")))
    sizes += [tokens(inner(slot).get("n_ctx")) for slot in items(slots)]
    return Claims(
        served=min((size for size in sizes if size is not None), default=None),
        capabilities=flags(inner(props, "modalities"), _MODALITIES),
    )
