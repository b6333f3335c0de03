"""What each protocol's file gives the server: reading a request, writing a reply or a refusal.

The three wire modules satisfy ``Wire`` themselves; ``server`` picks one by path.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from gatewayctl.simulator.brain import Answer
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor
from gatewayctl.simulator.request import Ask, Body


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An answer ready to be written. ``token`` makes its ids, ``created`` is in Unix seconds."""

    ask: Ask
    answer: Answer
    token: str
    created: int


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream, as bytes. ``content`` carries text or arguments of some length.

    ``terminal`` frames are the protocol's proof that the answer is whole.
    """

    data: bytes
    content: bool = False
    terminal: bool = False


class Wire(Protocol):
    """One wire protocol, as a server speaks it."""

    @property
    def VENDOR(self) -> Vendor:  # noqa: N802 - a constant of the module
        """Whose dialect its errors are in."""
        ...

    def read(self, body: Body) -> Ask:
        """Understand a request; raise ``Refused`` when it is malformed."""
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

    def error_frame(self, problem: Problem) -> Frame:
        """Write an error inside a stream."""
        ...

    def failed_frame(self, made: Made, problem: Problem) -> Frame:
        """Write the frame that ends a stream as failed, or an error where there is none such."""
        ...
