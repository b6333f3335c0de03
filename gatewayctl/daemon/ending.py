"""Which signals tell a process to end, besides Ctrl-C: one rule for the daemon and for commands."""

import signal
import sys


def ending() -> list[signal.Signals]:
    """Return them. A terminal that is closed is one, but not to who was told to outlive it."""
    numbers = [signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
