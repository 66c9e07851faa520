"""A transaction: objects on their way into a store.

Hides threads, packs and the order of writing. Blobs are read, hashed and coded
on all cores while finished ones are written; memory is bounded by the bytes in
flight, whatever the size of a tensor. Nothing is visible before `publish`, and
then packs of blobs appear before the pack that holds the commit.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mstore.codec import Block, Sketcher
from mstore.errors import InvalidInput, ObjectRemoved, StorageFailed
from mstore.fs.allocator import keep_freed_memory
from mstore.objects import (
    BlobId,
    Commit,
    Layout,
    Manifest,
    Note,
    ObjectId,
    Tag,
    blob_id,
    hasher_of_blob,
)
from mstore.store.blob_encoder import BlobEncoder, DeltaBase
from mstore.store.frame import MAX_DEPTH, FrameHead
from mstore.store.identity import CASTS
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.pipeline import in_order
from mstore.store.temp_roots import temp_root_record

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mstore.backend import Upload
    from mstore.store.blob_source import BlobSource
    from mstore.store.frame_reader import FrameReader
    from mstore.store.store import Store

PACK_CAP_BYTES: Final = 512 << 20
_WHOLE_BYTES: Final = 32 << 20  # larger blobs are read twice: to hash, then to code
_IN_FLIGHT_BYTES: Final = 64 << 20

Structured = Layout | Manifest | Commit | Note | Tag
Advance = Callable[[int], None]
"""Is called with the number of bytes done since the last call."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Bytes that a transaction was given so far, of which new, and what those take when stored."""

    raw_bytes: int = 0
    new_bytes: int = 0
    new_stored_bytes: int = 0


@dataclass
class _OpenPack:
    upload: Upload
    writer: PackWriter
    sealed: bytes | None = None
    syncing: Future[None] | None = None


@dataclass(frozen=True)
class _Coded:
    id: BlobId
    head: FrameHead | None
    blocks: list[Block] = field(repr=False)
    sketch: bytes | None = None


