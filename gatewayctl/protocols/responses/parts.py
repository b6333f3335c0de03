"""The content parts of items, read as parts of the IR, and written from them.

Which item they stand in is the business of ``history`` and ``items``.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never

from gatewayctl.core.conversation import (
    Audio,
    Document,
    Image,
    Inline,
    Linked,
    Refusal,
    Source,
    Text,
    Uploaded,
)
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import data_urls
from gatewayctl.protocols.losses import Loss, Losses, item, refused

Shown = Text | Image | Document | Audio
"""What a message or a tool's result shows the model."""

_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_IMAGES: Final = frozenset({"input_image", "image_url", "computer_screenshot"})
_DETAILS: Final = frozenset({"low", "high", "auto", "original"})
_PDF: Final = "application/pdf"
_TYPES: Final = {
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": _PDF,
    "txt": "text/plain",
}
_EXTENSIONS: Final = {media_type: extension for extension, media_type in _TYPES.items()}


def read(content: Any, path: str, losses: Losses) -> tuple[Shown | Refusal, ...]:
    """Read the content of a message: text, or parts; raise ``RequestInvalid`` for anything else."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),)
    listed = [content] if isinstance(content, dict) else content
    if not isinstance(listed, list):
        raise request_body.invalid(path, "text or a list of content parts is expected.")
    found = []
    for index, part in enumerate(listed):
        at = f"{path}[{index}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise request_body.invalid(at, "a content part is expected.")
        if part.get("prompt_cache_breakpoint") is not None:
            losses.add("prompt_cache_breakpoint")
        found.append(_part(part, at, losses))
    return tuple(part for part in found if part is not None)


def shown(content: Any, path: str, losses: Losses) -> tuple[Shown, ...]:
    """Read the content of a tool's result, which may be none; a refusal in it is only text."""
    return tuple(
        Text(text=part.text) if isinstance(part, Refusal) else part
        for part in read(content or None, path, losses)
    )


def _part(part: Mapping[str, Any], path: str, losses: Losses) -> Shown | Refusal | None:
    kind = part["type"]
    if kind in _TEXTS:
        if part.get("annotations"):
            losses.add("annotations")
        return Text(text=_string(part, "text", path))
    if kind in _IMAGES:
        return _image(part, path)
    match kind:
        case "refusal":
            return Refusal(text=_string(part, "refusal", path))
        case "input_file" | "file":
            return _file(part, path)
        case "input_audio":
            return _audio(part, path)
        case "input_video":
            raise refused(Demand.MODALITY, path)
    losses.add(item("content", kind))
    return None


def _image(part: Mapping[str, Any], path: str) -> Image:
    url = part.get("image_url")
    detail = part.get("detail")
    if isinstance(url, dict):  # as Chat Completions has it
        detail = url.get("detail", detail)
        url = url.get("url")
    told = detail if isinstance(detail, str) else None
    if isinstance(url, str):
        found = data_urls.source(url, f"{path}.image_url")
        return Image(source=_typed(found, "image/png"), detail=told)
    return Image(source=_uploaded(part, path, "image_url"), detail=told)


def _file(part: Mapping[str, Any], path: str) -> Document:
    inner = part.get("file")
    part = inner if isinstance(inner, dict) else part
    name = part.get("filename")
    name = name if isinstance(name, str) and name else None
    source: Source
    match part:
        case {"file_data": str() as data}:
            extension = (name or "").rpartition(".")[2].lower()
            media_type = _TYPES.get(extension, _PDF)
            source = Inline(media_type=media_type, data=data)
            if data[:5].lower() == "data:":
                source = _typed(data_urls.source(data, f"{path}.file_data"), media_type)
        case {"file_url": str() as url}:
            source = _typed(data_urls.source(url, f"{path}.file_url"), _PDF)
        case _:
            source = _uploaded(part, path, "file_data")
    return Document(source=source, name=name)


def _audio(part: Mapping[str, Any], path: str) -> Audio:
    match part.get("input_audio", part):
        case {"data": str() as data, "format": str() as form}:
            return Audio(source=Inline(media_type=f"audio/{form}", data=data))
    raise request_body.invalid(f"{path}.input_audio", "data and their format are expected.")


def _typed(source: Inline | Linked, media_type: str) -> Inline | Linked:
    """Return the source under a media type, where it does not say its own."""
    if isinstance(source, Inline) and not source.media_type:
        return Inline(media_type=media_type, data=source.data)
    return source


def _uploaded(part: Mapping[str, Any], path: str, field: str) -> Uploaded:
    file_id = part.get("file_id")
    if not isinstance(file_id, str):
        raise request_body.invalid(f"{path}.{field}", "this field is required.")
    return Uploaded(id=file_id)


def _string(part: Mapping[str, Any], field: str, path: str) -> str:
    value = part.get(field)
    if not isinstance(value, str):
        raise request_body.invalid(f"{path}.{field}", "text is expected.")
    return value


def written(part: Shown, losses: Losses) -> dict[str, Any]:
    """Write a part as input; raise ``RequestInvalid`` for sound and for uploaded files."""
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            if part.detail is not None and part.detail not in _DETAILS:
                losses.add(Loss.IMAGE_DETAIL)
            detail = part.detail if part.detail in _DETAILS else "auto"
            url = _address(part.source)
            return {"type": "input_image", "image_url": url, "detail": detail}
        case Document():
            return _document(part, losses)
        case Audio():
            raise refused(Demand.AUDIO, "$")
        case _:
            assert_never(part)


def _document(part: Document, losses: Losses) -> dict[str, Any]:
    match part.source:
        case None:
            if part.name is not None:
                losses.add(Loss.DOCUMENT_NAME)
            return {"type": "input_text", "text": part.text or ""}
        case Inline() as source:
            extension = _EXTENSIONS.get(source.media_type, source.media_type.rpartition("/")[2])
            name = part.name or f"document.{extension}"
            return {"type": "input_file", "filename": name, "file_data": data_urls.written(source)}
        case Linked() | Uploaded() as source:
            if part.name is not None:
                losses.add(Loss.DOCUMENT_NAME)
            return {"type": "input_file", "file_url": _address(source)}
        case _:
            assert_never(part.source)


def _address(source: Source) -> str:
    match source:
        case Inline():
            return data_urls.written(source)
        case Linked():
            return source.url
        case Uploaded():
            raise refused(Demand.UPLOADED, "$")
        case _:
            assert_never(source)
