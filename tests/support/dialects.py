"""The dialects side by side: paths, and the same simple request in each."""

from typing import Any, Final

import msgspec

PATHS: Final = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
PROTOCOLS: Final = tuple(PATHS)
DIALECTS: Final = (*PROTOCOLS, "gemini")
"""All four: the model of a Gemini request is in its address."""

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 3},
    },
    "required": ["city", "unit"],
}


def address(protocol: str, model: str, *, stream: bool = False) -> str:
    """Return the path, with its query, where a model is asked."""
    if protocol != "gemini":
        return PATHS[protocol]
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{model}:{verb}"


def request(protocol: str, model: str, text: str, /, **fields: Any) -> dict[str, Any]:
    """Return a request's body as JSON fields; ``fields`` are added as they are."""
    turns = [{"role": "user", "content": text}]
    match protocol:
        case "responses":
            return {"model": model, "input": text, **fields}
        case "messages":
            return {"model": model, "max_tokens": 200, "messages": turns, **fields}
        case "gemini":
            fields.pop("stream", None)
            return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}
        case _:
            return {"model": model, "messages": turns, **fields}


def encoded(protocol: str, model: str, text: str, /, **fields: Any) -> bytes:
    """Return a request's body as bytes."""
    return msgspec.json.encode(request(protocol, model, text, **fields))


def tool(protocol: str, name: str, schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    """Return one tool definition."""
    match protocol:
        case "messages":
            return {"name": name, "description": "A tool", "input_schema": schema}
        case "gemini":
            one = {"name": name, "description": "A tool", "parametersJsonSchema": schema}
            return {"functionDeclarations": [one]}
        case "responses":
            return {"type": "function", "name": name, "parameters": schema, "strict": False}
        case _:
            return {"type": "function", "function": {"name": name, "parameters": schema}}


def text_in(line: bytes) -> str:
    """Return the text that one line of a stream brings, in whatever dialect it is."""
    if not line.startswith(b"data: {"):
        return ""
    event = msgspec.json.decode(line[6:])
    delta = event.get("delta")
    if event.get("candidates"):
        parts = event["candidates"][0]["content"].get("parts", [])
        delta = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    elif event.get("choices"):
        delta = event["choices"][0]["delta"].get("content")
    elif isinstance(delta, dict):
        delta = delta.get("text")
    return delta if isinstance(delta, str) else ""
