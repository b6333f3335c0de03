"""The messages of the IR, written as the input items of a request.

Content parts are written in ``parts``, all other fields in ``requests``.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final, assert_never

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Result,
    Role,
    Text,
    Thought,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance, tool_names
from gatewayctl.protocols.losses import Loss, Losses
from gatewayctl.protocols.responses import parts, seals

_FITS: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REASONING: Final = "reasoning"
_SYSTEM: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})


def instructions(messages: Sequence[Message], losses: Losses) -> tuple[str, Sequence[Message]]:
    """Return the text of the system messages that come first, and all messages behind them.

    Where there are none behind them, they are said as messages: a request has to ask something.
    """
    texts: list[str] = []
    for index, message in enumerate(messages):
        words = [part for part in message.parts if isinstance(part, Text)]
        if message.role not in _SYSTEM or len(words) < len(message.parts):
            return "\n\n".join(texts), messages[index:]
        if any(part.cache for part in words):
            losses.add(Loss.CACHE)
        texts += [part.text for part in words if part.text]
    return "", messages


class Items:
    """Input items in the making, for the model ``origin``.

    ``losses`` takes note of what has no place in them.
    """

    def __init__(self, origin: str, losses: Losses) -> None:
        self.found: list[dict[str, Any]] = []
        self._origin = origin
        self._losses = losses

    def written(self) -> list[dict[str, Any]]:
        """Return the items without reasoning that nothing of the model's follows: it is refused."""
        kept: list[dict[str, Any]] = []
        follows = False
        for item in reversed(self.found):
            if item["type"] != _REASONING:
                follows = item["type"] == "function_call" or item.get("role") == "assistant"
            elif not follows:
                self._losses.add(Loss.REASONING_ALONE)
                continue
            kept.append(item)
        return kept[::-1]

    def add(self, message: Message) -> None:
        """Add the items that say a message; raise ``RequestInvalid`` for what none can say."""
        if message.name is not None:
            self._losses.add(Loss.NAME_OF_SPEAKER)
        said: list[dict[str, Any]] = []
        for part in message.parts:
            if getattr(part, "cache", None) is not None:
                self._losses.add(Loss.CACHE)
            shown = self._shown(message.role, part)
            if shown is not None:
                said.append(shown)
                continue
            item = self._item(part)
            if item is not None:
                self._message(message.role, said)
                said = []
                self.found.append(item)
        self._message(message.role, said)

    def _message(self, role: Role, said: list[dict[str, Any]]) -> None:
        if not said:
            return
        if role is Role.ASSISTANT:
            name = f"msg_{len(self.found)}"
            told = {"id": name, "status": "completed", "role": "assistant", "content": said}
        else:
            told = {"role": "developer" if role in _SYSTEM else "user", "content": said}
        self.found.append({"type": "message", **told})

    def _shown(self, role: Role, part: Part) -> dict[str, Any] | None:
        """Write what stands in a message; None for a part that is an item by itself."""
        match part:
            case Call() | Result() | Thought():
                return None
            case Text() if role is Role.ASSISTANT:
                return {"type": "output_text", "text": part.text, "annotations": []}
            case Refusal() if role is Role.ASSISTANT:
                return {"type": "refusal", "refusal": part.text}
            case Refusal():
                return parts.written(Text(text=part.text), self._losses)
            case Image() | Document() | Audio() if role is Role.ASSISTANT:
                self._losses.add(_OF_ASSISTANT[type(part)])
                return None
            case Text() | Image() | Document() | Audio():
                return parts.written(part, self._losses)
            case _:
                assert_never(part)

    def _item(self, part: Part) -> dict[str, Any] | None:
        """Write a part that is an item; None for what is left out."""
        match part:
            case Call():
                if part.seal is not None:
                    self._losses.add(Loss.REASONING_OF_ANOTHER)
                return {
                    "type": "function_call",
                    "call_id": fitting(part.id),
                    "name": tool_names.fitting(part.name),
                    "arguments": part.arguments,
                    "status": "completed",
                }
            case Result():
                return self._result(part)
            case Thought():
                return self._thought(part)
            case _:
                return None

    def _result(self, result: Result) -> dict[str, Any]:
        if result.failed:
            self._losses.add(Loss.IS_ERROR)
        if any(part.cache for part in result.content if not isinstance(part, Audio)):
            self._losses.add(Loss.CACHE)
        written = [parts.written(part, self._losses) for part in result.content]
        only = result.content[0] if len(result.content) == 1 else None
        output = only.text if isinstance(only, Text) else written or ""
        return {
            "type": "function_call_output",
            "call_id": fitting(result.id),
            "output": output,
            "status": "completed",
        }

    def _thought(self, thought: Thought) -> dict[str, Any] | None:
        seal = thought.seal
        if seal is None or not provenance.returns(seal, WireProtocol.RESPONSES, self._origin):
            self._losses.add(Loss.REASONING_OF_ANOTHER)
            return None
        return seals.item(seal, thought.text, f"rs_{len(self.found)}")


_OF_ASSISTANT: Final[dict[type, Loss]] = {
    Image: Loss.IMAGE_OF_ASSISTANT,
    Document: Loss.DOCUMENT,
    Audio: Loss.AUDIO,
}


def fitting(call_id: str) -> str:
    """Return a call's id in the form that OpenAI takes: this one, or always the same for it."""
    if _FITS.fullmatch(call_id):
        return call_id
    data = call_id.encode(errors="surrogatepass")
    return f"call_{hashlib.sha256(data).hexdigest()[:40]}"
