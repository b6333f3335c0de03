"""Inputs of the endpoints that take one or many, as text or as tokens: what counts of them."""

from typing import Any

from gatewayctl.simulator import tokenizer
from gatewayctl.simulator.problems import invalid
from gatewayctl.simulator.request import Body

_ONE = "x "
"""A text of one token."""


def read(body: Body, name: str) -> list[str]:
    """Return every input as text; a list of tokens as a text of as many."""
    value = body.fields.get(name)
    if not isinstance(value, list) or _is_tokens(value):
        return [_text(value, name)]
    return [_text(each, f"{name}[{index}]") for index, each in enumerate(value)]


def largest(inputs: list[str]) -> str:
    """Return the input with the most tokens, which has to fit."""
    return max(inputs, key=tokenizer.count, default="")


def _text(value: Any, path: str) -> str:
    if isinstance(value, str) and value:
        return value
    if _is_tokens(value):
        return _ONE * len(value)
    raise invalid(f"{path}: a non-empty string or a list of tokens is required", path)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)
