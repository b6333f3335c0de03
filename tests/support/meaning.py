"""What a request means, aspect by aspect, so that two protocols' bodies can be compared.

Two prompts mean the same where all their aspects are equal; where one differs, something of it was
lost on the way, and a word that was recorded has to account for it. How the same thing is said in
another way (a text in place of a document of plain text) is no difference.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Image,
    Linked,
    Message,
    Part,
    Prompt,
    Refusal,
    Result,
    Role,
    Text,
    Thought,
    ToolChoice,
)
from gatewayctl.core.events import Reply
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import provenance, thinking
from gatewayctl.protocols.losses import Loss


def said_less(said: Reply, told: Reply, body: bytes) -> list[str]:
    """Return in words what a client is not told of a reply; ``body`` is what it gets."""
    found = [
        name
        for name, before in _of_reply(said).items()
        if before and before != _of_reply(told)[name]
    ]
    proofs = [part for choice in said.choices for part in choice.parts if getattr(part, "seal", 0)]
    if body.count(provenance.MARK) < len(proofs):
        found.append("proof of a thought")
    return found


def _of_reply(reply: Reply) -> dict[str, Any]:
    """Return what a reply says, by what it is called where it is lost."""
    parts = [part for choice in reply.choices for part in choice.parts]
    usage = reply.usage
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        "that a refusal is one": any(isinstance(part, Refusal) for part in parts),
        "thoughts": "".join(part.text for part in parts if isinstance(part, Thought)),
        "calls": [(p.name, arguments(p.arguments)) for p in parts if isinstance(p, Call)],
        "order of texts and calls": _order(parts),
        "second answer": len(reply.choices) > 1,
        "exact reason of its end": [choice.stop for choice in reply.choices],
        "which stop sequence": [choice.sequence for choice in reply.choices if choice.sequence],
        "logprobs": [choice.logprobs for choice in reply.choices if choice.logprobs],
        "cache reads": usage.input_cache_read,
        "cache writes": (usage.input_cache_write_5m or 0) + (usage.input_cache_write_1h or 0),
        "life of cache writes": usage.input_cache_write_1h,
        "reasoning tokens": usage.reasoning_output,
        "service tier": _special(reply.tier),
    }


def _order(parts: list[Any]) -> list[str]:
    """Return of what kind the parts are, one after another; thoughts may stand anywhere."""
    kinds = [type(part).__name__ for part in parts if not isinstance(part, Thought)]
    return [kind.replace("Refusal", "Text") for kind in kinds]


_SYSTEM: Final = (Role.SYSTEM, Role.DEVELOPER)
_EXCUSES: Final[dict[str, frozenset[str]]] = {
    "instructions": frozenset(),
    "turns": frozenset({Loss.ROLE_OF_LATER_SYSTEM, Loss.REFUSAL, Loss.EMPTY_MESSAGE}),
    "stop": frozenset({Loss.BLANK_STOP}),
    "media": frozenset({Loss.IMAGE, Loss.DOCUMENT, Loss.AUDIO, Loss.IMAGE_OF_ASSISTANT}),
    "thoughts": frozenset({Loss.REASONING_OF_ANOTHER}),
    "speakers": frozenset({Loss.NAME_OF_SPEAKER}),
    "details": frozenset({Loss.IMAGE_DETAIL}),
    "titles": frozenset({Loss.DOCUMENT_NAME}),
    "failures": frozenset({Loss.IS_ERROR}),
    "markers": frozenset({Loss.CACHE}),
    "strict": frozenset({Loss.TOOL_STRICT}),
    "parallel": frozenset({Loss.PARALLEL}),
    "format_name": frozenset({Loss.FORMAT_NAME}),
    "format_strict": frozenset({Loss.FORMAT_STRICT}),
    "reasoning": frozenset({Loss.REASONING, Loss.REASONING_EFFORT, Loss.REASONING_BUDGET}),
    "verbosity": frozenset({Loss.VERBOSITY}),
    "temperature": frozenset({Loss.TEMPERATURE}),
    "top_p": frozenset({Loss.TOP_P}),
    "top_k": frozenset({Loss.TOP_K}),
    "seed": frozenset({Loss.SEED}),
    "presence_penalty": frozenset({Loss.PRESENCE_PENALTY}),
    "frequency_penalty": frozenset({Loss.FREQUENCY_PENALTY}),
    "logprobs": frozenset({Loss.LOGPROBS, Loss.TOP_LOGPROBS}),
    "tier": frozenset({Loss.TIER, Loss.SPEED}),
    "user": frozenset({Loss.USER}),
    "metadata": frozenset({Loss.METADATA}),
    "store": frozenset({Loss.STORE}),
}


_ALWAYS_STRICT: Final = (WireProtocol.MESSAGES, WireProtocol.GEMINI)
"""Where an answer after a schema is held to it, whether that is asked for or not."""

_FILLED_IN: Final = frozenset({"budget", "format_name", "titles"})
"""What some protocols require, so that something is said where nothing was."""

_PARAMETERS: Final = {"type": "object", "properties": {}}


def lost(asked: Prompt, arrived: Prompt, dropped: tuple[str, ...]) -> list[str]:
    """Return a line for each aspect that differs and for which nothing recorded accounts."""
    before, after = _aspects(asked), _aspects(arrived)
    return [
        f"{aspect}: {before[aspect]!r}, not {after[aspect]!r}"
        for aspect in before
        if before[aspect] != after[aspect]
        and (before[aspect] or aspect not in _FILLED_IN)
        and _EXCUSES.get(aspect, frozenset()).isdisjoint(dropped)
        and not (aspect == "format_strict" and arrived.protocol in _ALWAYS_STRICT)
        and not (aspect == "reasoning" and asked.thinking and asked.thinking.adaptive)
    ]


def _aspects(prompt: Prompt) -> dict[str, Any]:
    """Return a request's meaning, by aspect."""
    leading = _leading(prompt.messages)
    rest = prompt.messages[leading:]
    parts = [(message.role, part) for message in prompt.messages for part in message.parts]
    said = list(_everything(prompt.messages))
    form = prompt.format
    return {
        "instructions": "\n\n".join(
            part.text
            for message in prompt.messages[:leading]
            for part in message.parts
            if isinstance(part, Text)
        ),
        "turns": _turns(rest),
        "media": sorted(filter(None, map(_media, said))),
        "thoughts": [part.text for part in said if isinstance(part, Thought)],
        "speakers": [message.name for message in rest if message.name],
        "details": [
            part.detail
            for part in said
            if isinstance(part, Image) and part.detail not in (None, "auto")
        ],
        "titles": [part.name for part in said if isinstance(part, Document) and part.name],
        "failures": [part.failed for _, part in parts if isinstance(part, Result)],
        "markers": sum(bool(getattr(part, "cache", None)) for part in said),
        "tools": [(tool.name, tool.description, _schema(tool.parameters)) for tool in prompt.tools],
        "strict": [bool(tool.strict) for tool in prompt.tools],
        "choice": _choice(prompt.tool_choice),
        "parallel": prompt.parallel is not False,
        "format": form and (form.schema and msgspec.json.decode(form.schema)),
        "is_json": form is not None,
        "format_name": form and form.name,
        "format_strict": bool(form and form.strict),
        "reasoning": thinking.effort_of(prompt.thinking),
        "verbosity": prompt.verbosity,
        "budget": prompt.output_budget,
        **msgspec.structs.asdict(prompt.sampling),
        "stop": prompt.stop,
        "n": prompt.n,
        "logprobs": prompt.logprobs,
        "tier": "priority" if prompt.fast else _special(prompt.tier),
        "user": prompt.user,
        "metadata": prompt.metadata,
        "store": bool(prompt.store),
    }


