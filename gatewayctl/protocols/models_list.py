"""The list of models in OpenAI's, Anthropic's and Google's shape, and names for Claude Code.

Claude Code's model discovery wants ids that start with ``claude-``, so in the Messages dialect
every route and foreign model is listed a second time as ``claude-via-ID``, each ``/`` written
``--``; ``unvia`` takes such a name back. Which models are listed is the daemon's business.
"""

from collections.abc import Sequence

import msgspec

_VIA = "claude-via-"


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One model or route in the list.

    Limits are tokens, None when unknown; ``capabilities`` are the known ones; ``members`` are a
    route's models, in order; ``created`` is a Unix time in seconds and ``created_at`` the same in
    ISO 8601. ``foreign`` is False for a model that Anthropic's own clients know anyway.
    """

    id: str
    owned_by: str
    display_name: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: dict[str, bool] = {}
    members: tuple[str, ...] = ()
    created: int = 0
    created_at: str = "1970-01-01T00:00:00Z"
    foreign: bool = True


def openai_list(entries: Sequence[ModelEntry]) -> bytes:
    """Render the list in OpenAI's shape."""
    return msgspec.json.encode({"object": "list", "data": [_openai(entry) for entry in entries]})


def openai_model(entry: ModelEntry) -> bytes:
    """Render one model in OpenAI's shape."""
    return msgspec.json.encode(_openai(entry))


def anthropic_list(entries: Sequence[ModelEntry]) -> bytes:
    """Render the list in Anthropic's shape, whole on one page, the ``claude-via-`` names last."""
    data = [_anthropic(entry, entry.id) for entry in entries]
    data += [_anthropic(entry, name) for entry in entries if (name := via(entry))]
    return msgspec.json.encode(
        {
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
        }
    )


def anthropic_model(entry: ModelEntry, asked: str) -> bytes:
    """Render one model in Anthropic's shape under the name it was ``asked`` for."""
    return msgspec.json.encode(_anthropic(entry, asked))


def gemini_list(entries: Sequence[ModelEntry]) -> bytes:
    """Render the list in Google's shape, whole on one page."""
    return msgspec.json.encode({"models": [_gemini(entry) for entry in entries]})


def gemini_model(entry: ModelEntry) -> bytes:
    """Render one model in Google's shape."""
    return msgspec.json.encode(_gemini(entry))


def via(entry: ModelEntry) -> str | None:
    """Return the ``claude-via-`` name of an entry, None where it needs or can have none.

    An id that holds ``--`` itself has none: ``unvia`` could not tell it from a ``/``.
    """
    if not entry.foreign or entry.id.startswith("claude-"):
        return None
    name = _VIA + entry.id.replace("/", "--")
    return name if unvia(name) == entry.id else None


def unvia(name: str) -> str:
    """Return the id that a ``claude-via-`` name stands for; any other name as it is."""
    if not name.startswith(_VIA):
        return name
    return name.removeprefix(_VIA).replace("--", "/")


def _openai(entry: ModelEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "object": "model",
        "created": entry.created,
        "owned_by": entry.owned_by,
        **_extras(entry),
    }


def _anthropic(entry: ModelEntry, name: str) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": entry.display_name or entry.id,
        "created_at": entry.created_at,
        "lifecycle": "active",
        "max_input_tokens": entry.context_window,
        "max_tokens": entry.max_output_tokens,
        "capabilities": None,  # Anthropic's object has another form, with all of its keys
        "gatewayctl": _extras(entry),
    }


def _gemini(entry: ModelEntry) -> dict[str, object]:
    limits = {
        "inputTokenLimit": entry.context_window,
        "outputTokenLimit": entry.max_output_tokens,
    }
    return {
        "name": f"models/{entry.id}",
        "version": "",
        "displayName": entry.display_name or entry.id,
        **{name: limit for name, limit in limits.items() if limit is not None},
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "gatewayctl": _extras(entry),
    }


def _extras(entry: ModelEntry) -> dict[str, object]:
    """Return what is told beyond a shape's own fields, the same in both."""
    extras: dict[str, object] = {
        "context_window": entry.context_window,
        "max_output_tokens": entry.max_output_tokens,
        "capabilities": entry.capabilities,
    }
    if entry.members:
        extras["members"] = entry.members
    return extras
