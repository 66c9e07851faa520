"""Encoding blobs: which delta base one gets, if any, and the blocks that it becomes.

Hides chains: how long they may be, and which blobs they link. It writes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.codec import BLOCK_LOG2, Block, Codec, Mode, encode_block
from mstore.errors import Corrupt, NotFound
from mstore.objects import BlobId, ObjectId
from mstore.store.frame import MAX_DEPTH, FrameHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from mstore.store.blob_source import BlobSource
    from mstore.store.frame_reader import BaseRange
    from mstore.store.reader import ObjectReader

# A read of the last of a chain decodes all of it; docs/design/005 has the table.
MAX_CHAIN: Final = 3


@dataclass(frozen=True, slots=True)
class DeltaBase:
    """The delta base of a new blob.

    Args:
        id: of the base.
        depth: of the new blob, one more than the base's.
        width: of the base's elements, in bytes.
        range: reads bytes of the base.
    """

    id: BlobId
    depth: int
    width: int
    range: BaseRange


class BlobEncoder:
    """Chooses delta bases and encodes blocks; safe in several threads.

    Args:
        store: where delta bases lie.
        rewrite: choose bases only among blobs written with this encoder, since older copies
            may be removed.

    Attributes:
        has_casts: a block was stored as a cast of its base.
    """

    def __init__(self, store: ObjectReader, *, rewrite: bool) -> None:
        self._store = store
        self._rewrite = rewrite
        self._links: dict[ObjectId, tuple[int, ObjectId | None]] = {}
        self._guard = threading.Lock()
        self.has_casts = False

    def add_link(self, head: FrameHead) -> None:
        """Record the delta base of a frame that was written, for the chains of later blobs."""
        self._links[head.id] = (head.depth, head.base)

    def head(self, id: BlobId, source: BlobSource, base: DeltaBase | None) -> FrameHead:
        """Return the head of a blob's frame: a delta if it has a base, else stored whole."""
        if base is None:
            return FrameHead(id, source.size_bytes, Codec.PLANES, source.width, BLOCK_LOG2, 0, None)
        return FrameHead(
            id, source.size_bytes, Codec.DELTA, source.width, BLOCK_LOG2, base.depth, base.id
        )

    def encode(self, raw: Buffer, index: int, source: BlobSource, base: DeltaBase | None) -> Block:
        """Encode one block of a blob, against the same range of its base if there is one."""
        if base is None:
            return encode_block(raw, width=source.width, is_float=source.is_float)
        offset, size = index << BLOCK_LOG2, memoryview(raw).nbytes
        if base.width != source.width:
            offset, size = (n // source.width * base.width for n in (offset, size))
        try:
            near = base.range(offset, size)
        except (Corrupt, NotFound):
            near = b""  # Damage is named by fsck; what gc took is missed by `publish`.
        coded = encode_block(
            raw,
            width=source.width,
            is_float=source.is_float,
            base=near if len(near) == size else None,
            base_offset=offset,
            base_width=base.width,
        )
        if coded.header.mode == Mode.CAST:
            self.has_casts = True
        return coded

    def _chain_start(self, base: BlobId) -> tuple[BlobId, int] | None:
        """Find what to take a delta against, given the nearest blob: it, or the start of its chain.

        A chain that is as long as it may be is not continued: the next delta is
        taken against the chain's first blob, which is stored whole.

        Returns:
            The blob and its depth; None if there is no such copy.
        """
        with self._guard:
            depth, before = self._link(base)
            if depth is not None and depth >= MAX_CHAIN:
                for _ in range(MAX_DEPTH):
                    if not isinstance(before, BlobId):
                        break
                    base = before
                    depth, before = self._link(base)
        return (base, depth) if depth is not None and depth < MAX_CHAIN else None

    def _link(self, id: BlobId) -> tuple[int | None, ObjectId | None]:
        """Return the depth and delta base of a blob, as a reader would find them."""
        if self._rewrite:
            return self._links.get(id, (None, None))
        return self._store.link_of(id)

    def choose_base(
        self, id: BlobId, source: BlobSource, block: Callable[[int], Buffer], sketch: bytes | None
    ) -> DeltaBase | None:
        """Choose the delta base of a blob; None if a delta would not be worth it.

        What has none by name (a tensor that was renamed, a model that is imported a
        second time) asks for the blob whose sketch agrees most. A block from the
        middle is coded both ways. What a delta would not make smaller by a thirtieth
        (optimizer state, a model trained from scratch) is stored whole, so that no
        read pays for its base.
        """
        wanted = source.base
        if wanted is None and sketch is not None and not self._rewrite:
            wanted = self._store.find_similar(sketch, source.size_bytes, source.width)
        if wanted is None or wanted == id or source.size_bytes == 0:
            return None
        start = self._chain_start(wanted)
        if start is None or start[0] == id:
            return None
        base_id, depth = start
        below = MAX_DEPTH + 1 if self._rewrite else depth + 1
        width = next((r.frame.head.width for r in self._store.copies(base_id)), source.width)
        if not source.is_float or {width, source.width} != {2, 4}:
            width = source.width
        base = DeltaBase(base_id, depth + 1, width, self._store.base_range(base_id, below))
        middle = source.block_count // 2
        raw = block(middle)
        near = self.encode(raw, middle, source, base)
        if near.header.mode < Mode.SAME:
            return None
        plain = encode_block(raw, width=source.width, is_float=source.is_float)
        if near.header.stored_size > 0.97 * plain.header.stored_size:
            return None
        return base
