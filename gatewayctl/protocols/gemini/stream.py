"""The side parser of a Gemini stream: phases, usage, errors. It changes nothing.

There is no frame for the end. An answer is whole when the body ends and each candidate that was
seen has told a ``finishReason`` last, or the prompt was refused. A reason alone ends nothing: some
servers tell one in every frame, or before the text, and some tell the usage after it.
"""

from gatewayctl.core.events import Phase
from gatewayctl.protocols import metering
from gatewayctl.protocols.gemini import response, wire
from gatewayctl.protocols.sse import SseEvent
from gatewayctl.protocols.told import error_in
from gatewayctl.protocols.watching import Watching


class GeminiWatcher(Watching):
    """Sees each event of one stream once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self._open: set[int] = set()
        self._over = False

    def see(self, event: SseEvent) -> Phase:
        """Return what the event means; raise ``BadFrame`` when it is no frame of the protocol."""
        if not event.data:
            return self._bare(event.raw)
        if event.data == b"[DONE]":  # some compatible servers add it
            return Phase.LIFECYCLE
        frame = response.decoded(event.data, "a Gemini frame")
        if frame.usage_metadata is not None:
            counts = response.counted(frame.usage_metadata)
            self._counts = metering.newer(self._counts, counts)
            self.usage = response.usage_of(self._counts)
            self.tier = response.tier(frame.usage_metadata) or self.tier
        says = False
        for place, candidate in enumerate(frame.candidates or ()):
            self.written += response.length(candidate)
            says = says or response.says(candidate)
            self._follow(candidate, response.index_of(candidate, place))
        if frame.error:
            return self._fails(frame.error)
        self.resumed = self.resumed or (says and self.complete)
        self.complete = self._is_over(frame)
        if self.complete and not self.written:
            self.usage = response.usage_of(self._counts, silent=True)
        return Phase.CONTENT if says else Phase.LIFECYCLE

    def release(self, event: SseEvent) -> bytes:
        """Return the event's bytes."""
        return event.raw

    def _follow(self, candidate: wire.Candidate, index: int) -> None:
        if response.finished(candidate) is None:
            self._open.add(index)
        else:
            self._open.discard(index)
            self._over = True

    def _is_over(self, frame: wire.Reply) -> bool:
        """Tell whether the answer is whole with a frame: all of it has ended, nothing is open."""
        if response.blocked(frame.prompt_feedback) is not None and not frame.candidates:
            self._over = True
        return self._over and not self._open

    def _bare(self, raw: bytes) -> Phase:
        """Take lines that are no event: Google writes an error in the middle of a stream so."""
        if not raw.lstrip().startswith((b"{", b"[")):
            return Phase.LIFECYCLE
        told = error_in(raw)
        if not told.message:
            return Phase.LIFECYCLE
        self.told = told
        return Phase.ERROR
