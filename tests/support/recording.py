"""A process that records as fast as it can, and says on its standard output what is on record.

Run as ``python -m support.recording FOLDER NAME``. It prints one line for each call of ``record``
that returned: ``came ID``, ``started ID NUMBER``, ``seen ID NUMBER OUTPUT``, ``ended ID NUMBER`` or
``left ID``. It ends when it is killed, or after its standard input does, with the ledger closed.
"""

import asyncio
import itertools
import os
import select
import sys
from pathlib import Path

from support.recorded import came, ended, left, opened, seen, started
from support.waiting import until

from gatewayctl.storage.ledger import Ledger
from gatewayctl.storage.records import Record

_STDIN, _STDOUT = 0, 1
_AHEAD = 20_000


def _tell(ledger: Ledger, said: str, *records: Record) -> None:
    ledger.record(*records)
    os.write(_STDOUT, said.encode())


async def _run(folder: Path, name: str) -> None:
    ledger = opened(folder)
    for n in itertools.count():
        if not n % 50 and select.select([_STDIN], [], [], 0)[0]:
            break
        if ledger.state().pending > _AHEAD:  # so that closing it takes no minutes
            await until(lambda: ledger.state().pending < _AHEAD // 2, seconds=60)
        request = f"{name}-{n}"
        _tell(
            ledger,
            f"came {request}\nstarted {request} 1\n",
            came(request, at=float(n)),
            started(request),
        )
        _tell(ledger, f"seen {request} 1 {n + 1}\n", seen(request, output=n + 1))
        if n % 3:
            _tell(ledger, f"ended {request} 1\n", ended(request))
            _tell(ledger, f"left {request}\n", left(request))
    await ledger.close()
    assert (ledger.degraded, ledger.lost) == (None, 0)


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2]))
