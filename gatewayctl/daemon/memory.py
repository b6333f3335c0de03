"""How the C library keeps what was freed: a daemon that once held large bodies gives them back.

By itself glibc learns from the first large body to keep up to 64 MB in every thread's heap.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them
_MAPPED_FROM = 256 * 1024  # bytes of one allocation that is given back as soon as it is freed
_KEPT = 2 * 1024 * 1024  # bytes that stay free at the end of a heap


def give_back() -> None:
    """Set fixed limits to what is kept, where the C library is glibc."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none, and keeps nothing large
        mallopt(_MMAP_THRESHOLD, _MAPPED_FROM)
        mallopt(_TRIM_THRESHOLD, _KEPT)
