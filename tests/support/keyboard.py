"""A command on a terminal of its own, with somebody at the keyboard (POSIX alone)."""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import msgspec

_PATIENCE = 30.0


class Seat(msgspec.Struct, kw_only=True):
    """Who sits there sees what is drawn, and types."""

    process: subprocess.Popen[bytes]
    terminal: int
    drawn: bytes = b""

    @property
    def screen(self) -> str:
        """All that was drawn so far, what was typed with echo among it."""
        return self.drawn.decode(errors="replace").replace("\r\n", "\n")

    def type(self, text: str) -> None:
        """Type text; a line end is Enter, an ETX Ctrl-C."""
        os.write(self.terminal, text.encode())

    def until(self, text: str) -> str:
        """Wait until a text is drawn, and return the whole screen."""
        end = time.monotonic() + _PATIENCE
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} never came:\n{self.screen}"
            assert self._look(), f"it ended without {text!r}:\n{self.screen}"
        return self.screen

    def ended(self) -> int:
        """Wait for the end, and return the exit status."""
        end = time.monotonic() + _PATIENCE
        while self._look():
            assert time.monotonic() < end, f"it does not end:\n{self.screen}"
        return self.process.wait(_PATIENCE)

    def _look(self) -> bool:
        """Take in what is drawn, for a while; False once nobody draws any more."""
        over = self.process.poll() is not None
        ready, _, _ = select.select([self.terminal], [], [], 0 if over else 0.05)
        if ready:
            self.drawn += os.read(self.terminal, 65536)
        return bool(ready) or not over


@contextlib.contextmanager
def seat(*argv: str, env: Mapping[str, str]) -> Iterator[Seat]:
    """Run ``gatewayctl ARGV`` on a terminal that is its own, Ctrl-C and all."""
    ours, theirs = os.openpty()
    # whoever opens a terminal first in a session of its own has it as the controlling one
    shell = 'exec "$@" <"$TERMINAL" >"$TERMINAL" 2>&1'
    process = subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "gatewayctl", *argv],
        env={**env, "TERM": "xterm", "TERMINAL": os.ttyname(theirs)},
        start_new_session=True,
    )
    try:
        yield Seat(process=process, terminal=ours)
    finally:
        process.kill()
        process.wait(_PATIENCE)
        os.close(theirs)
        os.close(ours)