class Transaction:
    """Objects on their way into a store; leaving the context drops unpublished ones.

    Args:
        store: where they go. It must not be read-only.
        threads: how many code; default: the cores this process may use.
        rewrite: store what the store has once more (repack), with delta bases out of
            this transaction alone, since older copies may go.

    Raises:
        StorageFailed: the store is read-only.
    """

    def __init__(self, store: Store, *, threads: int | None = None, rewrite: bool = False) -> None:
        if store.read_only:
            raise StorageFailed(f"{store.location} is read-only: nothing can be stored")
        keep_freed_memory()
        self._store = store
        self._threads = threads or len(
            os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0, 1]
        )
        self._stack = ExitStack()
        self._protecting = ExitStack()
        self._temp_roots = self._protecting.enter_context(store.backend.open_temp_roots())
        self._protected: dict[ObjectId, int] = {}
        self._rewrite = rewrite
        self._encoder = BlobEncoder(store, rewrite=rewrite)
        self._pool = ThreadPoolExecutor(self._threads, "mstore")
        self._stack.callback(self._pool.shutdown, cancel_futures=True)
        self._packs: dict[str, list[_OpenPack]] = {}
        self._structured: dict[ObjectId, bytes] = {}
        self._pending: set[ObjectId] = set()
        self._guard = threading.Lock()
        self.counts = Counts()
        store.sweep()
        store.refresh()

    def __enter__(self) -> Transaction:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        self._protecting.close()

    # -- blobs

    def store_blobs(
        self, sources: Sequence[BlobSource], *, progress: Advance | None = None
    ) -> list[BlobId]:
        """Store blobs that the store lacks.

        Args:
            sources: the blobs.
            progress: is called with the number of raw bytes done.

        Returns:
            Their ids, in the order of `sources`.

        Raises:
            InvalidInput: a source changed between being hashed and being coded.
            StorageFailed: the system failed.
        """
        ids: list[BlobId] = []
        waiting: deque[tuple[BlobSource, Future[_Coded]]] = deque()
        in_flight = 0
        upcoming = iter(sources)
        exhausted = False
        while waiting or not exhausted:
            while not exhausted and (in_flight < _IN_FLIGHT_BYTES or not waiting):
                source = next(upcoming, None)
                if source is None:
                    exhausted = True
                else:
                    # A large one takes no such room, but what is hashed must still be in the
                    # system's cache when it is read again to be coded.
                    in_flight += min(source.size_bytes, _WHOLE_BYTES)
                    is_large = source.size_bytes > _WHOLE_BYTES
                    work = self._hash_large if is_large else self._code_whole
                    waiting.append((source, self._pool.submit(work, source)))
            if not waiting:
                break
            source, future = waiting.popleft()
            coded = future.result()
            in_flight -= min(source.size_bytes, _WHOLE_BYTES)
            if source.size_bytes > _WHOLE_BYTES:
                ids.append(self._store_large(source, coded))
            else:
                ids.append(coded.id)
                if coded.head is not None:
                    self._write(source, coded.head, coded.blocks, coded.sketch)
            self.counts = Counts(
                self.counts.raw_bytes + source.size_bytes,
                self.counts.new_bytes,
                self.counts.new_stored_bytes,
            )
            if progress is not None:
                progress(source.size_bytes)
        return ids

    def _claim(self, id: ObjectId) -> bool:
        """Return whether an object must be stored. The first caller gets True, and stores it."""
        with self._guard:
            if id in self._pending:
                return False
            if not self._rewrite and self._store.has(id):
                self._protected.setdefault(id, MAX_DEPTH)
                return False
            self._pending.add(id)
            return True

    def protect(self, ids: Iterable[ObjectId]) -> None:
        """Reuse objects that the store has.

        `publish` checks that they are there, and gc keeps them until this context ends.
        """
        with self._guard:
            for id in ids:
                if id not in self._pending:
                    self._protected.setdefault(id, MAX_DEPTH)

    def _delta_base(
        self, id: BlobId, source: BlobSource, block: Callable[[int], Buffer], sketch: bytes | None
    ) -> DeltaBase | None:
        """Choose a delta base, and protect it: gc must leave what a new delta needs."""
        base = self._encoder.choose_base(id, source, block, sketch)
        if base is not None:
            with self._guard:
                if base.id not in self._pending:
                    allowed = self._protected.get(base.id, MAX_DEPTH)
                    self._protected[base.id] = min(allowed, base.depth - 1)
        return base

    def _code_whole(self, source: BlobSource) -> _Coded:
        blocks = []
        hasher = hasher_of_blob()
        for i in range(source.block_count):
            block = source.block(i)
            hasher.update(block)  # while the cache of the core that read it holds it
            blocks.append(block)
        id = BlobId(hasher.digest())
        if not self._claim(id):
            return _Coded(id, None, [])
        sketcher = Sketcher(source.size_bytes, width=source.width, is_float=source.is_float)
        for block in blocks:
            sketcher.update(block)
        sketch = sketcher.digest()
        base = self._delta_base(id, source, blocks.__getitem__, sketch)
        coded = []
        for i, block in enumerate(blocks):
            coded.append(self._encoder.encode(block, i, source, base))
            blocks[i] = b""  # raw bytes go as soon as they are coded
        return _Coded(id, self._encoder.head(id, source, base), coded, sketch)

    def _hash_large(self, source: BlobSource) -> _Coded:
        hasher = hasher_of_blob()
        sketcher = Sketcher(source.size_bytes, width=source.width, is_float=source.is_float)
        for i in range(source.block_count):
            block = source.block(i)
            hasher.update(block)
            sketcher.update(block)
        return _Coded(BlobId(hasher.digest()), None, [], sketcher.digest())

    def _store_large(self, source: BlobSource, hashed: _Coded) -> BlobId:
        id, sketch = hashed.id, hashed.sketch
        if not self._claim(id):
            return id
        ahead = 2 * self._threads + 2
        second_hash = hasher_of_blob()
        base = self._delta_base(id, source, source.block, sketch)

        def read_and_code(index: int) -> tuple[Buffer, Block]:
            raw = source.block(index)
            return raw, self._encoder.encode(raw, index, source, base)

        def blocks() -> Iterator[Block]:
            for raw, block in in_order(self._pool, read_and_code, range(source.block_count), ahead):
                second_hash.update(raw)
                yield block

        self._write(source, self._encoder.head(id, source, base), blocks(), sketch)
        if second_hash.digest() != id.raw:
            raise InvalidInput(source.source.name, "changed while it was being committed")
        return id

    def _write(
        self, source: BlobSource, head: FrameHead, blocks: Iterable[Block], sketch: bytes | None
    ) -> None:
        # Deltas are found by name, or through the whole blob that they come from.
        stored = self._pack(source.group).add(head, blocks, None if head.depth else sketch)
        self._encoder.add_link(head)
        self.counts = Counts(
            self.counts.raw_bytes,
            self.counts.new_bytes + source.size_bytes,
            self.counts.new_stored_bytes + stored,
        )

    # -- packs

    def _pack(self, group: str) -> PackWriter:
        packs = self._packs.setdefault(group, [])
        if packs and packs[-1].writer.size_bytes >= PACK_CAP_BYTES:
            full = packs[-1]
            full.sealed = full.writer.seal()
            # The disk works on this pack while the next one is coded.
            full.syncing = self._pool.submit(full.upload.sync)
        if not packs or packs[-1].sealed is not None:
            upload = self._stack.enter_context(self._store.backend.put_new())
            packs.append(_OpenPack(upload, PackWriter(upload)))
        return packs[-1].writer

    def put(self, value: Structured) -> ObjectId:
        """Store a structured object; it will lie at the end of the last pack."""
        if self._claim(value.id):
            self._structured[value.id] = value.encoded
        return value.id

    def put_encoded(self, id: ObjectId, encoded: bytes) -> None:
        """Store a structured object that is encoded already."""
        if self._claim(id):
            self._structured[id] = encoded

    @property
    def size_bytes(self) -> int:
        """Bytes of packs written so far, structured objects not yet counted."""
        return sum(p.writer.size_bytes for packs in self._packs.values() for p in packs)

    def copy(self, reader: FrameReader, group: str) -> None:
        """Copy a frame out of another pack without decoding it; it keeps its delta base.

        Args:
            reader: the frame. Its blocks are checked by the sums of their stored bytes.
            group: blobs of one group share packs.

        Raises:
            Corrupt: a block does not have its sum.
        """
        frame = reader.frame
        if self._claim(frame.head.id):
            blocks = (reader.stored_block(i) for i in range(len(frame.blocks)))
            self._pack(group).add(frame.head, blocks, frame.sketch)
            self._encoder.add_link(frame.head)

    def put_bytes(self, content: bytes) -> BlobId:
        """Store a small blob that lies in memory."""
        id = blob_id(content)
        if self._claim(id):
            self._pack("").add_bytes(id, content)
        return id

    def _in_publishing_order(self) -> list[_OpenPack]:
        """Put the structured objects into the last pack, and return all packs in their order.

        Packs of other groups come first: the one with the commit must come last.
        """
        last = self._packs.pop("", [])
        order = [pack for packs in self._packs.values() for pack in packs] + last
        self._packs = {"": last}
        if self._structured:
            writer = self._pack("")
            if not last or last[-1].writer is not writer:
                raise AssertionError("the open pack is not the last one")
            if not order or order[-1] is not last[-1]:
                order.append(last[-1])
            for id, encoded in self._structured.items():
                writer.add_bytes(id, encoded)
        return order

    def publish(self) -> tuple[bytes, ...]:
        """Make everything durable and visible.

        Each reused object is registered as a temporary root, and then looked for: either a
        concurrent gc sees the registration, or its removal is seen here. gc keeps all objects
        until the context ends, so the ref must move before that.

        Returns:
            The names of the packs; none if there was nothing new.

        Raises:
            ObjectRemoved: a reused object was removed meanwhile; the caller must start over.
            StorageFailed: the system failed.
        """
        order = self._in_publishing_order()
        self._temp_roots.add(
            b"".join(temp_root_record(id, depth) for id, depth in self._protected.items())
            + b"".join(temp_root_record(id) for id in self._pending)
        )
        gone = self._store.lacks(self._protected.items())
        if gone:
            raise ObjectRemoved(
                f"{gone[0].label} was removed from the store while this command needed it",
                hint="run the same command again: it stores the object once more",
            )
        if self._encoder.has_casts:
            self._store.require(CASTS, reading=True)
        names = []
        for pack in order:
            if pack.sealed is None:
                pack.sealed = pack.writer.seal()
            if pack.syncing is not None:
                pack.syncing.result()
            pack.upload.publish(pack_key(pack.sealed))
            names.append(pack.sealed)
        self._packs, self._structured = {}, {}
        self._stack.close()
        for name in names:
            self._store.index_pack(name)
        return tuple(names)
