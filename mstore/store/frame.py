"""One object in a pack: its head and its table of blocks."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mstore.codec import BLOCK_HEADER_SIZE, WIDTHS, BlockHeader
from mstore.errors import Corrupt, Unsupported
from mstore.objects import ID_TYPES, Kind, ObjectId, encode

FRAME_MAGIC: Final = b"FRM1"
FRAME_START: Final = struct.Struct("<4sI")
SUM: Final = struct.Struct("<Q")
MAX_DEPTH: Final = 255


@dataclass(frozen=True, slots=True)
class FrameHead:
    """A frame's description of its object.

    Args:
        id: the object, kind included.
        raw_size: bytes of the object.
        codec: number of a codec.
        width: bytes an element.
        block_log2: log2 of the raw bytes in each block but the last.
        depth: 0 without a delta base, else one more than the base copy's.
        base: the delta base, or None.
    """

    id: ObjectId
    raw_size: int
    codec: int
    width: int
    block_log2: int
    depth: int
    base: ObjectId | None

    def to_list(self) -> list[Any]:
        """Return it as an array of the format."""
        return [
            int(self.id.kind),
            self.id.raw,
            self.raw_size,
            int(self.codec),
            self.width,
            self.block_log2,
            self.depth,
            self.base.raw if self.base is not None else None,
        ]

    @classmethod
    def from_list(cls, fields: Any, where: str) -> FrameHead:
        """Read a head; a base is of the same kind as its object.

        Raises:
            Corrupt: a field is out of its range.
        """
        if type(fields) is not list or len(fields) < 8:
            raise Corrupt(where, "a frame head has fewer than eight fields")
        kind, raw_id, raw_size, codec, width, log2, depth, base = fields[:8]
        numbers = (kind, raw_size, codec, width, log2, depth)
        if any(type(n) is not int or n < 0 for n in numbers):
            raise Corrupt(where, "a frame head has a field that is no size")
        if kind not in ID_TYPES:
            raise Unsupported(f"{where}: objects of the unknown kind {kind}", hint="use a newer mstore")
        if any(b is not None and (type(b) is not bytes or len(b) != 32) for b in (raw_id or b"", base)):
            raise Corrupt(where, "a frame head has something other than an id of 32 bytes")
        if width not in WIDTHS or not 12 <= log2 <= 26 or depth > MAX_DEPTH or raw_size >= 1 << 62:
            raise Corrupt(where, "a frame head has a field out of range")
        if (depth == 0) != (base is None) or base == raw_id:
            raise Corrupt(where, "a frame's depth and delta base contradict each other")
        make = ID_TYPES[Kind(kind)]
        return cls(
            make(raw_id), raw_size, codec, width, log2, depth, make(base) if base is not None else None
        )

    @property
    def block_count(self) -> int:
        """The number of blocks that the frame must have."""
        return -(-self.raw_size >> self.block_log2) if self.raw_size else 0

    def block_raw_size(self, index: int) -> int:
        """Return the number of raw bytes of block `index`."""
        return min(1 << self.block_log2, self.raw_size - (index << self.block_log2))


@dataclass(frozen=True)
class Frame:
    """A frame as the footer lists it.

    Args:
        offset: first byte of the frame in its pack.
        head: its head.
        table: the concatenated block headers.
        sketch: by which the blob is recognised as nearly equal to another, or None.
    """

    offset: int
    head: FrameHead
    table: bytes = field(repr=False)
    sketch: bytes | None = field(default=None, repr=False)

    @cached_property
    def _headers(self) -> tuple[BlockHeader, ...]:
        return BlockHeader.unpack_all(self.table)

    @property
    def blocks(self) -> tuple[BlockHeader, ...]:
        """Headers of all blocks."""
        return self._headers

    @cached_property
    def block_offsets(self) -> tuple[int, ...]:
        """First stored byte of each block in the pack, and the frame's end as the last item."""
        position = self.offset + FRAME_START.size + len(encode(self.head.to_list())) + SUM.size
        offsets = []
        for header in self._headers:
            position += BLOCK_HEADER_SIZE
            offsets.append(position)
            position += header.stored_size
        return (*offsets, position)

    @property
    def stored_size(self) -> int:
        """Bytes that the frame takes in the pack."""
        return self.block_offsets[-1] - self.offset
