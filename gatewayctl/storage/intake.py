"""Takes records from the event loop: into the journal, or into memory while there is none.

The loop's side alone writes here, and the ledger's thread alone reads and removes; they share no
lock. Sources are filled one after the other and folded in the same order: only the last one still
grows. Folding and the database do not belong here.
"""

from collections import deque
from typing import Final

from gatewayctl.storage.journal import Chunk, Segment, content_of

MOST_BYTES: Final = 64 * 1024 * 1024
"""How much may wait for the database, in bytes; what comes beyond is lost, and counted."""
MOST_IN_MEMORY: Final = 4 * 1024 * 1024
"""How much of it may wait in memory."""
_CHUNK: Final = 256


class Memory:
    """Frames that no journal holds: gone when the process is killed."""

    def __init__(self) -> None:
        self.written = 0
        self.removed = 0
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._held: list[tuple[bytes, int]] = []

    def append(self, frame: bytes, records: int) -> bool:
        """Keep a frame; False when there is no room for it."""
        if self.written - self.removed + len(frame) > MOST_IN_MEMORY:
            return False
        self._waiting.append((frame, records))
        self.written += len(frame)
        return True

    def read(self) -> list[tuple[bytes, int]]:
        """Return the oldest frames, the same ones until ``drop`` drops them."""
        while self._waiting and len(self._held) < _CHUNK:
            self._held.append(self._waiting.popleft())
        return self._held

    def drop(self) -> int:
        """Remove what ``read`` returned, and return how many bytes it was."""
        dropped = sum(len(frame) for frame, _ in self._held)
        self.removed += dropped
        self._held = []
        return dropped


Source = Memory | Segment


class Intake:
    """The sources in order, the last one open, and what the loop counts of them."""

    def __init__(self) -> None:
        self.sources: deque[Source] = deque([Memory()])
        self.ready: deque[Segment] = deque()
        """A new segment, put there by the thread, which the loop goes on with."""
        self.closed = False
        self.records = 0
        self.lost = 0
        self.written = 0
        self.folded = 0
        """How many of the bytes written are folded or given up; the thread's to count."""
        self.to_memory = 0
        self.from_memory = 0
        """How many records went to memory for want of a journal, and how many are out of it."""

    @property
    def in_memory(self) -> int:
        """How many records wait in memory alone: gone with the process."""
        return max(0, self.to_memory - self.from_memory)

    def add(self, frame: bytes, records: int) -> None:
        """Take one frame; what there is no room for is counted as lost. Never raises."""
        self.records += records
        if self.closed or self.written - self.folded + len(frame) > MOST_BYTES:
            self.lost += records
            return
        tail = self.go_on() if self.ready else self.sources[-1]
        if isinstance(tail, Segment):
            try:
                tail.append(frame, records)
            except OSError:
                tail.finish()
                tail = Memory()
                self.sources.append(tail)
            else:
                self.written += len(frame)
                return
        if tail.append(frame, records):
            self.written += len(frame)
            self.to_memory += records
        else:
            self.lost += records

    def go_on(self) -> Source:
        """Go on with the segment that is ready, if one is; return the source that is open."""
        tail = self.sources[-1]
        try:
            segment = self.ready.popleft()
        except IndexError:  # the thread took it back
            return tail
        if isinstance(tail, Segment):
            tail.finish()
        self.sources.append(segment)
        return segment


def frames_of(source: Source) -> tuple[list[bytes], Chunk | None]:
    """Return what of a source is to be folded next, and for a segment how far that leads.

    Raises OSError.
    """
    if isinstance(source, Memory):
        return [content_of(frame) for frame, _ in source.read()], None
    chunk = source.read()
    return list(chunk.contents), chunk
