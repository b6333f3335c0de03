"""What the daemon and its counting process say to each other, and how it is framed.

A frame is a length (four bytes, big-endian) and a message in msgpack; the body that a job carries
follows its frame as it is. Who sends and receives when is ``counter``'s and ``worker``'s business.
"""

import msgspec

from gatewayctl.core.anchors import Added
from gatewayctl.core.estimate import Counted
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Target
from gatewayctl.protocols.reading import Reading
from gatewayctl.protocols.translation import Outgoing

LENGTH = 4
"""Bytes of a frame's length."""


class CountJob(msgspec.Struct, frozen=True, kw_only=True, tag="count"):
    """Count a request with each vocabulary. ``size`` None: the body is the one kept by ``key``.

    ``reader`` is whose request it is, by the name in ``protocols.catalog``.
    """

    reader: str
    vocabularies: tuple[str, ...]
    size: int | None
    key: int | None = None


class ReadJob(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """Read a request of ``size`` bytes, and keep its body by ``key`` if there is one.

    ``secret`` keys the digests of its prefixes, None leaves them out.
    """

    reader: str
    counting: bool
    size: int
    key: int | None = None
    secret: bytes | None = None


class AfterJob(msgspec.Struct, frozen=True, kw_only=True, tag="after"):
    """Measure the messages after the first ``skip``, None: the last turn. ``size`` as above."""

    reader: str
    skip: int | None
    size: int | None
    key: int | None = None


class TranslateJob(msgspec.Struct, frozen=True, kw_only=True, tag="translate"):
    """Write a request of ``protocol`` anew, in that of ``upstream``. ``size`` as above."""

    protocol: WireProtocol
    upstream: WireProtocol
    target: Target
    size: int | None
    key: int | None = None


Job = CountJob | ReadJob | AfterJob | TranslateJob


class Counts(msgspec.Struct, frozen=True, kw_only=True, tag="counts"):
    """The count of each vocabulary that can be used; ``problem`` says why one cannot."""

    counts: dict[str, Counted]
    problem: str | None = None


class Read(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """What was read of a request, everything that is ever asked for in it."""

    reading: Reading


class Measures(msgspec.Struct, frozen=True, kw_only=True, tag="measures"):
    """What was added after a prefix."""

    added: Added


class Rewritten(msgspec.Struct, frozen=True, kw_only=True, tag="rewritten"):
    """A request in another protocol."""

    outgoing: Outgoing


class Invalid(msgspec.Struct, frozen=True, kw_only=True, tag="invalid"):
    """The request cannot be understood: a ``RequestInvalid``'s message and path."""

    message: str
    path: str | None


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag="gone"):
    """The body is kept no more: the job must be sent again, with it."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The job could not be done; ``reason`` has no words of the request."""

    reason: str


Answer = Counts | Read | Measures | Rewritten | Invalid | Gone | Failed


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One job's answer, and the bytes of memory that the process holds after it.

    Those of tokenizer files are not in ``resident``: a new process would hold as many.
    """

    answer: Answer
    resident: int


_ENCODER = msgspec.msgpack.Encoder()
JOB = msgspec.msgpack.Decoder(Job)
"""Decodes a job's frame."""
REPLY = msgspec.msgpack.Decoder(Reply)
"""Decodes a reply's frame."""


def frame(message: Job | Reply) -> bytes:
    """Return a message with its length before it."""
    data = _ENCODER.encode(message)
    return len(data).to_bytes(LENGTH, "big") + data


def length(data: bytes) -> int:
    """Return the length that a frame's first bytes say."""
    return int.from_bytes(data, "big")
