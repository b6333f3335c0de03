"""The one line of attribution that Claude Code writes into its system prompt, taken out.

It changes every turn and would defeat the prompt caches of any upstream but Anthropic. Nothing
else of a system prompt is ever changed: not one byte.
"""

import re

import msgspec

from gatewayctl.core.conversation import Message, Part, Prompt, Role, Text
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import patch

_MARK = b"x-anthropic-billing-header:"

# Inside a JSON string: what comes before a line's start (the opening quote, or whole characters
# up to an escaped line feed), then the line with the line feed that ends it.
_LINE = re.compile(
    rb'(\A"(?:(?:[^"\\]|\\.)*?\\n)?)' + _MARK + rb'(?:[^"\\]|\\[^n])*(\\n)?', re.DOTALL
)


class _Block(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = msgspec.Raw()


_BLOCK = msgspec.json.Decoder(_Block)
_TEXT = msgspec.json.Decoder(str)


def without_billing(system: bytes) -> bytes:
    """Return a ``system`` value (a JSON string or array of blocks) without the first such line.

    A text block that holds nothing else goes as a whole, since empty text blocks are refused.
    """
    if _MARK not in system:
        return system
    if system.startswith(b'"'):
        return _without_line(system)
    if not system.startswith(b"["):
        return system
    for index, (start, end) in enumerate(patch.elements(system)):
        block = system[start:end]
        text = bytes(request_body.read(_BLOCK, block).text)
        left = _without_line(text) if text.startswith(b'"') else text
        if left == b'""' != text:
            return patch.without_element(system, index)
        if left != text:
            return system[:start] + patch.splice(block, {"text": left}) + system[end:]
    return system


def without(prompt: Prompt) -> Prompt:
    """Return a prompt without the first such line of its system prompt."""
    for at, message in enumerate(prompt.messages):
        if message.role is not Role.SYSTEM:
            break
        for place, part in enumerate(message.parts):
            left = _left(part)
            if left != (part,):
                parts = (*message.parts[:place], *left, *message.parts[place + 1 :])
                return _with(prompt, at, msgspec.structs.replace(message, parts=parts))
    return prompt


def _left(part: Part) -> tuple[Part, ...]:
    """Return the part without the line: nothing where it holds nothing else."""
    if not isinstance(part, Text) or _MARK.decode() not in part.text:
        return (part,)
    text = _TEXT.decode(_without_line(msgspec.json.encode(part.text)))
    return (msgspec.structs.replace(part, text=text),) if text else ()


def _with(prompt: Prompt, at: int, message: Message) -> Prompt:
    """Return the prompt with another message in that place, or none where that is empty."""
    changed = (message,) if message.parts else ()
    messages = (*prompt.messages[:at], *changed, *prompt.messages[at + 1 :])
    return msgspec.structs.replace(prompt, messages=messages)


def _without_line(text: bytes) -> bytes:
    """Return a JSON string without the line, and without the line feed that set it apart."""
    found = _LINE.match(text)
    if found is None:
        return text
    before, feed = found.group(1), found.group(2)
    if feed is None and before.endswith(b"\\n"):
        before = before[:-2]  # it was the last line: the feed before it goes with it
    return before + text[found.end() :]
