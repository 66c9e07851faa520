"""The sources of a blob's bytes before it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mstore.codec import BLOCK_LOG2
from mstore.objects import BlobId

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mstore.store.frame import FrameHead
    from mstore.store.store import Store

BLOCK_BYTES: Final = 1 << BLOCK_LOG2


class Readable(Protocol):
    """A source of bytes at positions."""

    @property
    def name(self) -> str:
        """Its name in error messages."""

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly `size` bytes from `offset`, or raise an error."""


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob to be stored.

    Args:
        source: where its bytes are.
        pieces: (offset, length) of the ranges whose concatenation is the blob.
        width: bytes an element, for the codec.
        is_float: the elements are floats.
        group: blobs of one group share packs.
        base: a blob that this one may be nearly equal to, or None.
    """

    source: Readable
    pieces: tuple[tuple[int, int], ...]
    width: int = 1
    is_float: bool = False
    group: str = ""
    base: BlobId | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the blob."""
        return sum(length for _, length in self.pieces)

    def block(self, index: int) -> Buffer:
        """Read block `index` of the blob."""
        begin = index << BLOCK_LOG2
        end = min(begin + BLOCK_BYTES, self.size_bytes)
        if len(self.pieces) == 1:
            return self.source.read(self.pieces[0][0] + begin, end - begin)
        parts, position = [], 0
        for offset, length in self.pieces:
            low, high = max(begin, position), min(end, position + length)
            if low < high:
                parts.append(self.source.read(offset + low - position, high - low))
            position += length
            if position >= end:
                break
        return b"".join(parts)

    @property
    def block_count(self) -> int:
        """The number of the blob's blocks."""
        return -(-self.size_bytes >> BLOCK_LOG2)


def recode_source(
    store: Store, head: FrameHead, group: str = "", *, base: BlobId | None = None
) -> BlobSource:
    """Make a source of a stored blob, to store it once more with another delta base or none.

    Its dtype is not known here: what is as wide as a float is taken for one.
    """
    assert isinstance(head.id, BlobId)
    pieces = ((0, head.raw_size),) if head.raw_size else ()
    is_float = head.width in (2, 4, 8)
    return BlobSource(StoredBlob(store, head.id), pieces, head.width, is_float, group, base)


class StoredBlob:
    """A blob of a store as a source of bytes."""

    def __init__(self, store: Store, id: BlobId) -> None:
        self.name = f"blob {id.short}"
        self._store = store
        self._id = id

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly `size` bytes. Raises Corrupt, NotFound."""
        return self._store.range(self._id, offset, size)
