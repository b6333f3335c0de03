"""What each protocol's file gives the server: reading a request, writing a reply or a refusal.

The wire modules satisfy ``Wire`` themselves; ``server`` picks one by path.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from gatewayctl.simulator.brain import Answer
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor
from gatewayctl.simulator.request import Ask, Body
from gatewayctl.simulator.rules import Rules
from gatewayctl.simulator.seals import sealed

_FRAGMENT: Final = 12


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An answer ready to be written. ``token`` makes its ids, ``created`` is in Unix seconds.

    ``secret`` is what its thoughts are sealed with.
    """

    ask: Ask
    answer: Answer
    token: str
    created: int
    secret: str = ""

    def name(self, prefix: str, index: int = 0) -> str:
        """Return the id of one of its parts: ``call_…``."""
        return f"{prefix}_{self.token}" + (f"_{index}" if index else "")

    def seal(self, maker: str) -> str:
        """Return what proves its thoughts in the protocol ``maker``."""
        return sealed(self.secret, maker, self.ask.model, self.answer.thought)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream, as bytes. ``content`` carries text or arguments of some length.

    ``terminal`` frames are the protocol's proof that the answer is whole.
    """

    data: bytes
    content: bool = False
    terminal: bool = False


def fragments(arguments: str) -> list[str]:
    """Return a call's arguments as they are streamed: a few characters at a time."""
    return [arguments[start : start + _FRAGMENT] for start in range(0, len(arguments), _FRAGMENT)]


class Wire(Protocol):
    """One wire protocol, as a server speaks it."""

    @property
    def VENDOR(self) -> Vendor:  # noqa: N802 - a constant of the module
        """Whose dialect its errors are in."""
        ...

    def read(self, body: Body) -> Ask:
        """Understand a request; raise ``Refused`` when it is malformed."""
        ...

    def check(self, body: Body, rules: Rules) -> None:
        """Refuse, by raising ``Refused``, what its provider would not take of a request."""
        ...

    def whole(self, made: Made) -> bytes:
        """Write the reply that is not streamed."""
        ...

    def stream(self, made: Made) -> Iterator[Frame]:
        """Write the reply event by event, the terminal frame last."""
        ...

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that is not served."""
        ...

    def overflow(self, ask: Ask, model: SimModel, tokens: int) -> Problem:
        """Refuse a request of ``tokens`` input that, with its output, exceeds the window."""
        ...

    def excessive_output(self, ask: Ask, model: SimModel) -> Problem:
        """Refuse an output limit beyond what the model can write."""
        ...

    def error(self, problem: Problem) -> bytes:
        """Write the body of an error reply."""
        ...

    def error_frame(self, made: Made, problem: Problem) -> Frame:
        """Write an error inside a stream."""
        ...

    def failed_frame(self, made: Made, problem: Problem) -> Frame:
        """Write the frame that ends a stream as failed, or an error where there is none such."""
        ...


class Counting(Wire, Protocol):
    """A protocol in which tokens can be counted without an answer."""

    def read_countable(self, body: Body) -> Ask:
        """Understand a request whose tokens are only to be counted."""
        ...

    def counted(self, tokens: int) -> bytes:
        """Write the reply to such a request."""
        ...
