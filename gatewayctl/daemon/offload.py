"""Work on large bodies in a thread, so that other requests go on meanwhile.

A thread helps only where Python's lock is given up between small steps; one long call into a
decoder holds it all the same.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 1024 * 1024
"""Bytes of a body from which work on it leaves the loop: below, a thread costs more."""


async def offloaded(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``work`` returns; in a thread when the body has ``LARGE`` bytes or more."""
    if size < LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
