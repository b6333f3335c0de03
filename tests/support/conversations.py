"""Requests of a conversation that goes on, in every protocol: instructions, turns and tools."""

from typing import Any

SYSTEM = "Be brief.\nToday's date: 2026-01-05\nNever guess."


def turn(protocol: str, role: str, text: str) -> dict[str, Any]:
    """Return one message."""
    if protocol == "gemini":
        return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
    return {"role": role, "content": text}


def request(
    protocol: str, *texts: str, system: str = SYSTEM, tools: int = 1, **more: Any
) -> dict[str, Any]:
    """Return a request whose messages are the user's and the model's in turn."""
    turns = [
        turn(protocol, "assistant" if at % 2 else "user", text) for at, text in enumerate(texts)
    ]
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    names = [f"tool{at}" for at in range(tools)]
    match protocol:
        case "gemini":
            declared = [{"name": name, "parameters": schema} for name in names]
            return {
                "contents": turns,
                "systemInstruction": {"parts": [{"text": system}]},
                "tools": [{"functionDeclarations": declared}],
                **more,
            }
        case "messages":
            listed = [{"name": name, "input_schema": schema} for name in names]
            return {
                "model": "m",
                "max_tokens": 9,
                "system": system,
                "messages": turns,
                "tools": listed,
                **more,
            }
        case "responses":
            listed = [{"type": "function", "name": name, "parameters": schema} for name in names]
            return {"model": "m", "instructions": system, "input": turns, "tools": listed, **more}
        case _:
            listed = [
                {"type": "function", "function": {"name": name, "parameters": schema}}
                for name in names
            ]
            first = {"role": "system", "content": system}
            return {"model": "m", "messages": [first, *turns], "tools": listed, **more}
