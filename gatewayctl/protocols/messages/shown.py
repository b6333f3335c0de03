"""What a prompt shows the model (text, images, documents), written as Messages content blocks."""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

from gatewayctl.core.conversation import (
    Audio,
    Document,
    Image,
    Inline,
    Linked,
    Source,
    Text,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.losses import Loss, Losses, refused

Block = dict[str, Any]

_TEXTS: Final = ("text/", "application/json", "application/xml", "application/yaml")
"""How the media types begin of what is text: Anthropic takes no other data but PDF."""


def marked(block: Block, cache: str | None) -> Block:
    """Return a block with its cache marker, if there is to be one."""
    if cache is None:
        return block
    ttl = {} if cache == "5m" else {"ttl": cache}
    return {**block, "cache_control": {"type": "ephemeral", **ttl}}


def text_block(part: Text) -> Iterator[Block]:
    """Yield a text, nothing where it is blank: such blocks are refused."""
    if part.text and not part.text.isspace():
        yield marked({"type": "text", "text": part.text}, part.cache)


def shown(part: Text | Image | Document | Audio, losses: Losses) -> Iterator[Block]:
    """Yield what a user or a tool shows; raise ``RequestInvalid`` for what cannot be shown."""
    match part:
        case Text():
            yield from text_block(part)
        case Image():
            if part.detail not in (None, "auto"):
                losses.add(Loss.IMAGE_DETAIL)
            yield marked({"type": "image", "source": _source(part.source)}, part.cache)
        case Document():
            yield from _document(part)
        case Audio():
            raise refused(Demand.AUDIO, "$")


def _document(part: Document) -> Iterator[Block]:
    source: dict[str, str] | None = None
    if part.text is not None:
        source = _text_source(part.text)
    elif isinstance(part.source, Inline) and part.source.media_type.startswith(_TEXTS):
        source = _text_source(_decoded(part.source))
    elif part.source is not None:
        source = _source(part.source)
    if source is None or source.get("data", "-").strip() == "":
        return
    title = {} if part.name is None else {"title": part.name}
    yield marked({"type": "document", "source": source, **title}, part.cache)


def _text_source(text: str) -> dict[str, str]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(source: Inline) -> str:
    try:
        return b64decode(source.data).decode(errors="replace")
    except (binascii.Error, ValueError) as error:
        raise RequestInvalid("The data of a document are not base64.", "$") from error


def _source(source: Source) -> dict[str, str]:
    match source:
        case Inline():
            return {"type": "base64", "media_type": source.media_type, "data": source.data}
        case Linked():
            return {"type": "url", "url": source.url}
        case Uploaded():
            raise refused(Demand.UPLOADED, "$")
