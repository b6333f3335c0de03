"""What data in a Gemini request are, by media type and by address."""

from typing import Final

from gatewayctl.core.model import Capability

_FILMS: Final = ("www.youtube.com/", "youtube.com/", "youtu.be/", "m.youtube.com/")
_FILES: Final = "generativelanguage.googleapis.com/"
_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}


def capability(media_type: str) -> Capability:
    """Return what a model must be able to read, by the media type; films are pictures."""
    if media_type.startswith(("image/", "video/")):
        return Capability.IMAGES
    return Capability.AUDIO if media_type.startswith("audio/") else Capability.DOCUMENTS


def is_film(media_type: str) -> bool:
    """Tell whether data are a film, which no other protocol knows."""
    return media_type.startswith("video/")


def is_uploaded(uri: str) -> bool:
    """Tell whether only Google can read what an address names: its files, buckets and films."""
    scheme, _, rest = uri.partition("://")
    if scheme.lower() not in {"http", "https"}:
        return True
    return rest.lower().startswith((_FILES, *_FILMS))


def type_of(url: str) -> str | None:
    """Return the media type that the end of an address tells, None where it tells none."""
    path = url.partition("?")[0].partition("#")[0]
    return _TYPES.get(path.rpartition("/")[2].rpartition(".")[2].lower())
