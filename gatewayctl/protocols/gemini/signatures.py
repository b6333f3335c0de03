"""What stands in a ``thoughtSignature``: Google's own proof, or thoughts of another model's.

Google signs a part: a call, a text, an empty part at the end of one. Its signature goes back on
the part it came with, so its seal says which (``gemini.call.0`` is the first call of a turn).
Clients of this protocol keep the signature of a call or a text and may leave out the thoughts
before it; so thoughts of other models stand, text and all, in the signature of the part that
follows them.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from gatewayctl.core.conversation import Seal, Thought
from gatewayctl.protocols import provenance

CALL: Final = "gemini.call"
"""The form of a call's signature; behind it, which call of its turn it is, from 0."""

TEXT: Final = "gemini.text"
"""The form of the signature of a part that has text."""

EMPTY: Final = "gemini.part"
"""The form of the signature of a part of its own, whose text is empty."""

THOUGHT: Final = "gemini.thought"
"""The form of the signature of a thought that is told."""

_CARRIED: Final = "thoughts"
_STAND_IN: Final = "skip_thought_signature_validator"
_NO_PROOF: Final = frozenset({_STAND_IN, "context_engineering_is_the_way_to_go"})
_OLDER: Final = re.compile(r"(?:^|/)(?:gemini-[12](?![0-9])|gemini-pro$|gemma)")
_Row = tuple[str, str, str, str, str | None]
_ROWS = msgspec.json.Decoder(tuple[list[_Row], list[_Row]])


def unsigned(model: str) -> str | None:
    """Return what stands for the signature that a call of another model's does not have.

    Google's documented word for it: from Gemini 3 on a call without any signature is refused. None
    for models that are known, by their names, to want none.
    """
    return None if _OLDER.search(model) else _STAND_IN


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Thoughts in a signature: those right before its part, and ``earlier`` ones of the turn.

    These stand before a text, and so in a signature of their own that a client may leave out.
    """

    thoughts: tuple[Thought, ...] = ()
    earlier: tuple[Thought, ...] = ()


def carried(thoughts: Sequence[Thought], origin: str, earlier: Sequence[Thought] = ()) -> str:
    """Return the signature that holds thoughts of the model ``origin``."""
    rows = ([*map(_row, thoughts)], [*map(_row, earlier)])
    return provenance.tag(Seal(form=_CARRIED, data=msgspec.json.encode(rows).decode()), origin)


def held_in(seal: Seal) -> Held | None:
    """Return the thoughts that a signature of ours holds, None for one that holds none."""
    if seal.form != _CARRIED or not seal.origin:
        return None
    try:
        thoughts, earlier = _ROWS.decode(seal.data)
    except (msgspec.DecodeError, RecursionError):
        return Held()
    return Held(
        thoughts=tuple(_thought(row, seal.origin) for row in thoughts),
        earlier=tuple(_thought(row, seal.origin) for row in earlier),
    )


def _row(thought: Thought) -> _Row:
    seal = thought.seal or Seal(form="text", data="")
    return thought.text, seal.form, seal.data, seal.origin, thought.id


def _thought(row: _Row, source: str) -> Thought:
    text, form, data, origin, name = row
    return Thought(text=text, id=name, seal=Seal(form=form, data=data, origin=origin or source))


def proof(data: object, form: str) -> Seal | None:
    """Return what a signature in a request is: the proof of a part, None for none."""
    if not isinstance(data, str) or not data or data in _NO_PROOF:
        return None
    return provenance.sealed(form, data)


def number_of(seal: Seal) -> int | None:
    """Return which call of its turn a signature is of, None where it is no call's."""
    head, _, number = seal.form.rpartition(".")
    return int(number) if head == CALL and number.isdecimal() and len(number) < 6 else None  # noqa: PLR2004 - more calls than any turn has
