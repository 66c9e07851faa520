"""Reading one frame of a pack: its blocks, ranges of it, its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_intdigest

from mstore.codec import BLOCK_HEADER_SIZE, Block, base_size_of, check_mode, decode_block
from mstore.errors import Corrupt
from mstore.objects import BlobId, encode, hasher_of_blob, object_id
from mstore.store.frame import FRAME_MAGIC, FRAME_START, SUM, Frame
from mstore.store.pack_keys import pack_key

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mstore.backend import Backend


BaseRange = Callable[[int, int], bytes]
"""Reads (offset, size) of a delta base; may give fewer bytes where the base ends."""


@dataclass(frozen=True)
class FrameReader:
    """One object in one pack, block by block.

    Args:
        backend: where the pack lies.
        pack: its name.
        frame: the frame.
        base: reads the delta base; None where the frame has none.
    """

    backend: Backend
    pack: bytes
    frame: Frame
    base: BaseRange | None = None

    def _where(self, index: int) -> str:
        return f"pack {self.pack.hex()[:12]}, object {self.frame.head.id.short}, block {index}"

    def block(self, index: int, *, into: memoryview | None = None) -> Buffer:
        """Read and decode one block, checked against its checksums.

        Args:
            index: which.
            into: where to put the bytes; None: a new buffer.

        Raises:
            Corrupt, Unsupported, KeyError (the pack is gone).
        """
        head, header = self.frame.head, self.frame.blocks[index]
        where = self._where(index)
        check_mode(head.codec, header.mode, where)
        stored: bytes = b""
        if header.stored_size:
            offset = self.frame.block_offsets[index]
            stored = self.backend.get(pack_key(self.pack), offset=offset, size=header.stored_size)
            if len(stored) != header.stored_size:
                raise Corrupt(where, "the pack ends before it")
        raw_size = head.block_raw_size(index)
        base: bytes | None = None
        if header.mode >= 16 and self.base is not None:
            base = self.base(header.base_offset, base_size_of(header.mode, stored, raw_size))
        return decode_block(
            header,
            stored,
            raw_size=raw_size,
            width=head.width,
            base=base,
            where=where,
            into=into,
        )

    def stored_block(self, index: int) -> Block:
        """Read a block as it is stored, checked by the checksum of its stored bytes. Raises Corrupt."""
        header = self.frame.blocks[index]
        check_mode(self.frame.head.codec, header.mode, self._where(index))
        stored = b""
        if header.stored_size:
            offset = self.frame.block_offsets[index]
            stored = self.backend.get(pack_key(self.pack), offset=offset, size=header.stored_size)
        if len(stored) != header.stored_size or xxh3_64_intdigest(stored) != header.stored_sum:
            raise Corrupt(self._where(index), "its stored bytes do not have their checksum")
        return Block(header, stored)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Buffer]:
        """Yield the raw bytes of blocks `first:last`, in order."""
        for index in range(first, len(self.frame.blocks) if last is None else last):
            yield self.block(index)

    def range(self, offset: int, size: int) -> bytes:
        """Read raw bytes `offset:offset+size`, out of only the blocks that hold them."""
        end = min(offset + size, self.frame.head.raw_size)
        if offset >= end:
            return b""
        log2 = self.frame.head.block_log2
        first, last = offset >> log2, (end - 1) >> log2
        parts: list[Any] = []
        for index in range(first, last + 1):
            raw = memoryview(self.block(index))
            start = index << log2
            parts.append(raw[max(0, offset - start) : end - start])
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def read_into(self, offset: int, out: memoryview) -> None:
        """Fill `out` with raw bytes from `offset`; whole blocks are decoded in place.

        Raises:
            Corrupt: also where the object ends before.
        """
        head, size = self.frame.head, len(out)
        if offset + size > head.raw_size:
            raise Corrupt(self._where(0), f"the object is shorter than {offset + size} bytes")
        position = 0
        while position < size:
            index = (offset + position) >> head.block_log2
            begin = index << head.block_log2
            block_size = head.block_raw_size(index)
            if begin == offset + position and block_size <= size - position:
                self.block(index, into=out[position : position + block_size])
                position += block_size
                continue
            raw = memoryview(self.block(index)).cast("B")[offset + position - begin :]
            raw = raw[: size - position]
            out[position : position + len(raw)] = raw
            position += len(raw)

    def check_id(self) -> None:
        """Decode the whole object and compare its hash with its id, a block at a time.

        Raises:
            Corrupt, Unsupported, NotFound, KeyError.
        """
        id = self.frame.head.id
        if isinstance(id, BlobId):
            hasher = hasher_of_blob()
            for block in self.blocks():
                hasher.update(block)
            found = hasher.digest()
        else:
            found = object_id(id.kind, b"".join(self.blocks())).raw
        if found != id.raw:
            raise Corrupt(f"{id.kind_name} {id.hex}", "its content does not hash to its id")

    def check_frame_start(self) -> None:
        """Compare the head and the block headers in the pack with those in the footer.

        Raises:
            Corrupt: they differ.
        """
        head = encode(self.frame.head.to_list())
        expected = FRAME_START.pack(FRAME_MAGIC, len(head)) + head + SUM.pack(xxh3_64_intdigest(head))
        key = pack_key(self.pack)
        if self.backend.get(key, offset=self.frame.offset, size=len(expected)) != expected:
            raise Corrupt(self._where(0), "the frame's head is not the one in the footer")
        offsets = self.frame.block_offsets
        for index, header in enumerate(self.frame.blocks):
            start = offsets[index] - BLOCK_HEADER_SIZE
            if self.backend.get(key, offset=start, size=BLOCK_HEADER_SIZE) != header.packed():
                raise Corrupt(self._where(index), "its header is not the one in the footer")
