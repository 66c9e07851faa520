"""Objects by id, out of any copy of them that can be read.

A full read ends in the check of the object's id; a read of a range in the checksums of its
blocks. A block damaged in one copy is taken from the next.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

from mstore.errors import Corrupt, NotFound, Unsupported
from mstore.objects import BlobId, ObjectId, hasher_of_blob, object_id
from mstore.store.catalog import DatabaseFailed, Location
from mstore.store.pack_index import PackIndex
from mstore.store.pack_keys import pack_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from mstore.store.frame import Frame
    from mstore.store.frame_reader import BaseRange, FrameReader

_Value = TypeVar("_Value")

_ALONE_BYTES: Final = 4 << 20  # Frames of objects up to this size are read without the footer.
_BASE_BLOCKS_KEPT: Final = 2
_BASE_TRIES: Final = 10


class ObjectReader(PackIndex):
    """Reads objects out of packs."""

    def link_of(self, id: ObjectId) -> tuple[int | None, ObjectId | None]:
        """Return depth and delta base of the shallowest copy that is known of an object.

        The catalog answers for what is stored whole; a footer is read for the rest.
        """
        locations = self._locations(id)
        if not locations or locations[0].depth == 0:
            return (locations[0].depth if locations else None), None
        for reader in self.copies(id):
            return reader.frame.head.depth, reader.frame.head.base
        return None, None

    def find_similar(self, sketch: bytes, size_bytes: int, width: int) -> BlobId | None:
        """Find the blob of this size and element width with the most similar sketch; None for none."""
        from mstore.codec import bands_of, most_alike

        try:
            with self._guard:
                near = self.catalog.sketched(bands_of(sketch, size_bytes, width))
        except DatabaseFailed:
            return None  # A read that needs the catalog itself rebuilds it.
        return most_alike(sketch, near)

    def base_range(self, id: ObjectId, depth: int) -> BaseRange:
        """Return a function that reads ranges of a delta base, out of copies of less than `depth`.

        Safe in several threads. Raises (when it is called) Corrupt, NotFound.
        """
        return _BaseReader(self, id, depth).range

    def copies(
        self, id: ObjectId, *, below_depth: int = 1 << 30, known_only: bool = False
    ) -> Iterator[FrameReader]:
        """Yield all copies of an object that can be opened, the shallowest first.

        After the copies that the catalog knows, the packs are looked at again, then the
        trash, and then, once, the catalog is rebuilt. A copy may be yielded twice: by its
        own head and by the footer.

        Args:
            id: of the object.
            below_depth: depth that a copy must not have, nor any greater.
            known_only: do not look for more than the catalog knows.
        """
        tried: set[tuple[bytes, int]] = set()
        for attempt in range(4):
            known = [at for at in self._locations(id) if at.depth < below_depth]
            for location in known:
                if (location.pack, location.frame) in tried:
                    continue
                tried.add((location.pack, location.frame))
                yield from self._readers_at(location, id)
                if self.backend.size(pack_key(location.pack)) is None:
                    tried.discard((location.pack, location.frame))  # It may be restored.
            if known_only:
                return
            if attempt == 0:
                self.refresh()
            elif attempt == 1 or known:
                self.undelete(lambda i: i == id)
            elif self._rebuilt:
                return
            else:
                self._rebuilt = True
                self.rebuild()

    def _readers_at(self, at: Location, id: ObjectId) -> Iterator[FrameReader]:
        """Yield readers of the copy at a location: by its own head, and then by the pack's footer."""
        frame = self._frame_alone(at, id)
        if frame is not None:
            yield self.reader_of(at.pack, frame)
        try:
            frames = self.footer(at.pack)
        except KeyError:
            return
        except (Corrupt, Unsupported) as error:
            self.damaged[at.pack] = error
            return
        if at.frame < len(frames) and frames[at.frame].head.id == id:
            yield self.reader_of(at.pack, frames[at.frame])

    def _frame_alone(self, at: Location, id: ObjectId) -> Frame | None:
        """Read a frame by its own head; None where the footer is cached, or is the better way."""
        from mstore.store.pack import read_frame

        if at.pack in self._footers or at.raw_size > _ALONE_BYTES:
            return None
        try:
            frame = read_frame(self.backend, at.pack, at.offset)
        except (KeyError, Corrupt, Unsupported):
            return None
        head = frame.head
        return frame if (head.id, head.raw_size, head.depth) == (id, at.raw_size, at.depth) else None

    def reader_of(self, pack: bytes, frame: Frame) -> FrameReader:
        """Return a reader of one frame of a pack, its delta base resolved."""
        from mstore.store.frame_reader import FrameReader

        base = frame.head.base
        if base is None:
            return FrameReader(self.backend, pack, frame)
        return FrameReader(self.backend, pack, frame, _BaseReader(self, base, frame.head.depth).range)

    def _missing(self, id: ObjectId) -> NotFound | Corrupt:
        name = id.kind_name
        if self.damaged:
            packs = ", ".join(n.hex()[:12] for n in self.damaged)
            return Corrupt(f"{name} {id.short}", f"is not in any readable pack; damaged: {packs}")
        return NotFound(f"{name} {id.hex} is not in the store")

    # -- reading

    def stream(self, id: ObjectId) -> Iterator[Buffer]:
        """Yield the raw bytes of an object in order, and then check them against its id.

        A block that is damaged in one copy is taken from the next.

        Raises:
            NotFound, Corrupt, Unsupported.
        """
        hasher = hasher_of_blob() if isinstance(id, BlobId) else None
        whole = bytearray() if hasher is None else None
        position, size, failure = 0, -1, None
        for reader in self.copies(id):
            head = reader.frame.head
            size = head.raw_size
            try:
                while position < size:
                    index = position >> head.block_log2
                    raw = memoryview(reader.block(index)).cast("B")
                    part = raw[position - (index << head.block_log2) :]
                    if hasher is not None:
                        hasher.update(part)
                    elif whole is not None:
                        whole += part
                    position += len(part)
                    yield part
            except (Corrupt, Unsupported, NotFound, KeyError) as error:
                failure = failure or error
                continue
            break
        if position != size:
            if isinstance(failure, KeyError) or failure is None:
                raise self._missing(id)
            raise failure
        found = hasher.digest() if hasher is not None else object_id(id.kind, bytes(whole or b"")).raw
        if found != id.raw:
            raise Corrupt(f"{id.kind_name} {id.hex}", "its content does not hash to its id")

    def _read_whole(self, reader: FrameReader, id: ObjectId) -> bytes:
        content = b"".join(reader.blocks())
        if object_id(id.kind, content) != id:
            raise Corrupt(f"{id.kind_name} {id.hex}", "its content does not hash to its id")
        return content

    def _from_any_copy(self, id: ObjectId, read: Callable[[FrameReader], _Value]) -> _Value:
        """Read from the first undamaged copy; raises the first failure if there is none."""
        failure: Exception | None = None
        for reader in self.copies(id):
            try:
                return read(reader)
            except (Corrupt, Unsupported, NotFound) as error:
                failure = failure or error
            except KeyError:
                continue
        raise failure if failure is not None else self._missing(id)

    def get(self, id: ObjectId) -> bytes:
        """Read all bytes of an object, checked against its id.

        Raises:
            NotFound, Corrupt, Unsupported.
        """
        return self._from_any_copy(id, lambda reader: self._read_whole(reader, id))

    def range(self, id: BlobId, offset: int, size: int) -> bytes:
        """Read a range of a blob, checked by the checksums of its blocks.

        Raises:
            NotFound, Corrupt (also where the blob is shorter), Unsupported.
        """

        def read(reader: FrameReader) -> bytes:
            content = reader.range(offset, size)
            if len(content) != size:
                raise Corrupt(f"blob {id.short}", f"is shorter than {offset + size} bytes")
            return content

        return self._from_any_copy(id, read)

    def range_into(self, id: BlobId, offset: int, out: memoryview) -> None:
        """Fill `out` with bytes of a blob from `offset`, checked by the checksums of their blocks.

        Raises:
            NotFound, Corrupt (also where the blob is shorter), Unsupported.
        """
        self._from_any_copy(id, lambda reader: reader.read_into(offset, out))

    def _object_in(self, pack: bytes, frame: Frame) -> bytes:
        return self._read_whole(self.reader_of(pack, frame), frame.head.id)


