"""Images, documents and sound inside a request, in whichever dialect's form they stand.

Compatible servers take one another's parts, so every walk knows all of them. What a part costs is
``core.media``'s business.
"""

from typing import Any, Final

from gatewayctl.core.model import Capability
from gatewayctl.protocols.sink import Sink

NEEDS: Final = {
    "image_url": Capability.IMAGES,
    "input_image": Capability.IMAGES,
    "image": Capability.IMAGES,
    "computer_screenshot": Capability.IMAGES,
    "file": Capability.DOCUMENTS,
    "input_file": Capability.DOCUMENTS,
    "document": Capability.DOCUMENTS,
    "input_audio": Capability.AUDIO,
    "audio": Capability.AUDIO,
}
"""What a part of each type needs of a model: of every type that ``take`` knows."""

_MARKS = (b'"image', b'"input_', b'"file"', b'"document"', b'"audio"', b'"computer_')
"""With one of these every type above begins, written as JSON."""


def may_stand_in(raw: bytes) -> bool:
    """Tell cheaply whether any such part can be in a JSON text: False is sure."""
    return any(mark in raw for mark in _MARKS)


def take(part: Any, sink: Sink) -> bool:
    """Tell ``sink`` of a part that is an image, a document or sound; return whether it was one."""
    match part:
        case {"type": "image_url" | "input_image" | "computer_screenshot"}:
            image = part.get("image_url")
            detail = part.get("detail")
            if isinstance(image, dict):
                detail = image.get("detail", detail)
                image = image.get("url")
            sink.image(image, None, detail)
        case {"type": "image"}:
            sink.image(*_source(part), part.get("detail"))
        case {"type": "document"}:
            sink.document(*_source(part))
        case {"type": "file" | "input_file"}:
            file = part.get("file")
            file = file if isinstance(file, dict) else part
            sink.document(file.get("file_data"), file.get("mime_type"))
        case {"type": "input_audio" | "audio"}:
            sound = part.get("input_audio", part.get("audio"))
            sound = sound if isinstance(sound, dict) else part
            sink.audio(sound.get("data"), sound.get("format", sound.get("media_type")))
        case _:
            return False
    return True


def _source(part: dict[str, Any]) -> tuple[Any, Any]:
    """Return the data (or the URL) and the media type of a Messages block."""
    source = part.get("source")
    source = source if isinstance(source, dict) else part
    return source.get("data", source.get("url")), source.get("media_type")
