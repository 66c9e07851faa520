"""Random access to a file's bytes, from a disk, a store, or memory.

Hides which of them it is. A parser reads a few ranges; it never maps a file (one that
is truncated under a mapping kills the process) and never asks for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mstore.errors import BadFile


class ByteSource(Protocol):
    """Random access to the bytes of one file."""

    @property
    def name(self) -> str:
        """The file's path, for its ending and for errors."""

    @property
    def size_bytes(self) -> int:
        """The bytes in the file."""

    def read(self, offset: int, size: int, /) -> bytes:
        """Read exactly `size` bytes from `offset`.

        Raises:
            MStoreError: there are not that many, or the system failed.
        """


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A file that is in memory already.

    Args:
        name: the file's path.
        content: its bytes.
    """

    name: str
    content: bytes

    @property
    def size_bytes(self) -> int:
        """The bytes in the file."""
        return len(self.content)

    def read(self, offset: int, size: int, /) -> bytes:
        """Read exactly `size` bytes from `offset`. Raises BadFile past the end."""
        if offset < 0 or size < 0 or offset + size > len(self.content):
            raise BadFile(self.name, f"ends before byte {offset + size}")
        return self.content[offset : offset + size]
