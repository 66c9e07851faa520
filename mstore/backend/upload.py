"""The files that a local backend writes step by step: a new object, and a file of temporary roots.

Hides buffers, when the disk begins to write, and the order that makes an object durable: its
bytes are synced, then it gets its name by a hard link, then the folder is synced.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from mstore.errors import StorageFailed
from mstore.fs.durable import fsync_file, fsync_folder, start_writing, write_all
from mstore.fs.failures import storage_failed, translated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Buffer

    from mstore.backend.base import Observer, Upload
    from mstore.fs.temp import TemporaryFile

_WRITE_BUFFER_BYTES: Final = 1 << 20
_BEGIN_BYTES: Final = 8 << 20


class LocalUpload:
    """A new object, in a temporary file until it is published.

    Args:
        file: the temporary file; it is removed when the context ends.
        path: returns the path of a key.
        observe: is called with each system call that matters.
    """

    def __init__(self, file: TemporaryFile, path: Callable[[str], Path], observe: Observer) -> None:
        self._file = file
        self._path = path
        self._observe = observe
        self._poisoned = False
        self._synced = False
        self._parts: list[Buffer] = []
        self._pending_bytes = 0
        self._position = self._begun = 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.remove()

    def write(self, content: Buffer) -> None:
        """Append bytes; they are gathered and written about 1 MiB at a time."""
        self._synced = False
        self._parts.append(content)
        self._pending_bytes += memoryview(content).nbytes
        if self._pending_bytes >= _WRITE_BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        parts, self._parts, self._pending_bytes = self._parts, [], 0
        self._guarded(lambda: self._write_parts(parts))

    def _write_parts(self, parts: list[Buffer]) -> None:
        self._observe("write", str(self._file.path))
        small: list[Buffer] = []
        for part in parts:
            if memoryview(part).nbytes < 1 << 16:
                small.append(part)
                continue
            if small:
                write_all(self._file.descriptor, b"".join(small))
                small = []
            write_all(self._file.descriptor, part)
        if small:
            write_all(self._file.descriptor, b"".join(small))
        written = sum(memoryview(part).nbytes for part in parts)
        self._position += written
        if self._position - self._begun >= _BEGIN_BYTES:
            start_writing(self._file.descriptor, self._begun, self._position - self._begun)
            self._begun = self._position

    def _guarded(self, action: Callable[[], None]) -> None:
        if self._poisoned:
            raise StorageFailed("an earlier write of this upload failed; nothing was stored")
        try:
            action()
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: never again.
            self._poisoned = True
            raise storage_failed(error, "writing to the store failed") from error

    def sync(self) -> None:
        """Force written bytes to the disk."""
        self._flush()

        def force() -> None:
            self._observe("fsync", str(self._file.path))
            fsync_file(self._file.descriptor)
            self._synced = True

        self._guarded(force)

    def publish(self, key: str) -> bool:
        """Link the synced file to its key and sync the folder; False if the key existed."""
        if not self._synced:
            self.sync()
        published = True

        def finish() -> None:
            nonlocal published
            target = self._path(key)
            try:
                self._observe("link", key)
                os.link(self._file.path, target)
            except FileExistsError:
                published = False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                # A file system without hard links: names are content hashes, so
                # renaming over an equal file could at worst replace it by itself.
                os.rename(self._file.path, target)
            self._observe("fsync-folder", key)
            fsync_folder(target.parent)

        self._guarded(finish)
        return published


class LocalTempRoots:
    """Temporary roots in a locked file; a process that can lock it knows that their owner is gone.

    Args:
        descriptor: the file.
        location: where it is, for messages.
        observe: is called with each system call that matters.
    """

    def __init__(self, descriptor: int, location: str, observe: Observer) -> None:
        self._descriptor = descriptor
        self._location = location
        self._observe = observe

    def add(self, record: bytes) -> None:
        """Append a record, which `temporary_roots` yields to everyone from now on."""
        with translated(f"cannot write in {self._location}"):
            self._observe("write", "lean")
            write_all(self._descriptor, record)
