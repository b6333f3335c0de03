"""The IR of a reply: what was metered, and how far a stream has come.

The event union (TextDelta … Finished | Failed) joins these with translation; a same-protocol
stream needs only to know its phase and its usage.
"""

from enum import IntEnum

import msgspec


class Phase(IntEnum):
    """What one stream event means for the stream contract, in the order a stream goes through.

    LIFECYCLE frames are held back before the commit; CONTENT is the first text, reasoning,
    refusal or tool-call delta of non-zero length and commits; TERMINAL is the only proof that the
    answer is whole; ERROR is the upstream's own in-stream error.
    """

    LIFECYCLE = 0
    CONTENT = 1
    TERMINAL = 2
    ERROR = 3


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the upstream metered them, in disjoint dimensions; None is unknown, never 0.

    ``reasoning_output`` is a part of ``output``, informational.
    """

    input: int | None = None
    input_cache_read: int | None = None
    input_cache_write_5m: int | None = None
    input_cache_write_1h: int | None = None
    output: int | None = None
    reasoning_output: int | None = None
    image: int | None = None
    audio: int | None = None
