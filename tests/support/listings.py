"""Drives a listing without a network: answers by path, and notes what was asked."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.claims import Claims, SourceTable
from gatewayctl.registry.sources import LISTINGS
from gatewayctl.registry.sources.asking import Answer, Ask, Origin

BASE = "http://host.example/v1"
MOST = 1000
"""More than any listing asks; who asks more never ends."""


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """A listing's table and the requests that it took, ``POST`` before those with a body."""

    table: SourceTable
    asked: tuple[str, ...]

    @property
    def models(self) -> dict[str, Claims]:
        """The claims by bare id."""
        return {key.removeprefix("p/"): said for key, said in self.table.models.items()}

    @property
    def skipped(self) -> dict[str, int]:
        """How many entries were left out, by reason."""
        return dict(self.table.skipped)


def drive(name: str, replies: Mapping[str, Any] | Any, *, base: str = BASE) -> Driven:
    """Run a listing of the provider ``p``; ``replies`` are JSON values, bytes or statuses by path.

    A value that is no mapping of paths answers everything. What is missing is a 404, which fails
    a listing as its real driver would, unless the question was optional.
    """
    steps = LISTINGS[name](Origin(provider="p", kind=name, base_url=base))
    asked: list[str] = []
    try:
        question = next(steps)
        while True:
            asked.append(_written(question))
            if len(asked) > MOST:
                raise AssertionError("it never stops asking")
            answer = _answer(asked[-1], replies)
            if answer.status != 200 and not question.optional:
                raise SourceFailed(f"HTTP {answer.status}")
            question = steps.send(answer)
    except StopIteration as ended:
        return Driven(table=ended.value, asked=tuple(asked))


def _written(question: Ask) -> str:
    parts = urlsplit(question.url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if question.body is None:
        return path
    return f"POST {path} {question.body.decode()}"


def _answer(written: str, replies: Any) -> Answer:
    if isinstance(replies, Mapping) and all(key.startswith(("/", "POST ")) for key in replies):
        replies = replies.get(written, 404)
    match replies:
        case int():
            return Answer(status=replies, body=b"no")
        case bytes():
            return Answer(status=200, body=replies)
        case _:
            return Answer(status=200, body=msgspec.json.encode(replies))
