"""The header of a block, as packs hold it: docs/format.md section 6."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from mstore.errors import Corrupt

_HEADER: Final = struct.Struct("<IB3xQQQ")
BLOCK_HEADER_SIZE: Final = _HEADER.size


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The header before a block's stored bytes.

    Args:
        stored_size: bytes that follow.
        mode: number of a `Mode`.
        base_offset: where the block's counterpart begins in the delta base, in bytes.
        stored_sum: XXH3-64 of the stored bytes.
        raw_sum: XXH3-64 of the raw bytes.
    """

    stored_size: int
    mode: int
    base_offset: int
    stored_sum: int
    raw_sum: int

    def packed(self) -> bytes:
        """Return the 32 bytes of the format."""
        return _HEADER.pack(
            self.stored_size, self.mode, self.base_offset, self.stored_sum, self.raw_sum
        )

    @classmethod
    def unpack_all(cls, packed: bytes) -> tuple[BlockHeader, ...]:
        """Read headers from their concatenation.

        Raises:
            Corrupt: the length is no multiple of a header's, or padding is not zero.
        """
        if len(packed) % BLOCK_HEADER_SIZE:
            raise Corrupt("block table", "is cut short")
        headers = tuple(cls(*fields) for fields in _HEADER.iter_unpack(packed))
        if any(packed[i + 5 : i + 8] != b"\0\0\0" for i in range(0, len(packed), BLOCK_HEADER_SIZE)):
            raise Corrupt("block table", "has padding that is not zero")
        return headers
