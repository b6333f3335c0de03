"""Estimates that go on from a metered count: the last reply's input, and what was added since.

A provider's reply says exactly how many tokens its request had. When the next request of the
conversation begins with that one, only the rest is estimated, so that the error is that of a small
part. Which request begins with which is found by ``protocols.prefix``; what was metered is kept by
``storage.knowledge``. Nothing here stores or looks up.
"""

import msgspec

from gatewayctl.core.shape import Measured


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """What one request's input was metered as, and what is usually counted for it.

    ``tokens`` is the whole input: read from and written to caches too. ``raw`` is our usual count
    of the same, uncorrected; 0 where it says nothing of the text (images, earlier responses).
    ``output`` is what the reply to it was metered as, 0 where unknown: that much of the next
    request is the model's own turn.
    """

    tokens: int
    raw: int
    output: int = 0


class Anchored(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor that a request begins with, and the measure of the messages after it.

    ``replied`` is the part of ``added`` in which the model's own reply to the anchor comes back,
    None where that is not told apart.
    """

    anchor: Anchor
    added: Measured
    replied: Measured | None = None
