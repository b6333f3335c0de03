"""The content blocks of a request, read as parts of the IR.

Which message they stand in, and all fields beside the messages, are the business of ``prompts``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Image,
    Inline,
    Linked,
    Message,
    Part,
    Result,
    Role,
    Seal,
    Source,
    Text,
    Thought,
    Uploaded,
)
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import provenance
from gatewayctl.protocols.losses import Losses, item
from gatewayctl.protocols.measure import compact
from gatewayctl.protocols.messages import ids

SIGNATURE: Final = "messages.signature"
REDACTED: Final = "messages.redacted"
"""The forms of seals that this protocol gives: beside a thought's text, and in place of it."""

Block = Mapping[str, Any]

_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
_OPAQUE = "encrypted_"
_DEFAULT_TTL = "5m"


def turns(role: Role, content: Any, path: str, losses: Losses) -> Iterator[Message]:
    """Yield a message's turns: what a provider's own tool told is a turn of the user's.

    ``content`` is text or blocks that are known to have types, ``path`` where it stands.
    """
    if isinstance(content, str):
        yield Message(role=role, parts=(Text(text=content),) if content else ())
        return
    answered = {_string(block.get("tool_use_id")) for block in content if _is_server_result(block)}
    called: set[str] = set()
    parts: list[Part] = []
    for index, block in enumerate(content):
        at = f"{path}[{index}]"
        if block["type"] in _SERVER_CALLS and _string(block.get("id")) in answered:
            called.add(_required(block, "id", at))
            parts.append(_call(block, at))
        elif _is_server_result(block) and _string(block.get("tool_use_id")) in called:
            if parts:
                yield Message(role=role, parts=tuple(parts))
            parts = []
            yield Message(role=Role.USER, parts=(_server_result(block, at, losses),))
        else:
            parts += _parts(block, at, losses)
    yield Message(role=role, parts=tuple(parts))


def cache(block: Block) -> str | None:
    """Return the life that a block's cache marker asks for, None where there is no marker."""
    marker = block.get("cache_control")
    if not isinstance(marker, dict) or marker.get("type") != "ephemeral":
        return None
    ttl = marker.get("ttl")
    return ttl if isinstance(ttl, str) else _DEFAULT_TTL


def texts(content: Any, losses: Losses) -> tuple[Text, ...]:
    """Return the text of a system prompt: a string, or blocks that should all be text."""
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    found = []
    for block in content:
        if block["type"] == "text":
            found.append(_text(block, losses))
        else:
            losses.add(item("system", block["type"]))
    return tuple(found)


def _is_server_result(block: Block) -> bool:
    kind = block["type"]
    return bool(kind != "tool_result" and kind.endswith("_tool_result"))


def _parts(block: Block, path: str, losses: Losses) -> list[Part]:  # noqa: PLR0911 - one a type
    match block["type"]:
        case "tool_use":
            return [_call(block, path)]
        case "tool_result":
            return [_result(block, path, losses)]
        case "thinking":
            return [_thought(block)]
        case "redacted_thinking":
            return [Thought(seal=provenance.sealed(REDACTED, _string(block.get("data"))))]
        case "compaction" if isinstance(block.get("content"), str):
            return [Text(text=block["content"], cache=cache(block))]
        case "container_upload":
            return [Document(source=Uploaded(id=_string(block.get("file_id"))))]
    return [*_shown(block, path, losses, "content")]


def _shown(
    block: Block, path: str, losses: Losses, where: str
) -> list[Text | Image | Document | Audio]:
    """Return what a block shows the model, in a message or in a tool's result."""
    match block["type"]:
        case "text":
            return [_text(block, losses)]
        case "image":
            return [Image(source=_source(block, path), cache=cache(block))]
        case "document":
            return _document(block, path, losses)
        case "search_result":
            return [_search_result(block, losses)]
        case kind:
            losses.add(item(where, kind))
            return []


def _text(block: Block, losses: Losses) -> Text:
    if block.get("citations"):
        losses.add("citations")
    return Text(text=block.get("text") or "", cache=cache(block))


def _call(block: Block, path: str) -> Call:
    given = block.get("input")
    if given is not None and not isinstance(given, dict):
        raise request_body.invalid(f"{path}.input", "an object is expected.")
    return Call(
        id=ids.original(_required(block, "id", path)),
        name=_required(block, "name", path),
        arguments=compact(given or {}),
        cache=cache(block),
    )


