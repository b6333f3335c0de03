"""What an earlier reply of the same conversation says of a request's size.

Small bodies are walked through here, large ones in the counting process. What a digest is made of
is ``protocols.prefix``' business, what an anchor is worth ``core.anchors``'.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from gatewayctl.core.anchors import Added, Anchor, Anchored
from gatewayctl.core.errors import CountUnavailable
from gatewayctl.protocols.catalog import name_of
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.prefix import (
    Match,
    anchored,
    matches,
    measured_after,
    prefixes,
    to_measure,
)
from gatewayctl.tokenizers.counter import Counter

log = logging.getLogger("gatewayctl.learning")


class Known(Protocol):
    """What conversations were metered as, in memory."""

    @property
    def secret(self) -> bytes:
        """What keys the digests."""
        ...

    def anchor(self, model: str, digest: bytes) -> Anchor | None:
        """Return what a request of this beginning was metered as at a model (full id)."""
        ...


class Recaller:
    """Finds the anchors that requests begin with."""

    def __init__(self, known: Known, counter: Counter) -> None:
        self._known = known
        self._counter = counter

    @property
    def key(self) -> bytes:
        """What keys the digests of prefixes."""
        return self._known.secret

    def digests(self, reader: Reader, body: bytes) -> tuple[bytes, ...]:
        """Return the digests of a body's prefixes: about 0.2 ms per 100 KB."""
        return prefixes(reader, body, self.key)

    def found(
        self, digests: Sequence[bytes], messages: int, models: Iterable[str]
    ) -> Mapping[str, Match]:
        """Return by model the longest prefix of a request that was metered before."""
        return matches(digests, messages, models, self._known.anchor)

    async def anchored(
        self, reader: Reader, body: bytes, found: Mapping[str, Match], *, apart: bool
    ) -> Mapping[str, Anchored]:
        """Measure what was added to each prefix; ``apart``: in the counting process."""
        added = {
            skip: await self.added(reader, body, skip, apart=apart) for skip in to_measure(found)
        }
        return anchored(found, added)

    async def added(self, reader: Reader, body: bytes, skip: int | None, *, apart: bool) -> Added:
        """Measure what follows the first ``skip`` messages, None: the last turn."""
        if not apart:
            return measured_after(reader, body, skip)
        try:
            return await self._counter.measured_after(name_of(reader), body, skip)
        except CountUnavailable as error:
            log.warning("a body of %d bytes is measured in the daemon: %s", len(body), error)
        return await asyncio.to_thread(measured_after, reader, body, skip)
