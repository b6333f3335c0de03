"""A database that a thread keeps open to write to, whatever becomes of its file meanwhile.

One that was removed or replaced is opened anew, a damaged one is set aside and another begun, and
what goes wrong is said in a sentence instead of raised. What is written is its owner's business.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import files, sqlite


class Database:
    """One file, used by one thread.

    ``clock`` returns seconds since 1970. ``begin`` is given each new connection before anything
    else is done with it; what it raises counts as a failure to open.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[sqlite.Migration],
        clock: Callable[[], float],
        begin: Callable[[sqlite3.Connection], None],
    ) -> None:
        self.path = path
        self.connection: sqlite3.Connection | None = None
        """The open one, None while there is none."""
        self.set_aside: str | None = None
        """What became of a damaged file, in a sentence; None where none was."""
        self._migrations = migrations
        self._clock = clock
        self._begin = begin
        self._opened: os.stat_result | None = None

    def use(self, work: Callable[[sqlite3.Connection], None], *, mend: bool = True) -> str | None:
        """Do work with an open connection; return what went wrong, in a sentence that names it.

        Work on a damaged file is done once more with a new one, unless ``mend`` is False.
        """
        try:
            work(self._connected())
        except (sqlite3.Error, OSError, StorageFailed) as error:
            self.close()
            if mend and sqlite.is_damage(error):
                return self._begun_anew(error) or self.use(work, mend=False)
            return self.said("cannot write", error)
        return None

    def close(self) -> None:
        """Close the connection, if there is one; the next use opens another."""
        if self.connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self.connection.close()
        self.connection = None

    def is_there(self) -> bool:
        """Tell whether the file last opened still has its name: else what is written is lost."""
        try:
            return self._opened is not None and os.path.samestat(self._opened, self.path.stat())
        except FileNotFoundError:
            return False

    def said(self, what: str, error: Exception) -> str:
        """Return what went wrong with the file, in words that name it once."""
        reason = files.reason(error)
        return reason if str(self.path) in reason else f"{what} {self.path}: {reason}"

    def _connected(self) -> sqlite3.Connection:
        if self.connection is not None:
            if self.is_there():
                return self.connection
            self.close()
        connection = sqlite.open_alone(self.path, self._migrations)
        try:
            self._begin(connection)
            self._opened = self.path.stat()
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        return connection

    def _begun_anew(self, damage: Exception) -> str | None:
        """Set the damaged file aside; return what went wrong with that."""
        try:
            aside = sqlite.begin_anew(self.path, self._migrations, self._clock())
        except (sqlite3.Error, OSError, StorageFailed) as error:
            return self.said("cannot set aside the damaged", error)
        if aside is not None:
            self.set_aside = (
                f"{self.path} was damaged ({damage}): it is now {aside.name}, and a new one begun"
            )
        return None
