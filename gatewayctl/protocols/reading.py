"""All that is read of a request before it is forwarded, read once.

Small bodies are read in two steps, since most requests need only the first; large ones whole, in
a process of their own. What each part means belongs to each protocol.
"""

import msgspec

from gatewayctl.core.shape import Conversation, Measured, RequestShape
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.patch import Layout
from gatewayctl.protocols.prefix import prefixes


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a body; None is what nobody has asked for yet.

    ``prefixes`` are the digests of ``prefix.prefixes``: only the last ``prefix.LOOKED_BACK``.
    """

    shape: RequestShape
    layout: Layout
    measured: Measured | None = None
    conversation: Conversation | None = None
    prefixes: tuple[bytes, ...] | None = None


def read(reader: Reader, body: bytes, *, counting: bool = False) -> Reading:
    """Read what every request needs; raise ``RequestInvalid``.

    ``counting``: the request only asks for a count and needs no output budget.
    """
    return Reading(shape=reader.shape(body, counting=counting), layout=reader.layout(body))


def read_whole(
    reader: Reader, body: bytes, *, counting: bool = False, key: bytes | None = None
) -> Reading:
    """Read everything that is ever asked for, in time proportional to the body.

    ``key`` keys the digests of prefixes, None leaves them out.
    """
    reading = read(reader, body, counting=counting)
    return msgspec.structs.replace(
        reading,
        measured=reader.measure(body),
        conversation=reader.conversation(body, reading.layout),
        prefixes=None if key is None else prefixes(reader, body, key),
    )
