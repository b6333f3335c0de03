"""What the simulator saw, for tests: every request as it came, and how its reply ended."""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

_KEPT: Final = 10_000


class Ending(StrEnum):
    """How a reply ended, as the simulator saw it."""

    RUNNING = "running"
    WHOLE = "whole"
    BROKEN = "broken"
    ABANDONED = "abandoned"


class Received:
    """One request: bytes as they came over the wire, and the state of its reply.

    ``target`` is the request target with its query, ``connection`` the caller's port, which
    names the connection, ``at`` the event loop's time in seconds, ``ended`` that at which the
    reply was over, ``status`` its status, ``frames`` how many frames were sent. ``model`` is what
    was asked for, with the faults in its name, empty where it was not understood; ``tokens`` are
    the whole prompt's, whatever was cut of it or refused, None where they were not counted;
    ``written`` are those of the answer that was made, whatever of it was sent, None without one.
    """

    def __init__(
        self,
        *,
        method: str,
        target: str,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes,
        connection: int,
        at: float,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.connection = connection
        self.at = at
        self.status: int | None = None
        self.frames = 0
        self.model = ""
        self.tokens: int | None = None
        self.written: int | None = None
        self.ending = Ending.RUNNING
        self.ended: float | None = None

    def end(self, ending: Ending, at: float) -> None:
        """Note how the reply ended, and when."""
        self.ending = ending
        self.ended = at

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the first value of a header, None when it was not sent."""
        wanted = name.lower().encode()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value.decode("utf-8", "surrogateescape")
        return None


def waits(calls: Sequence[Received]) -> list[float]:
    """Return the seconds between the end of each call's reply and the start of the next call."""
    return [
        after.at - before.at if before.ended is None else after.at - before.ended
        for before, after in pairwise(calls)
    ]


class Journal:
    """The last requests, oldest first, and how many connections were ever accepted."""

    def __init__(self) -> None:
        self.requests: deque[Received] = deque(maxlen=_KEPT)
        self.connections = 0

    def calls(self, path: str | None = None, *, model: str | None = None) -> list[Received]:
        """Return the POST requests that are kept, of one path and one model or of all."""
        return [
            request
            for request in self.requests
            if request.method == "POST"
            and path in (None, request.path)
            and model in (None, request.model)
        ]
