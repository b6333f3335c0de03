"""Runs a program for what it prints, without a shell, and leaves none behind that still runs.

What is printed is never logged and in no message. What it means is the caller's business.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_REST: Final = 0.1
"""Seconds for which a program that has ended is still listened to: what it printed is there by
then, and something that it started and left running may keep its output open for ever."""


async def printed(argv: Sequence[str], most: int) -> tuple[bytes, int | None]:
    """Return what a program printed, and the exit status with which it ended by itself.

    One that prints more than ``most`` bytes is ended: then these and one more are returned, and no
    status. It is also ended, with its children, where this is cancelled. Raises OSError where it
    cannot be run, ``ValueError`` for arguments that no program can have.
    """
    loop = asyncio.get_running_loop()
    transport, output = await loop.subprocess_exec(
        lambda: _Output(most),
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await output.enough.wait()
        if output.ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_REST):
                    await output.closed.wait()
        return bytes(output.raw), transport.get_returncode()
    finally:
        if not output.ended.is_set():
            _kill(transport)
            await output.ended.wait()
        transport.close()


class _Output(asyncio.SubprocessProtocol):
    """What a program printed so far, up to one byte more than ``most``."""

    def __init__(self, most: int) -> None:
        self.raw = bytearray()
        self.enough = asyncio.Event()
        """It has ended, or printed too much."""
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self._most = most

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        _ = fd  # the only one
        self.raw += data[: self._most + 1 - len(self.raw)]
        if len(self.raw) > self._most:
            self.enough.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        _ = fd, exc
        self.closed.set()

    def process_exited(self) -> None:
        self.ended.set()
        self.enough.set()


def _kill(process: asyncio.SubprocessTransport) -> None:
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.get_pid(), signal.SIGKILL)