def _result(block: Block, path: str, losses: Losses) -> Result:
    content = block.get("content")
    found: list[Text | Image | Document | Audio] = []
    if isinstance(content, str):
        found = [Text(text=content)] if content else []
    elif isinstance(content, list):
        for index, inner in enumerate(content):
            at = f"{path}.content[{index}]"
            if not isinstance(inner, dict) or not isinstance(inner.get("type"), str):
                raise request_body.invalid(at, "a content block is expected.")
            found += _shown(_checked(inner, at), at, losses, "tool_result")
    elif content is not None:
        raise request_body.invalid(f"{path}.content", "text or content blocks are expected.")
    return Result(
        id=ids.original(_required(block, "tool_use_id", path)),
        content=tuple(found),
        failed=block.get("is_error") is True,
        cache=cache(block),
    )


def _server_result(block: Block, path: str, losses: Losses) -> Result:
    """Return what a provider's own tool told, as the JSON that it is where it is no text."""
    content = block.get("content")
    if block["type"] == "mcp_tool_result" and isinstance(content, str | list):
        return _result(block, path, losses)
    listed = content if isinstance(content, list) else [content]
    readable = [_readable(each) for each in listed]
    text = compact(readable if isinstance(content, list) else readable[0])
    failed = isinstance(content, dict) and str(content.get("type")).endswith("_error")
    found = Text(text=text)
    return Result(id=ids.original(block["tool_use_id"]), content=(found,), failed=failed)


def _readable(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: it for key, it in value.items() if not key.startswith(_OPAQUE)}


def _thought(block: Block) -> Thought:
    text, signature = _string(block.get("thinking")), _string(block.get("signature"))
    if not signature:
        return Thought(text=text)
    seal = provenance.sealed(SIGNATURE, signature)
    if seal.form == "text" and seal.data:  # its text was not to be shown, so the tag has it
        return Thought(text=text or seal.data, seal=Seal(form="text", data="", origin=seal.origin))
    return Thought(text=text, seal=seal)


def _document(block: Block, path: str, losses: Losses) -> list[Text | Image | Document | Audio]:
    name = _string(block.get("title")) or None
    if block.get("context"):
        losses.add("context of a document")
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        losses.add("citations")
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if isinstance(source, dict) and kind == "text":
        text = _string(source.get("data"))
        return [Document(text=text, name=name, cache=cache(block))]
    if isinstance(source, dict) and kind == "content":
        return _made_of_blocks(source.get("content"), path, losses, name, cache(block))
    return [Document(source=_source(block, path), name=name, cache=cache(block))]


def _made_of_blocks(
    content: Any, path: str, losses: Losses, name: str | None, marker: str | None
) -> list[Text | Image | Document | Audio]:
    """Return a document of blocks: its text as one, and its images behind it."""
    if isinstance(content, str):
        return [Document(text=content, name=name, cache=marker)]
    inside: list[Text | Image | Document | Audio] = []
    for index, inner in enumerate(content if isinstance(content, list) else ()):
        at = f"{path}.source.content[{index}]"
        if isinstance(inner, dict) and inner.get("type") in {"text", "image"}:
            inside += _shown(_checked(inner, at), at, losses, "document")
        else:
            losses.add(item("document", str(_kind(inner))))
    text = "\n".join(part.text for part in inside if isinstance(part, Text))
    images = [part for part in inside if isinstance(part, Image)]
    return [Document(text=text, name=name, cache=marker), *images]


def _search_result(block: Block, losses: Losses) -> Document:
    content = block.get("content")
    inside = [it for it in content if isinstance(it, dict)] if isinstance(content, list) else []
    found = [_string(it.get("text")) for it in inside]
    if isinstance(block.get("citations"), dict) and block["citations"].get("enabled"):
        losses.add("citations")
    text = "\n".join([_string(block.get("source")), *found])
    return Document(text=text, name=_string(block.get("title")) or None, cache=cache(block))


def _source(block: Block, path: str) -> Source:
    """Return where the data of an image or a document is; raise where that cannot be told."""
    source = block.get("source")
    match source:
        case {"type": "base64", "data": str() as data, "media_type": str() as media_type}:
            return Inline(media_type=media_type, data=data)
        case {"type": "url", "url": str() as url}:
            return Linked(url=url)
        case {"type": "file", "file_id": str() as file_id}:
            return Uploaded(id=file_id)
    raise request_body.invalid(f"{path}.source", "base64 data, a URL or a file are expected.")


def _checked(block: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a block whose text is text, as ``wire`` checks it for blocks outside of others."""
    if not isinstance(block.get("text"), str | None):
        raise request_body.invalid(f"{path}.text", "text is expected.")
    return block


def _kind(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _required(block: Block, name: str, path: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise request_body.invalid(f"{path}.{name}", "this field is required.")
    return value


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
