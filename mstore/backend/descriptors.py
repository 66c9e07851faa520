"""A few file descriptors that stay open for the next read.

A checkout reads one pack thousands of times. Hides who is reading: a file that was deleted or
renamed is closed once its last reader is done.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_OPEN: Final = 32


class OpenDescriptor:
    """A descriptor, how many reads are using it, and whether the last one closes it."""

    __slots__ = ("deleted", "descriptor", "readers")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.readers = 0
        self.deleted = False


class DescriptorCache:
    """Descriptors of keys whose bytes never change; safe in several threads.

    Args:
        open_key: opens the file of a key for reading.
    """

    def __init__(self, open_key: Callable[[str], int]) -> None:
        self._open_key = open_key
        self._open: OrderedDict[str, OpenDescriptor] = OrderedDict()
        self._guard = threading.Lock()

    def acquire(self, key: str) -> OpenDescriptor:
        """Return the descriptor of a key, open until `release`. Raises KeyError, StorageFailed."""
        with self._guard:
            file = self._open.get(key)
            if file is None:
                file = self._open[key] = OpenDescriptor(self._open_key(key))
            self._open.move_to_end(key)
            file.readers += 1
            idle = [k for k, f in self._open.items() if not f.readers]
            for old in idle[: max(0, len(self._open) - _MOST_OPEN)]:
                os.close(self._open.pop(old).descriptor)
            return file

    def release(self, file: OpenDescriptor) -> None:
        """End a read."""
        with self._guard:
            file.readers -= 1
            if file.deleted and not file.readers:
                os.close(file.descriptor)

    def forget(self, key: str) -> None:
        """Close the file of a key, once no read uses it."""
        with self._guard:
            file = self._open.pop(key, None)
            if file is not None:
                file.deleted = True
                if not file.readers:
                    os.close(file.descriptor)

    def close(self) -> None:
        """Close all files, each once no read uses it."""
        for key in list(self._open):
            self.forget(key)
