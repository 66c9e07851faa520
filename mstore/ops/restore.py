"""Writing files of a manifest into a folder, safely.

Hides descriptors, staging and parallel decoding. Every folder on the way is
opened without following links, relative to the folder above it, so that one
that is swapped for a link meanwhile is met as an error and never written
through. All files are written and synced under temporary names first; only then
are they renamed into place, so that a full disk changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.backend import fsync_file, write_all
from mstore.errors import BadPath, Corrupt, Refused, StorageFailed
from mstore.objects import BlobId, ManifestFile, check_path, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mstore.store import Store

TEMPORARY_PREFIX: Final = ".~mstore-"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILES_AT_ONCE: Final = 64


def _translated(error: OSError, path: str) -> Refused | StorageFailed:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return BadPath(path, "is a symbolic link or not a folder; nothing is written through it")
    return StorageFailed(f"cannot write {path}: {error.strerror}", errno=error.errno)


class Destination:
    """An open folder that files are written into.

    Args:
        path: the folder; it must exist and be no symbolic link.

    Raises:
        BadPath: it is a link or no folder.
        StorageFailed: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._root = os.open(path, _FOLDER_FLAGS)
        except OSError as error:
            raise _translated(error, str(path)) from error

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._root)

    @contextlib.contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """A descriptor of a folder below, opened step by step without following links.

        Raises:
            BadPath: a step is a link or a file.
            StorageFailed: the system failed.
        """
        shown = str(self.path.joinpath(*parts))
        try:
            descriptor = os.dup(self._root)
        except OSError as error:
            raise _translated(error, shown) from error
        try:
            for part in parts:
                try:
                    if create:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(part, dir_fd=descriptor)
                    below = os.open(part, _FOLDER_FLAGS, dir_fd=descriptor)
                except OSError as error:
                    raise _translated(error, shown) from error
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def is_case_insensitive(self) -> bool:
        """Whether the file system takes `a` and `A` for one name."""
        probe = f"{TEMPORARY_PREFIX}{os.urandom(4).hex()}-aB"
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=self._root)
        os.close(descriptor)
        try:
            os.stat(probe.replace("aB", "Ab"), dir_fd=self._root, follow_symlinks=False)
            return True
        except FileNotFoundError:
            return False
        finally:
            os.unlink(probe, dir_fd=self._root)


