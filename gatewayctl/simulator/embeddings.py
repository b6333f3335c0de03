"""Embeddings on the simulator's side: a vector for each input, made of a digest of its text."""

import struct
from base64 import b64encode
from collections.abc import Iterator
from hashlib import shake_128
from typing import Any, Final

import msgspec

from gatewayctl.simulator import chat_completions, inputs, problems, tokenizer
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem
from gatewayctl.simulator.request import Ask, Body
from gatewayctl.simulator.rules import Rules
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = chat_completions.VENDOR
_DIMENSIONS: Final = 8
_MOST: Final = 4096

unknown_model = chat_completions.unknown_model
excessive_output = chat_completions.excessive_output
error = chat_completions.error
error_frame = chat_completions.error_frame
failed_frame = chat_completions.failed_frame


def read(body: Body) -> Ask:
    """Understand a request; of several inputs the largest counts."""
    texts = inputs.read(body, "input")
    largest = inputs.largest(texts)
    return Ask(
        model=body.text("model"),
        stream=False,
        counted=(largest,),
        turns=0,
        prompt=largest,
        echo={
            "texts": texts,
            "dimensions": min(body.positive("dimensions") or _DIMENSIONS, _MOST),
            "base64": body.fields.get("encoding_format") == "base64",
        },
    )


def check(body: Body, rules: Rules) -> None:
    """Take everything."""


def overflow(_ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold."""
    return problems.openai_overflow(model.window, tokens, 0, "input")


def whole(made: Made) -> bytes:
    """Write a list of embeddings."""
    echo = made.ask.echo
    texts: list[str] = echo["texts"]
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, echo)}
        for index, text in enumerate(texts)
    ]
    tokens = sum(map(tokenizer.count, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode(
        {"object": "list", "data": data, "model": made.ask.model, "usage": usage}
    )


def stream(made: Made) -> Iterator[Frame]:
    """Write the reply at once: nothing streams here."""
    yield Frame(data=whole(made), content=True, terminal=True)


def _vector(text: str, echo: Any) -> list[float] | str:
    """Return a vector of length one, as numbers or as base64 of 32-bit floats."""
    raw = shake_128(text.encode("utf-8", "surrogatepass")).digest(echo["dimensions"])
    numbers = [byte - 127.5 for byte in raw]
    length = sum(number * number for number in numbers) ** 0.5
    vector = [number / length for number in numbers]
    if not echo["base64"]:
        return vector
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
