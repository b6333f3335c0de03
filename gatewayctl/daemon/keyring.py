"""Which client keys there are, as of now: those of the state folder, of the config, the operator's.

The file is looked at again when it changes, off the loop. Where it cannot be read nobody is known
by it: a key that was revoked must not come back because a file broke. What a client may do is
``clients``' business.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from gatewayctl.core.errors import StorageFailed
from gatewayctl.storage import client_keys, operator
from gatewayctl.storage.client_keys import ClientKey
from gatewayctl.storage.files import Stamp, stamp

log = logging.getLogger("gatewayctl.clients")

FRESH: Final = 0.2
"""Seconds for which the file is taken to be as it was."""

JUST_NOW: Final = 0.05
"""The same for a secret that nobody knows: its key may have been made a moment ago."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is known: whose it is, None for the operator's.

    ``until`` is when it stops being good although the key is, None for never.
    """

    key: ClientKey | None
    until: float | None = None


class _Ring(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading found: the keys' secrets by their SHA-256, and what is wrong.

    ``there``: the file was, at this reading or before.
    """

    stamp: Stamp | None = None
    there: bool = False
    entries: Mapping[str, Entry] = MappingProxyType({})
    names: frozenset[str] = frozenset()
    trouble: str | None = None


class Keyring:
    """Knows secrets by their hashes. Made in a thread (it reads, and makes the operator's key).

    What is wrong with the files is ``degraded``, and no reason not to serve those known.

    ``hashes`` are the config's ``server.keys``. ``required``: a key is asked for even where there
    is none. ``clock`` is in seconds and never runs backwards.
    """

    def __init__(
        self, folder: Path, hashes: Sequence[str], clock: Callable[[], float], *, required: bool
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._required = required
        self._trouble: str | None = None
        own = None
        try:
            own = operator.operator_key(folder)
        except StorageFailed as error:
            self._trouble = str(error)
        self._own = None if own is None else client_keys.digest(own)
        configured = map(client_keys.configured, hashes)
        self._configured = {each.hash: Entry(key=each) for each in configured}
        self._names = frozenset(each.key.name for each in self._configured.values() if each.key)
        self._ring = _read(folder, _Ring())
        self._looked = clock()
        self._reading: asyncio.Future[_Ring] | None = None

    @property
    def degraded(self) -> str | None:
        """Say what does not work as it should, None when all does."""
        said = [each for each in (self._ring.trouble, self._trouble) if each is not None]
        return "; ".join(said) or None

    @property
    def trouble(self) -> str | None:
        """Say why it is unknown who may call, None where it is not."""
        return self._ring.trouble

    @property
    def empty(self) -> bool:
        """Tell whether there is no key at all, so that nobody is asked for one."""
        ring = self._ring
        return not (self._required or self._configured or ring.entries or ring.trouble)

    @property
    def of_any_form(self) -> bool:
        """Tell whether some keys may look like anything: the config's, of which hashes are known.

        All others begin with a prefix of ours.
        """
        return bool(self._configured)

    @property
    def names(self) -> frozenset[str]:
        """The names of all keys there are."""
        return self._ring.names | self._names

    def named(self, name: str) -> ClientKey | None:
        """Return the key of this name, good or not, None where there is none."""
        entries = (*self._configured.values(), *self._ring.entries.values())
        keys = (each.key for each in entries if each.key is not None)
        return next((key for key in keys if key.name == name), None)

    def has_good(self, now: float) -> bool:
        """Tell whether any key lets somebody in at that time, in seconds since 1970."""
        return bool(self._configured) or any(
            each.key is not None and each.key.state(now) == "active"
            for each in self._ring.entries.values()
        )

    def find(self, secret: str) -> Entry | None:
        """Return what is known of a secret, None when it is nobody's."""
        digest = client_keys.digest(secret)
        if self._own is not None and hmac.compare_digest(digest, self._own):
            return Entry(key=None)
        # By its hash, which nobody can choose: how long it takes tells nothing of another secret.
        # What the file says of a key, its end and limits, holds where the config has its hash too.
        return self._ring.entries.get(digest) or self._configured.get(digest)

    async def refreshed(self, *, within: float = FRESH) -> None:
        """Look whether the file changed, unless somebody did less than so many seconds ago.

        Who comes while it is looked at waits for that: what was known before may be long out of
        date, and would let in whoever was shut out since.
        """
        reading = self._reading
        if reading is None:
            now = self._clock()
            if now - self._looked < within:
                return
            self._looked = now
            loop = asyncio.get_running_loop()
            reading = loop.run_in_executor(None, _read, self._folder, self._ring)
            reading.add_done_callback(self._noted)
            self._reading = reading
        await asyncio.shield(reading)
        self._noted(reading)

    def _noted(self, reading: asyncio.Future[_Ring]) -> None:
        """Go by a reading from now on; once, by whoever hears first that it is over."""
        if self._reading is reading:
            self._reading = None
            self._ring = reading.result()


def _read(folder: Path, known: _Ring) -> _Ring:
    """Return what the file says; ``known`` where it is as it was."""
    try:
        seen = _stamp_if_there(folder / client_keys.FILE)
        if seen == known.stamp and known.trouble is None:
            return known
        keys = None if seen is None else client_keys.read(folder)
    except StorageFailed as error:
        return _broken(known, str(error))
    except OSError as error:
        path = folder / client_keys.FILE
        return _broken(known, f"cannot look at {path}: {error.strerror}")
    if not keys and (known.names or (keys is None and known.there)):
        path = folder / client_keys.FILE
        what = "is gone" if keys is None else "has no keys any more"
        return _broken(known, f"{path} {what}; restart the gateway to do without it")
    entries: dict[str, Entry] = {}
    for key in keys or ():
        if key.replaced is not None:
            entries[key.replaced.hash] = Entry(key=key, until=key.replaced.until)
        entries[key.hash] = Entry(key=key)
    names = frozenset(key.name for key in keys or ())
    return _Ring(stamp=seen, there=keys is not None, entries=entries, names=names)


def _broken(known: _Ring, trouble: str) -> _Ring:
    if trouble != known.trouble:
        log.error("nobody is known by a client key: %s", trouble)
    return _Ring(there=True, names=known.names, trouble=trouble)


def _stamp_if_there(path: Path) -> Stamp | None:
    """Return the stamp of a file; OSError where nobody may see whether it is there."""
    try:
        return stamp(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
