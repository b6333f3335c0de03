"""Edits of a Gemini request on its way to an upstream of the same protocol, byte for byte.

The model stands in the path; what is edited is nested deeper than in other protocols. What a
request means is ``request``'s business.
"""

from typing import Any, Final

import msgspec

from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import patch, provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.gemini.names import either
from gatewayctl.protocols.gemini.paths import RESOURCE, named
from gatewayctl.protocols.gemini.signatures import unsigned
from gatewayctl.protocols.patch import Layout

_CONFIGS: Final = ("generationConfig", "generation_config")
_BUDGETS: Final = ("maxOutputTokens", "max_output_tokens")
_SIGNATURES: Final = ("thoughtSignature", "thought_signature")
_ANY = msgspec.json.Decoder(Any)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def changed(body: bytes, changes: Changes, layout: Layout) -> bytes:
    """Return the body with the changes spliced in, or the very same bytes when none is needed.

    ``set`` and ``drop`` come from the config and have the last word. Raises ``RequestInvalid``.
    """
    edits: dict[str, bytes | None] = {}
    told = request_body.value(msgspec.Raw(patch.value(body, layout, "model")))
    if told is not None and not (isinstance(told, str) and named(told) == named(changes.model)):
        edits["model"] = msgspec.json.encode(RESOURCE + named(changes.model))
    if changes.output_budget is not None:
        edits |= _budget(body, layout, changes.output_budget)
    if changes.strip_foreign and provenance.MARK in body and "contents" in layout:
        contents = patch.value(body, layout, "contents")
        edits["contents"] = without_foreign(contents, changes.model)
    edits |= dict.fromkeys(changes.drop)
    edits |= changes.set
    return patch.splice_members(body, layout, edits)


def _budget(body: bytes, layout: Layout, budget: int) -> dict[str, bytes | None]:
    """Return the edit that puts a budget where the body has its settings, by whichever name."""
    tokens = str(budget).encode()
    for name in _CONFIGS:
        config = patch.value(body, layout, name)
        if config != b"null":
            there = request_body.read(_MEMBERS, config, checked=True)
            spelled = [each for each in _BUDGETS if each in there] or _BUDGETS[:1]
            return {name: patch.splice(config, dict.fromkeys(spelled, tokens))}
    name = next((each for each in _CONFIGS if each in layout), _CONFIGS[0])
    return {name: b'{"%s":%d}' % (_BUDGETS[0].encode(), budget)}


def without_foreign(contents: bytes, model: str) -> bytes:
    """Return turns without the thoughts of other models that a translated reply brought in.

    Parts that hold none stay as they are. ``model`` is the name of the one that reads them.
    """
    if not contents.startswith(b"["):
        return _content(contents, model)
    cuts = [
        (start, end, _content(contents[start:end], model))
        for start, end in patch.elements(contents)
        if provenance.MARK in contents[start:end]
    ]
    return patch.cut(contents, cuts)


def _content(content: bytes, model: str) -> bytes:
    layout = patch.members(content)
    parts = patch.value(content, layout, "parts")
    if provenance.MARK not in parts:
        return content
    if not parts.startswith(b"["):
        parts = b"[" + parts + b"]"
    kept = [
        left for start, end in patch.elements(parts) if (left := _part(parts[start:end], model))
    ]
    joined = b",".join(kept) or b'{"text":""}'
    return patch.splice_members(content, layout, {"parts": b"[" + joined + b"]"})


def _part(part: bytes, model: str) -> bytes:
    """Return a part without a signature of ours, nothing of one that says only what was thought."""
    value = request_body.read(_ANY, part, checked=True)
    if not isinstance(value, dict):
        return part
    if value.get("thought") is True:
        return b""
    signature = either(value, "thought_signature")
    if not isinstance(signature, str) or provenance.tagged(signature) is None:
        return part
    if value.get("text") == "":
        return b""
    edits: dict[str, bytes | None] = dict.fromkeys(name for name in _SIGNATURES if name in value)
    stand_in = unsigned(model) if either(value, "function_call") is not None else None
    if stand_in is not None:
        edits[_SIGNATURES[0]] = msgspec.json.encode(stand_in)
    return patch.splice(part, edits)