class _BaseReader:
    """Ranges of a delta base, out of copies shallower than the delta."""

    def __init__(self, store: ObjectReader, id: ObjectId, depth: int) -> None:
        self._store = store
        self._id = id
        self._depth = depth
        self._reader: FrameReader | None = None
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._guard = threading.Lock()

    def _open(self) -> FrameReader:
        if self._reader is None:
            self._reader = next(self._store.copies(self._id, below_depth=self._depth), None)
        if self._reader is None:
            raise Corrupt(
                self._id.label,
                f"has no readable copy of depth below {self._depth}, which a delta needs",
            )
        return self._reader

    def range(self, offset: int, size: int) -> bytes:
        for _ in range(_BASE_TRIES):
            try:
                return self._read(self._open(), offset, size)
            except KeyError:
                # Its pack was removed during the read: its objects are elsewhere by now.
                self._store.refresh()
                with self._guard:
                    self._reader = None
                    self._recent.clear()
        raise NotFound(f"{self._id.kind_name} {self._id.hex} is not in the store")

    def _read(self, reader: FrameReader, offset: int, size: int) -> bytes:
        head = reader.frame.head
        end = min(offset + size, head.raw_size)
        if offset >= end:
            return b""
        parts = []
        for index in range(offset >> head.block_log2, ((end - 1) >> head.block_log2) + 1):
            start = index << head.block_log2
            parts.append(self._block(reader, index)[max(0, offset - start) : end - start])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, reader: FrameReader, index: int) -> bytes:
        # A few are kept: neighbours of an offset that is not aligned share one.
        block = self._recent.get(index)
        if block is None:
            block = bytes(reader.block(index))
            with self._guard:
                self._recent[index] = block
                while len(self._recent) > _BASE_BLOCKS_KEPT:
                    self._recent.popitem(last=False)
        return block