def _leading(messages: tuple[Message, ...]) -> int:
    """Return how many messages are the instructions."""
    return next(
        (place for place, each in enumerate(messages) if each.role not in _SYSTEM), len(messages)
    )


def _everything(messages: tuple[Message, ...]) -> Iterator[Part]:
    """Yield all parts, those inside of results too."""
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, Result):
                yield from part.content


def _turns(messages: tuple[Message, ...]) -> list[tuple[object, ...]]:
    """Return who says what, in order: texts, calls and their results, whatever their ids are.

    What one says in several pieces may be one text, with blank lines between them.
    """
    numbers: dict[str, int] = {}
    found: list[tuple[object, ...]] = []
    for message in messages:
        role = Role.USER if message.role in _SYSTEM else message.role
        for part in message.parts:
            match part:
                case Text(text=str(text)) | Refusal(text=text) | Document(text=str(text)):
                    if found and found[-1][:-1] == (role,):
                        text = f"{found.pop()[-1]}\n\n{text}"
                    found.append((role, text))
                case Call():
                    number = numbers.setdefault(part.id, len(numbers))
                    found.append((role, number, part.name, arguments(part.arguments)))
                case Result():
                    text = "".join(each.text for each in part.content if isinstance(each, Text))
                    found.append((role, numbers.setdefault(part.id, len(numbers)), text))
                case _:
                    pass
    return found


def _media(part: Part) -> str | None:
    """Return what a part shows, None for text: an address says the same with a type and without."""
    if not isinstance(part, Image | Document | Audio):
        return None
    match part.source:
        case None:
            return None
        case Linked(url=url):
            return f"{type(part).__name__} {url}"
        case source:
            return f"{type(part).__name__} {msgspec.json.encode(source).decode()}"


def _schema(body: bytes | None) -> Any:
    """Return a tool's parameters: an object's, whose properties are none where it names none."""
    found = msgspec.json.decode(body) if body else {}
    return {**_PARAMETERS, **found} if found.get("type", "object") == "object" else found


def arguments(text: str) -> Any:
    """Return what a call says; what is no JSON may be told inside some."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    match found:
        case dict() if len(found) == 1 and isinstance(inner := next(iter(found.values())), str):
            return inner
        case _:
            return found


def _choice(choice: ToolChoice | None) -> tuple[object, ...]:
    return ("auto", ()) if choice is None else (choice.mode.value, choice.names)


def _special(tier: str | None) -> str | None:
    return None if tier in ("auto", "default", "standard") else tier
