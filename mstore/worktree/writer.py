"""Writing files of a manifest into a folder, safely.

Hides descriptors, staging and parallel decoding. Every folder on the way is
opened without following links, relative to the folder above it, so that one
that is swapped for a link meanwhile is met as an error and never written
through. All files are written and synced under temporary names first; only then
are they renamed into place, so that a full disk changes nothing.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import Corrupt
from mstore.fs.allocator import keep_freed_memory
from mstore.fs.durable import fsync_file, start_writing
from mstore.fs.failures import storage_failed, translated, write_failed
from mstore.objects import BlobId, ManifestFile, hasher_of_blob
from mstore.worktree.destination import TEMPORARY_PREFIX, Destination
from mstore.worktree.staging import Staged, discard, make_staging, sweep_staging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mstore.store import Store

_FILES_AT_ONCE: Final = 64
_BEGIN_BYTES: Final = 4 << 20
_COPY_BYTES: Final = 8 << 20
_HASH_BYTES: Final = 1 << 20
HELD_FROM_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """The place of a whole blob in a file on this disk.

    Args:
        descriptor: the file, open for reading.
        position: the blob's first byte in it.
        length: bytes of the blob.
    """

    descriptor: int
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class _FileStretch:
    descriptor: int
    lock: threading.Lock
    position: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Writing:
    """The state that all batches of files share."""

    store: Store
    folder: int
    pool: ThreadPoolExecutor
    local_copies: Mapping[BlobId, LocalCopy]
    progress: Callable[[int], None] | None


def write_staged(
    store: Store,
    files: Sequence[ManifestFile],
    destination: Destination,
    *,
    local_copies: Mapping[BlobId, LocalCopy] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Staged:
    """Write files into a staging folder, each checked and synced.

    What a file on the disk holds already is copied from there, inside the kernel where the
    system can do that, read back and hashed; what does not hash to its id is decoded.

    Args:
        store: where their blobs are.
        files: what to write.
        destination: where.
        local_copies: blobs that lie in files already.
        progress: is called with the bytes written.

    Raises:
        Corrupt, NotFound: a blob is damaged or missing; the staged files are removed.
        BadPath, StorageFailed: likewise.
    """
    keep_freed_memory()
    with destination.folder([]) as root:
        sweep_staging(root)
        name = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        try:
            folder = make_staging(name, root)
        except OSError as error:
            raise write_failed(error, str(destination.path)) from error
    staged = Staged(name, tuple(f.path for f in files), folder)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1, "mstore") as pool:
            writing = _Writing(store, folder, pool, local_copies or {}, progress)
            for begin in range(0, len(files), _FILES_AT_ONCE):
                batch = files[begin : begin + _FILES_AT_ONCE]
                _write_batch(writing, batch, begin)
    except BaseException:
        discard(destination, staged)
        raise
    return staged


def _write_batch(writing: _Writing, files: Sequence[ManifestFile], first: int) -> None:
    """Write some files; their names in the staging folder are the numbers from `first` on."""
    local_copies = writing.local_copies
    descriptors: list[int] = []
    targets: dict[BlobId, list[_FileStretch]] = {}
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

    def write(blob: BlobId) -> int:
        if blob in local_copies and _copy_blob(blob, local_copies[blob], targets[blob]):
            return local_copies[blob].length * len(targets[blob])
        return _write_blob(writing.store, blob, targets[blob])

    try:
        for number, file in enumerate(files, first):
            try:
                descriptor = os.open(str(number), flags, 0o666, dir_fd=writing.folder)
            except OSError as error:
                raise write_failed(error, file.path) from error
            descriptors.append(descriptor)
            position, lock = 0, threading.Lock()
            for segment in file.segments:
                targets.setdefault(segment.blob, []).append(
                    _FileStretch(descriptor, lock, position, segment.offset, segment.length)
                )
                position += segment.length
        # The largest first, so that the last one to finish is a small one.
        order = sorted(targets, key=lambda b: -max(t.offset + t.length for t in targets[b]))
        for written in writing.pool.map(write, order):
            if writing.progress is not None:
                writing.progress(written)
        list(writing.pool.map(_sync, descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _sync(descriptor: int) -> None:
    with translated("cannot sync a file"):
        fsync_file(descriptor)


def _write_blob(store: Store, blob: BlobId, targets: list[_FileStretch]) -> int:
    """Decode a blob once, write it to all its targets, and return the bytes written."""
    needed = max(t.offset + t.length for t in targets)
    targets = sorted(targets, key=lambda t: t.offset)
    position, written = 0, 0
    for part in store.stream(blob):
        view = memoryview(part).cast("B")
        end = position + len(view)
        for target in targets:
            if target.offset >= end:
                break
            low, high = max(position, target.offset), min(end, target.offset + target.length)
            if low < high:
                # One writer a file: two would spin on the inode's lock in the kernel.
                with target.lock:
                    _pwrite(
                        target.descriptor,
                        view[low - position : high - position],
                        target.position + low - target.offset,
                    )
                written += high - low
        position = end
    for target in targets:
        if target.length >= _BEGIN_BYTES:
            start_writing(target.descriptor, target.position, target.length)
    if position < needed:
        raise Corrupt(f"blob {blob.short}", f"has {position} bytes; a manifest needs {needed}")
    return written


def _copy_blob(blob: BlobId, local_copies: LocalCopy, targets: list[_FileStretch]) -> bool:
    """Copy a blob out of a file that should hold it; False if it does not."""
    if any(t.offset or t.length != local_copies.length for t in targets):
        return False
    for target in targets:
        hasher = hasher_of_blob()
        for begin in range(0, local_copies.length, _COPY_BYTES):
            size = min(_COPY_BYTES, local_copies.length - begin)
            with target.lock:
                copied = _copy_range(local_copies, begin, target, size)
            if not copied:
                return False
            # The written bytes are hashed, since the old file may have changed meanwhile.
            for position in range(begin, begin + size, _HASH_BYTES):
                at, end = target.position + position, min(position + _HASH_BYTES, begin + size)
                try:
                    hasher.update(os.pread(target.descriptor, end - position, at))
                except OSError:
                    return False
        if hasher.digest() != blob.raw:
            return False
        if target.length >= _BEGIN_BYTES:
            start_writing(target.descriptor, target.position, target.length)
    return True


def _copy_range(local_copies: LocalCopy, begin: int, target: _FileStretch, size: int) -> bool:
    source, end = local_copies.position + begin, local_copies.position + begin + size
    shift = target.position - local_copies.position
    try:
        while source < end:
            copied = os.copy_file_range(
                local_copies.descriptor, target.descriptor, end - source, source, source + shift
            )
            if not copied:
                return False
            source += copied
        return True
    except (AttributeError, OSError):
        pass  # Not this system, not across these disks, or a full disk: a plain write says which.
    while source < end:
        try:
            part = os.pread(local_copies.descriptor, min(_HASH_BYTES, end - source), source)
        except OSError:
            return False
        if not part:
            return False
        _pwrite(target.descriptor, memoryview(part), source + shift)
        source += len(part)
    return True


def _pwrite(descriptor: int, content: memoryview, position: int) -> None:
    try:
        while len(content):
            written = os.pwrite(descriptor, content, position)
            content, position = content[written:], position + written
    except OSError as error:
        raise storage_failed(error, "cannot write") from error
