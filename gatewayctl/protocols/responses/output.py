"""The output items of a reply, the same in a whole one and at the end of each item of a stream.

The order of a stream's events is the business of ``writing``.
"""

from collections.abc import Iterable
from typing import Any, Final

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import Choice, Stop, TokenProbability
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import ReplyContext
from gatewayctl.protocols.responses.snapshot import CUT

COMPLETED: Final = "completed"
OPEN: Final = "in_progress"
_INCOMPLETE: Final = "incomplete"
_KINDS: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def named(kind: str, context: ReplyContext, index: int) -> str:
    """Return the id of the item that stands at ``index`` in a reply."""
    return f"{_KINDS[kind]}_{context.id}_{index}"


def call_id(given: str, context: ReplyContext, number: int) -> str:
    """Return the id of a call: the upstream's, or one of our own for the call's ``number``."""
    return given or f"call_{context.id}_{number}"


def status(stop: Stop | None) -> str:
    """Return the status of what was written last, by why the answer ended."""
    return _INCOMPLETE if stop in CUT else COMPLETED


def text_part(text: str, logprobs: Iterable[TokenProbability]) -> dict[str, Any]:
    """Return a content part of text."""
    told = probabilities(logprobs)
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def refusal_part(text: str) -> dict[str, Any]:
    """Return a content part that says why there is no answer."""
    return {"type": "refusal", "refusal": text}


def summary_part(text: str) -> dict[str, Any]:
    """Return a part of a reasoning item's summary."""
    return {"type": "summary_text", "text": text}


def message(name: str, parts: list[dict[str, Any]], told: str) -> dict[str, Any]:
    """Return a message; ``told`` is its status."""
    return {
        "type": "message",
        "id": name,
        "status": told,
        "role": "assistant",
        "content": parts,
    }


def reasoning(name: str, text: str, seal: Seal | None, origin: str) -> dict[str, Any]:
    """Return a reasoning item that is over, with the tag that proves it."""
    return {
        "type": "reasoning",
        "id": name,
        "status": COMPLETED,
        "summary": [summary_part(text)] if text else [],
        "encrypted_content": provenance.tag(seal, origin),
    }


def function_call(name: str, call: Call, told: str) -> dict[str, Any]:
    """Return a call whose id is known; ``told`` is its status."""
    return {
        "type": "function_call",
        "id": name,
        "status": told,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def probabilities(logprobs: Iterable[TokenProbability]) -> list[dict[str, Any]]:
    """Return the probabilities of tokens."""
    return [
        {**_probability(each), "top_logprobs": [_probability(other) for other in each.top]}
        for each in logprobs
    ]


def _probability(each: TokenProbability) -> dict[str, Any]:
    data = list(each.token.encode(errors="surrogatepass"))
    return {"token": each.token, "logprob": each.logprob, "bytes": data}


def whole(choice: Choice, context: ReplyContext) -> list[dict[str, Any]]:
    """Return the items that say an answer."""
    found: list[dict[str, Any]] = []
    logprobs = list(choice.logprobs)
    calls = 0
    parts = [part for part in choice.parts if _says(part)]
    for index, part in enumerate(parts):
        last = index + 1 == len(parts)
        told = status(choice.stop if last else None)
        match part:
            case Text():
                mine = _own(logprobs, part.text, last=not any(_texts(parts[index + 1 :])))
                name = named("message", context, len(found))
                found.append(message(name, [text_part(part.text, mine)], told))
            case Refusal():
                name = named("message", context, len(found))
                found.append(message(name, [refusal_part(part.text)], told))
            case Thought():
                name = named("reasoning", context, len(found))
                found.append(reasoning(name, part.text, part.seal, context.origin))
            case Call():
                if part.seal is not None:
                    name = named("reasoning", context, len(found))
                    found.append(reasoning(name, "", part.seal, context.origin))
                own = call_id(part.id, context, calls)
                calls += 1
                call = Call(id=own, name=part.name, arguments=part.arguments or "{}")
                found.append(function_call(named("function_call", context, len(found)), call, told))
    return found


def _says(part: Text | Thought | Refusal | Call) -> bool:
    """Tell whether a part is an item: one without text is none, unless it proves something."""
    if isinstance(part, Call):
        return True
    return bool(part.text) or (isinstance(part, Thought) and part.seal is not None)


def _texts(parts: Iterable[object]) -> Iterable[bool]:
    return (isinstance(part, Text) for part in parts)


def _own(logprobs: list[TokenProbability], text: str, *, last: bool) -> list[TokenProbability]:
    """Take the probabilities of a text's tokens off those of the whole answer."""
    count = len(logprobs)
    if not last:
        left = len(text)
        for count, each in enumerate(logprobs):  # noqa: B007 - where it stops is what counts
            if left <= 0:
                break
            left -= len(each.token)
    mine = logprobs[:count]
    del logprobs[:count]
    return mine
