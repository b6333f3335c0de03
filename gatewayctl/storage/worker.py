"""A thread of a store's own: woken when there is something to write, and ended with a last round.

What it does in its rounds is its owner's business.
"""

import threading
from collections.abc import Callable


class Worker:
    """``run`` is the thread's work, until ``stopping`` is set; ``finish`` is all that ends it.

    ``finish`` is done by ``stop`` itself where the thread never began.
    """

    def __init__(self, name: str, run: Callable[[], None], finish: Callable[[], None]) -> None:
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self._run = run
        self._finish = finish
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> str | None:
        """Begin the thread; return why there can be none, in the system's words."""
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads
            return str(error)
        return None

    def stop(self, patience: float) -> bool:
        """Let the thread end, and wait for at most so many seconds; tell whether it has ended."""
        self.stopping.set()
        self.wake.set()
        if not self._thread.is_alive():  # it never began
            self._finish()
            return True
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _work(self) -> None:
        self._run()
        self._finish()
