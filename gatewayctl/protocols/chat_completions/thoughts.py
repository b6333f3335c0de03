"""Where Chat Completions keeps what a model thought: fields that OpenAI's own types do not have.

``reasoning_content`` is DeepSeek's and most servers', ``reasoning`` and ``reasoning_details`` are
OpenRouter's. A client is given the first as text, and the last for whoever sends back what proves
a thought: each detail is a thought by itself, with its tag (``protocols.provenance``).
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Seal, Thought
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import patch, provenance

TEXT: Final = "reasoning.text"
HIDDEN: Final = "reasoning.encrypted"
FIELD: Final = "reasoning_details"

SEALED: Final = "chat_completions.details"
"""The form of a seal that is a server's own details: a JSON list, to be sent back as it came."""

CALLED: Final = "chat_completions.extra_content"
"""The form of a seal on a call: the JSON that Google's compatible API puts beside it."""

BLANK: Final = " "
"""What stands for a thought that a model did not have; Moonshot takes an empty text for none."""

_TEXTS: Final = ("reasoning_content", "reasoning")
_DEPTH: Final = 4


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an assistant's message has of thoughts; ``seals`` are those of its calls, by id."""

    thoughts: tuple[Thought, ...]
    seals: Mapping[str, Seal]


def read(message: dict[str, Any], calls: frozenset[str]) -> Found:
    """Return the thoughts of an assistant's message, in order; ``calls`` are the ids of its calls.

    Nothing of an unknown form is refused: it is no thought.
    """
    found: list[Thought] = []
    seals: dict[str, Seal] = {}
    details = message.get(FIELD)
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        seal = tagged(detail)
        named = detail.get("id")
        if seal is not None and isinstance(named, str) and named in calls:
            seals[named] = seal
            continue
        text = text_of(detail.get("text") or detail.get("summary"))
        if text or seal is not None:
            told = named if seal is not None and isinstance(named, str) else None
            found.append(Thought(text=text, seal=seal, id=told))
    if not any(thought.text for thought in found):
        text = plain(message)
        proofs = [*(thought.seal for thought in found), *seals.values()]
        found = [*([Thought(text=text, seal=_plain_seal(proofs))] if text else []), *found]
    return Found(thoughts=tuple(found), seals=seals)


def _plain_seal(proofs: list[Seal | None]) -> Seal | None:
    """Return whose the plain text of a message is: whoever's the proofs beside it are."""
    origin = next((seal.origin for seal in proofs if seal is not None), "")
    return Seal(form="text", data="", origin=origin) if origin else None


def tagged(detail: dict[str, Any]) -> Seal | None:
    """Return what a tag of ours in a detail holds."""
    for field in ("signature", "data"):
        value = detail.get(field)
        if isinstance(value, str) and (seal := provenance.tagged(value)) is not None:
            return seal
    return None


def plain(holder: dict[str, Any]) -> str:
    """Return the text of a thought, which some servers tell twice, by its old and new name."""
    return next(filter(None, (text_of(holder.get(field)) for field in _TEXTS)), "")


def text_of(value: Any, depth: int = _DEPTH) -> str:
    """Return the text of a piece of content of any form: itself, or parts that hold some."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return "".join(text_of(part, depth - 1) for part in value)
    if depth and isinstance(value, dict):
        return text_of(value.get("text"), depth - 1)
    return ""


def detail(text: str, seal: Seal, origin: str, *, index: int, name: str | None) -> dict[str, Any]:
    """Return a whole thought for a client, with its tag; hidden where it has no text."""
    tag = provenance.tag(seal, origin)
    told: dict[str, Any] = {"type": HIDDEN, "data": tag}
    if text:
        told = {"type": TEXT, "text": text, "signature": tag}
    return {**told, "id": name, "format": None, "index": index}


def without(messages: bytes, *, blank: bool = False) -> bytes:
    """Return the JSON of messages without the thoughts that have a tag of ours.

    A message whose details are all ours loses the text of its thoughts as well; ``blank`` puts
    ``BLANK`` in its place. Every other byte stays as it came.
    """
    cuts = []
    if not messages.startswith(b"["):
        return messages
    for start, end in patch.elements(messages):
        message = messages[start:end]
        if provenance.MARK in message:
            cuts.append((start, end, _without(message, blank=blank)))
    return patch.cut(messages, cuts)


def _without(message: bytes, *, blank: bool) -> bytes:
    layout = patch.members(message)
    given = patch.value(message, layout, FIELD)
    if not given.startswith(b"["):
        return message
    spans = patch.elements(given)
    kept = [given[start:end] for start, end in spans if not _is_ours(given[start:end])]
    if len(kept) == len(spans):
        return message
    edits: dict[str, bytes | None] = {FIELD: b"[" + b",".join(kept) + b"]"}
    if not kept:
        edits = dict.fromkeys((FIELD, *_TEXTS))
        if blank:
            edits[_TEXTS[0]] = msgspec.json.encode(BLANK)
    return patch.splice_members(message, layout, edits)


def _is_ours(raw: bytes) -> bool:
    value = request_body.value(msgspec.Raw(raw))
    return isinstance(value, dict) and tagged(value) is not None
