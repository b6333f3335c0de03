"""Whether a client was told what its protocol allows: a refusal, or a stream that broke off.

Each function fails with what is wrong. Answers are ``strict``'s.
"""

import re
from typing import Any, Final

import msgspec
from support import strict

_ANTHROPIC: Final = {
    400: {"invalid_request_error"},
    401: {"authentication_error"},
    403: {"permission_error"},
    404: {"not_found_error"},
    413: {"request_too_large", "invalid_request_error"},
    429: {"rate_limit_error"},
    500: {"api_error"},
    502: {"api_error"},
    503: {"api_error", "overloaded_error"},
    504: {"api_error", "timeout_error"},
    529: {"overloaded_error"},
}
_PING: Final = b'{"type":"ping"}'
_COMPLETE: Final = {
    "chat_completions": re.compile(rb"^data: \[DONE\]", re.MULTILINE),
    "messages": re.compile(rb"^event: message_stop", re.MULTILINE),
    "responses": re.compile(rb"^event: response\.(completed|incomplete)", re.MULTILINE),
    "gemini": re.compile(rb'^data: .*"finishReason":"', re.MULTILINE),
}
_OWN: Final = "type.gatewayctl/Error"


def looks_complete(protocol: str, body: bytes) -> bool:
    """Tell whether a client takes a stream for complete."""
    return _COMPLETE[protocol].search(body) is not None


def refused(protocol: str, status: int, body: bytes) -> dict[str, Any]:
    """Return the error object of a refusal in the protocol's own form.

    What the gateway says besides is under ``gatewayctl``, wherever it stands.
    """
    decoded = msgspec.json.decode(body)
    assert isinstance(decoded, dict), f"no object: {body[:200]!r}"
    error = decoded.get("error")
    assert isinstance(error, dict), f"no error object: {body[:200]!r}"
    message = error.get("message")
    assert isinstance(message, str), f"no message: {body[:200]!r}"
    assert message, f"an empty message: {body[:200]!r}"
    if protocol == "messages":
        assert decoded.get("type") == "error", f"no error: {body[:200]!r}"
        assert error.get("type") in _ANTHROPIC[status], f"{status} as {error.get('type')}"
    elif protocol == "gemini":
        assert error.get("code") == status, f"{status} as {error.get('code')}"
        assert isinstance(error.get("status"), str), f"no status: {body[:200]!r}"
        return _with_own(error)
    else:
        assert isinstance(error.get("type"), str | None), f"the type: {body[:200]!r}"
        # vLLM, llama.cpp and others give the status as the code, and OpenAI's clients take it.
        assert isinstance(error.get("code"), str | int | None), f"the code: {body[:200]!r}"
    return error


def _with_own(error: dict[str, Any]) -> dict[str, Any]:
    """Return one of Google's errors with what the gateway says among its details."""
    details = error.get("details", [])
    own = [each["gatewayctl"] for each in details if each.get("@type") == _OWN]
    return {**error, "gatewayctl": own[0]} if own else error


def broken(protocol: str, body: bytes, *, torn: bool = False) -> None:
    """Check a stream that broke off after its first content: whole events, then a typed error.

    ``torn``: the connection was broken off, as it has to be for Gemini's clients alone.
    """
    assert torn is (protocol == "gemini"), f"the connection was torn: {torn}"
    assert not looks_complete(protocol, body), "a broken stream looks complete"
    assert body.endswith(b"\n\n"), "the stream ends inside an event"
    *before, last = (block for block in body.split(b"\n\n") if block)
    events = [_data(block) for block in before]
    assert any(_has_content(protocol, data) for data in events), "broken before its content"
    for data in events:
        if data and data != _PING:
            strict.event(protocol, data)
    error = msgspec.json.decode(_data(last))
    match protocol:
        case "chat_completions" | "gemini":
            assert error["error"]["message"]
        case "messages":
            assert (error["type"], bool(error["error"]["message"])) == ("error", True)
        case _ if error["type"] == "error":
            assert error["message"]
        case _:
            assert error["type"] == "response.failed"
            assert strict.event(protocol, _data(last)).response.error.message


def answered_late(protocol: str, body: bytes) -> None:
    """Check a whole stream whose headers went out early: signs of life may stand in it."""
    assert looks_complete(protocol, body), "the stream is not complete"
    assert body.endswith(b"\n\n"), "the stream ends inside an event"
    events = [data for block in body.split(b"\n\n") if (data := _data(block))]
    assert any(_has_content(protocol, data) for data in events), "nothing is said"
    for data in events:
        if data not in (_PING, b"[DONE]"):
            strict.event(protocol, data)


def refused_late(protocol: str, body: bytes) -> dict[str, Any]:
    """Return the error object that ends a stream of which no more than its headers went out."""
    assert not looks_complete(protocol, body), "a refused stream looks complete"
    assert body.endswith(b"\n\n"), "the stream ends inside an event"
    *before, last = (data for block in body.split(b"\n\n") if (data := _data(block)))
    assert not any(_has_content(protocol, data) for data in before), "content before a refusal"
    told = msgspec.json.decode(last)
    error: dict[str, Any] = (told["response"] if protocol == "responses" else told)["error"]
    assert error["message"], "an error without words"
    return _with_own(error) if protocol == "gemini" else error


def _data(block: bytes) -> bytes:
    lines = (line for line in block.split(b"\n") if line.startswith(b"data: "))
    return b"\n".join(line.removeprefix(b"data: ") for line in lines)


def _has_content(protocol: str, data: bytes) -> bool:
    match protocol:
        case "chat_completions":
            return bool(re.search(rb'content":"[^"]', data))  # or reasoning_content
        case "messages":
            return b'"text_delta"' in data or b'"thinking_delta"' in data
        case "gemini":
            return bool(re.search(rb'"text":"[^"]', data))
        case _:
            return bool(re.search(rb'"response\.(output|reasoning_summary)_text\.delta"', data))