def check_paths(files: Sequence[ManifestFile], destination: Destination | None = None) -> None:
    """Refuse a manifest that cannot be written as it stands, before anything is.

    Raises:
        BadPath: a path must not be written, is both file and folder, or collides
            with another on a disk that ignores case.
    """
    folders: set[str] = set()
    for file in files:
        check_path(file.path)
        parts = file.path.split("/")
        folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
    for file in files:
        if file.path in folders:
            raise BadPath(f"path {file.path!r}", "is both a file and a folder in this version")
    if destination is None:
        return
    seen: dict[str, str] = {}
    for name in sorted({f.path for f in files} | folders):
        other = seen.setdefault(folded(name), name)
        if other != name and destination.is_case_insensitive():
            raise BadPath(
                f"path {name!r}",
                f"collides with {other!r} on this disk, which ignores case; nothing was written",
            )


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that lies ready under a temporary name."""

    path: str
    temporary: str

    @property
    def parts(self) -> list[str]:
        """Folders on the way."""
        return self.path.split("/")[:-1]

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Target:
    descriptor: int
    position: int
    offset: int
    length: int


def write_staged(
    store: Store,
    files: Sequence[ManifestFile],
    destination: Destination,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Staged]:
    """Write files under temporary names, each checked and synced.

    Args:
        store: where their blobs are.
        files: what to write.
        destination: where.
        progress: told of bytes written.

    Raises:
        Corrupt, NotFound: a blob is damaged or missing; all temporary files are removed.
        BadPath, StorageFailed: likewise.
    """
    staged: list[Staged] = []
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1, "mstore") as pool:
            for begin in range(0, len(files), _FILES_AT_ONCE):
                _write_batch(
                    store, files[begin : begin + _FILES_AT_ONCE], destination, staged, pool, progress
                )
    except BaseException:
        discard(destination, staged)
        raise
    return staged


def _write_batch(
    store: Store,
    files: Sequence[ManifestFile],
    destination: Destination,
    staged: list[Staged],
    pool: ThreadPoolExecutor,
    progress: Callable[[int], None] | None,
) -> None:
    descriptors: list[int] = []
    targets: dict[BlobId, list[_Target]] = {}
    try:
        for file in files:
            temporary = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
            ready = Staged(file.path, temporary)
            with destination.folder(ready.parts, create=True) as folder:
                try:
                    descriptor = os.open(
                        temporary,
                        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                        0o666,
                        dir_fd=folder,
                    )
                except OSError as error:
                    raise _translated(error, str(destination.path / file.path)) from error
            descriptors.append(descriptor)
            staged.append(ready)
            position = 0
            for segment in file.segments:
                targets.setdefault(segment.blob, []).append(
                    _Target(descriptor, position, segment.offset, segment.length)
                )
                position += segment.length
        # The largest first, so that the last one to finish is a small one.
        order = sorted(targets, key=lambda b: -max(t.offset + t.length for t in targets[b]))
        for written in pool.map(lambda blob: _write_blob(store, blob, targets[blob]), order):
            if progress is not None:
                progress(written)
        list(pool.map(_sync, descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        fsync_file(descriptor)
    except OSError as error:
        raise StorageFailed(f"cannot sync a file: {error.strerror}", errno=error.errno) from error


def _write_blob(store: Store, blob: BlobId, targets: list[_Target]) -> int:
    """Decode a blob once and write it wherever it is due; gives the bytes written."""
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
                _pwrite(
                    target.descriptor,
                    view[low - position : high - position],
                    target.position + low - target.offset,
                )
                written += high - low
        position = end
    if position < needed:
        raise Corrupt(f"blob {blob.short}", f"has {position} bytes; a manifest needs {needed}")
    return written


def _pwrite(descriptor: int, content: memoryview, position: int) -> None:
    try:
        while len(content):
            written = os.pwrite(descriptor, content, position)
            content, position = content[written:], position + written
    except OSError as error:
        raise StorageFailed(f"cannot write: {error.strerror}", errno=error.errno) from error


def put_in_place(destination: Destination, staged: Sequence[Staged]) -> None:
    """Rename staged files to their names, replacing what is there, and sync the folders.

    Raises:
        BadPath: a folder was swapped for a link, or a name is now a folder's.
    """
    folders: dict[tuple[str, ...], None] = {}
    for ready in staged:
        with destination.folder(ready.parts) as folder:
            try:
                os.rename(ready.temporary, ready.name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                raise _translated(error, str(destination.path / ready.path)) from error
        for depth in range(len(ready.parts) + 1):
            folders[tuple(ready.parts[:depth])] = None
    for parts in folders:
        with destination.folder(parts) as folder:
            fsync_file(folder)


def discard(destination: Destination, staged: Sequence[Staged]) -> None:
    """Remove staged files, and folders made for them that are empty."""
    for ready in staged:
        with (
            contextlib.suppress(OSError, Refused, StorageFailed),
            destination.folder(ready.parts) as folder,
        ):
            os.unlink(ready.temporary, dir_fd=folder)
        remove_empty_folders(destination, ready.path)


def remove(destination: Destination, path: str) -> None:
    """Remove a file, and the folders above it that it leaves empty.

    Raises:
        BadPath: a folder on the way is a link.
        StorageFailed: the system failed.
    """
    *parts, name = path.split("/")
    try:
        with destination.folder(parts) as folder, contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise _translated(error, str(destination.path / path)) from error
    remove_empty_folders(destination, path)


def remove_empty_folders(destination: Destination, path: str) -> None:
    """Remove the folders above a path as far as they are empty."""
    parts = path.split("/")[:-1]
    while parts:
        try:
            with destination.folder(parts[:-1]) as above:
                os.rmdir(parts[-1], dir_fd=above)
        except (OSError, Refused, StorageFailed):
            return
        parts.pop()


def move_out(destination: Destination, path: str, target: Path) -> None:
    """Move a file out of the destination, to another disk if need be.

    Raises:
        BadPath, StorageFailed.
    """
    *parts, name = path.split("/")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with destination.folder(parts) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                raise BadPath(str(destination.path / path), "is a symbolic link")
            try:
                os.rename(name, target, src_dir_fd=folder)
                return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                with open(target, "xb") as copy:
                    while part := os.read(source, 1 << 20):
                        write_all(copy.fileno(), part)
                    fsync_file(copy.fileno())
            finally:
                os.close(source)
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise _translated(error, str(destination.path / path)) from error


def move_in(source: Path, destination: Destination, path: str) -> None:
    """Bring a file back that `move_out` took away, replacing what is there.

    Raises:
        BadPath, StorageFailed.
    """
    *parts, name = path.split("/")
    try:
        with destination.folder(parts, create=True) as folder:
            try:
                os.rename(source, name, dst_dir_fd=folder)
                return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            temporary = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
            copy = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=folder
            )
            try:
                with open(source, "rb") as original:
                    while part := original.read(1 << 20):
                        write_all(copy, part)
                fsync_file(copy)
            finally:
                os.close(copy)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.unlink(source)
    except OSError as error:
        raise _translated(error, str(destination.path / path)) from error
