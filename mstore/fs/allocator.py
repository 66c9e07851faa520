"""Memory: keeping what is freed for the next block, and taking what is new at once.

A commit or checkout frees and takes blocks of 1 MiB thousands of times. glibc
gives memory of that size back to the kernel at each free and is given zeroed
pages at each use: measured on a first commit of 0.8 GB, that was 0.9 of 1.3
seconds spent in the kernel. What is kept is bounded by the bytes in flight.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# <malloc.h> of glibc; mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 256 << 20
# <linux/mman.h>; madvise(2).
_MADV_POPULATE_WRITE: Final = 23
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@cache
def _madvise() -> Callable[[int, int, int], int] | None:
    import ctypes

    try:
        found = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    call: Callable[[int, int, int], int] = found
    return call


def take_pages(memory: memoryview) -> None:
    """Ask the kernel for the pages of fresh memory at once, not at the first touch of each.

    Loading 2.2 GB into memory of its own: 0.97 seconds with, 1.03 without (medians of five
    turns on two cores). A kernel before Linux 5.14 refuses; the pages then come one by one.
    """
    madvise = _madvise() if sys.platform.startswith("linux") else None
    if madvise is None or len(memory) < _PAGE_BYTES:
        return
    import ctypes

    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    begin = -(-address // _PAGE_BYTES) * _PAGE_BYTES
    end = (address + len(memory)) // _PAGE_BYTES * _PAGE_BYTES
    if begin < end:
        madvise(begin, end - begin, _MADV_POPULATE_WRITE)


@cache
def keep_freed_memory() -> None:
    """Make the allocator keep up to 256 MiB of freed memory, where it can."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # musl has no such thing
    mallopt(_M_MMAP_THRESHOLD, 64 << 20)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
