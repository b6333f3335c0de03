"""What the side parser of every protocol's streams keeps; what events mean is each one's own."""

from typing import Any

from gatewayctl.core.events import Phase, Usage
from gatewayctl.protocols.told import Told, told


class Watching:
    """The state of one stream as far as it was seen; see ``codec.StreamWatcher``."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.written = 0
        self.tier: str | None = None
        self.told: Told | None = None
        self.complete = False
        self.resumed = False

    @property
    def error(self) -> str | None:
        """The words of the upstream's in-stream error."""
        return None if self.told is None else self.told.words

    @property
    def error_code(self) -> str | None:
        """Its machine-readable code or type."""
        return None if self.told is None else self.told.code

    def _fails(self, error: Any) -> Phase:
        """Take note of the upstream's own error, in any form."""
        self.told = told(error)
        return Phase.ERROR
