"""What proves a reasoning item, and the texts in it: how both stand in this protocol.

A server gives encrypted reasoning under the item's id, and wants both back; one that writes its
reasoning in plain text gets the item back as it was.
"""

from typing import Any, Final

from gatewayctl.core.conversation import Seal

ENCRYPTED: Final = "responses.encrypted"
"""The form of a seal whose data is an item's id, a colon, and its encrypted content."""

PLAIN: Final = "responses.text"
"""The form of a seal whose data is the id of an item that holds its reasoning as plain text."""

BETWEEN: Final = "\n\n"
"""What stands between the parts of a summary in the one text of a thought."""


def seal(name: str | None, encrypted: Any, *, plain: bool) -> Seal | None:
    """Return what proves an item: ``name`` is its id, ``plain`` says that it shows its text."""
    if isinstance(encrypted, str) and encrypted:
        return Seal(form=ENCRYPTED, data=f"{name or ''}:{encrypted}")
    return Seal(form=PLAIN, data=name or "") if plain else None


def item(found: Seal, text: str, spare: str) -> dict[str, Any]:
    """Return the item that a seal proves, with its text; ``spare`` is an id where it has none."""
    shown = [{"type": "summary_text", "text": text}] if text else []
    match found.form:
        case "responses.encrypted":
            name, _, encrypted = found.data.partition(":")
            told = {"id": name or spare, "summary": shown, "encrypted_content": encrypted}
        case "responses.text":
            content = [{"type": "reasoning_text", "text": text}]
            told = {"id": found.data or spare, "summary": [], "content": content}
        case _:
            told = {"id": spare, "summary": shown}
    return {"type": "reasoning", **told}


def texts(parts: Any) -> list[str]:
    """Return the texts of an item's summary or content, of whatever form."""
    listed = parts if isinstance(parts, list) else [parts]
    found = [part.get("text") if isinstance(part, dict) else part for part in listed]
    return [text if isinstance(text, str) else "" for text in found]


def joined(parts: Any) -> str:
    """Return the text of a thought; see ``BETWEEN``."""
    return BETWEEN.join(filter(None, texts(parts)))
