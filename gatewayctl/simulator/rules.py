"""What a provider refuses of a request that can be read: the terms of the rules of each protocol.

The rules themselves are in ``chat_rules``, ``responses_rules``, ``messages_rules`` and
``gemini_rules``, in their providers' words.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gatewayctl.simulator.problems import Problem, Refused
from gatewayctl.simulator.seals import Seal, opened


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """By what a request is judged: the ``secret`` of seals, and whether to be very strict.

    ``hidden``: the model does not tell its thoughts, so that they cannot come back as text.
    """

    secret: str = ""
    strict: bool = False
    hidden: bool = False

    def seal(self, maker: str, data: object) -> Seal | None:
        """Return what a seal says, None where it is not one that this simulator made."""
        return opened(self.secret, maker, data)


def refused(message: str, *, param: str | None = None, code: str | None = None) -> Refused:
    """Return the refusal of a request, to be raised."""
    return Refused(Problem(status=400, message=message, param=param, code=code))


def unknown(fields: Iterable[str], known: frozenset[str]) -> str | None:
    """Return the first field that the provider does not know, None where it knows all."""
    return next((name for name in fields if name not in known), None)


def objects(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the objects of a list with their places; anything else is passed over."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield index, item


def beyond(fields: Mapping[str, Any], name: str, least: float, most: float) -> bool:
    """Tell whether a number is out of bounds; what is no number is not."""
    value = fields.get(name)
    return isinstance(value, int | float) and not least <= value <= most
