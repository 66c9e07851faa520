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
import fcntl
import os
import shutil
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.backend import fsync_file, make_folder, start_writing, write_all
from mstore.errors import BadPath, Corrupt, Refused, StorageFailed
from mstore.fs.allocator import keep_freed_memory
from mstore.objects import BlobId, ManifestFile, check_path, folded, hasher_of_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from mstore.store import Store

TEMPORARY_PREFIX: Final = ".~mstore-"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILES_AT_ONCE: Final = 64
_BEGIN_BYTES: Final = 4 << 20
_COPY_BYTES: Final = 8 << 20
_HASH_BYTES: Final = 1 << 20
_SPARED_FOR_S: Final = 600
_NO_LINKS: Final = (
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EMLINK,
    errno.EXDEV,
    errno.ENOSYS,
)
HELD_FROM_BYTES: Final = 64 << 10


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
            FileNotFoundError: there is no such folder, and it is not to be made.
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
                except FileNotFoundError:
                    raise
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
    """Files that lie ready in a staging folder of the destination.

    Args:
        folder: the staging folder's name.
        paths: where they go; the n-th file's name in the staging folder is n.
        descriptor: the staging folder, locked for as long as it is in use.
    """

    folder: str
    paths: tuple[str, ...]
    descriptor: int


@dataclass(frozen=True, slots=True)
class Held:
    """Where a whole blob is believed to lie in a file that is there already.

    Args:
        descriptor: the file, open for reading.
        position: the blob's first byte in it.
        length: bytes of the blob.
    """

    descriptor: int
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class _Target:
    descriptor: int
    lock: threading.Lock
    position: int
    offset: int
    length: int


def write_staged(
    store: Store,
    files: Sequence[ManifestFile],
    destination: Destination,
    *,
    held: Mapping[BlobId, Held] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Staged:
    """Write files into a staging folder, each checked and synced.

    What a file on the disk holds already is copied from there, inside the kernel where the
    system can do that, read back and hashed; what does not hash to its id is decoded.

    Args:
        store: where their blobs are.
        files: what to write.
        destination: where.
        held: blobs that lie in files already.
        progress: told of bytes written.

    Raises:
        Corrupt, NotFound: a blob is damaged or missing; what was staged is removed.
        BadPath, StorageFailed: likewise.
    """
    keep_freed_memory()
    with destination.folder([]) as root:
        sweep_staging(root)
        name = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        try:
            folder = make_staging(name, root)
        except OSError as error:
            raise _translated(error, str(destination.path)) from error
    staged = Staged(name, tuple(f.path for f in files), folder)
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1, "mstore") as pool:
            for begin in range(0, len(files), _FILES_AT_ONCE):
                batch = files[begin : begin + _FILES_AT_ONCE]
                _write_batch(store, batch, folder, begin, pool, held or {}, progress)
    except BaseException:
        discard(destination, staged)
        raise
    return staged


def _write_batch(
    store: Store,
    files: Sequence[ManifestFile],
    folder: int,
    first: int,
    pool: ThreadPoolExecutor,
    held: Mapping[BlobId, Held],
    progress: Callable[[int], None] | None,
) -> None:
    descriptors: list[int] = []
    targets: dict[BlobId, list[_Target]] = {}
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

    def write(blob: BlobId) -> int:
        if blob in held and _copy_blob(blob, held[blob], targets[blob]):
            return held[blob].length * len(targets[blob])
        return _write_blob(store, blob, targets[blob])

    try:
        for number, file in enumerate(files, first):
            try:
                descriptor = os.open(str(number), flags, 0o666, dir_fd=folder)
            except OSError as error:
                raise _translated(error, file.path) from error
            descriptors.append(descriptor)
            position, lock = 0, threading.Lock()
            for segment in file.segments:
                targets.setdefault(segment.blob, []).append(
                    _Target(descriptor, lock, position, segment.offset, segment.length)
                )
                position += segment.length
        # The largest first, so that the last one to finish is a small one.
        order = sorted(targets, key=lambda b: -max(t.offset + t.length for t in targets[b]))
        for written in pool.map(write, order):
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


def _copy_blob(blob: BlobId, held: Held, targets: list[_Target]) -> bool:
    """Copy a blob out of a file that holds it; False where it turns out not to."""
    if any(t.offset or t.length != held.length for t in targets):
        return False
    for target in targets:
        hasher = hasher_of_blob()
        for begin in range(0, held.length, _COPY_BYTES):
            size = min(_COPY_BYTES, held.length - begin)
            with target.lock:
                copied = _copy_range(held, begin, target, size)
            if not copied:
                return False
            # What was written is what is hashed, whatever the old file has become meanwhile.
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


def _copy_range(held: Held, begin: int, target: _Target, size: int) -> bool:
    source, end = held.position + begin, held.position + begin + size
    shift = target.position - held.position
    try:
        while source < end:
            copied = os.copy_file_range(
                held.descriptor, target.descriptor, end - source, source, source + shift
            )
            if not copied:
                return False
            source += copied
        return True
    except (AttributeError, OSError):
        pass  # Not this system, these two disks, or a full one: plain writing tells which.
    while source < end:
        try:
            part = os.pread(held.descriptor, min(_HASH_BYTES, end - source), source)
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
        raise StorageFailed(f"cannot write: {error.strerror}", errno=error.errno) from error


def make_staging(name: str, folder: int) -> int:
    """Make a staging folder that `sweep_staging` leaves alone until its descriptor is closed.

    Args:
        name: its name.
        folder: a descriptor of the folder that it lies in.

    Raises:
        OSError: the system failed.
    """
    os.mkdir(name, dir_fd=folder)
    descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    with contextlib.suppress(OSError):  # Without locks (some network disks) nothing is swept.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def sweep_staging(folder: int) -> None:
    """Remove what killed checkouts left in a folder: the kernel knows whose owner is dead.

    All that was staged is in the store, or among the copies that `undo` brings back.
    """
    try:
        names = [name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_old = status.st_mtime < time.time() - _SPARED_FOR_S
            if not stat.S_ISDIR(status.st_mode):
                if is_old:
                    os.unlink(name, dir_fd=folder)
                continue
            descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # An empty one may be about to be locked by who made it.
                if is_old or os.listdir(descriptor):
                    shutil.rmtree(name, dir_fd=folder)
            finally:
                os.close(descriptor)


def put_in_place(destination: Destination, staged: Staged) -> None:
    """Rename staged files to their names, replacing what is there, and sync the folders.

    Raises:
        BadPath: a folder on the way is a link or a file, or a name is a folder's.
        StorageFailed: the system failed.
    """
    folders: dict[tuple[str, ...], None] = {(): None}
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        try:
            with destination.folder(parts, create=True) as folder:
                os.rename(str(number), name, src_dir_fd=staged.descriptor, dst_dir_fd=folder)
        except OSError as error:
            raise _translated(error, str(destination.path / path)) from error
        folders.update(dict.fromkeys(tuple(parts[:depth]) for depth in range(1, len(parts) + 1)))
    for inner in folders:
        try:
            with destination.folder(inner) as folder:
                fsync_file(folder)
        except OSError as error:
            raise _translated(error, str(destination.path.joinpath(*inner))) from error


def discard(destination: Destination, staged: Staged) -> None:
    """Remove a staging folder and what is left in it."""
    with contextlib.suppress(OSError):
        for name in os.listdir(staged.descriptor):
            with contextlib.suppress(OSError):
                if name.startswith("folder-"):
                    shutil.rmtree(name, dir_fd=staged.descriptor)
                else:
                    os.unlink(name, dir_fd=staged.descriptor)
    with contextlib.suppress(OSError, Refused, StorageFailed), destination.folder([]) as root:
        os.rmdir(staged.folder, dir_fd=root)
    os.close(staged.descriptor)


def set_aside(destination: Destination, staged: Staged, paths: Sequence[str]) -> frozenset[int]:
    """Move files that are to go into the staging folder, and link there those to be replaced.

    From there `bring_back` fetches them.

    Args:
        destination: the folder.
        staged: what is about to be put in place.
        paths: files to go.

    Returns:
        Numbers of the staged files of which there is no older one.

    Raises:
        BadPath: a folder on the way is a link.
        StorageFailed: the system failed.
    """
    aside = staged.descriptor
    for number, path in enumerate(paths):
        *parts, name = path.split("/")
        try:
            with destination.folder(parts) as folder:
                os.rename(name, f"gone-{number}", src_dir_fd=folder, dst_dir_fd=aside)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _translated(error, str(destination.path / path)) from error
    # Empty folders stay for the way back; where a file is to be, one is moved aside as it is:
    # a folder that is removed does not come back on a full disk.
    for number, path in enumerate(staged.paths):
        _set_folder_aside(destination, staged, path, f"folder-{number}")
    new = []
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        was = f"was-{number}"
        try:
            with destination.folder(parts) as folder:
                os.link(name, was, src_dir_fd=folder, dst_dir_fd=aside, follow_symlinks=False)
        except FileNotFoundError:
            new.append(number)
        except BadPath:
            continue  # A file where the version has a folder: it was moved aside.
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EISDIR, *_NO_LINKS):
                continue  # Where there are no hard links, a replaced file has no way back.
            raise _translated(error, str(destination.path / path)) from error
    return frozenset(new)


def _set_folder_aside(destination: Destination, staged: Staged, path: str, name: str) -> None:
    """Where a folder without files has a path, move it into the staging folder."""
    *parts, own = path.split("/")
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError, BadPath),
        destination.folder(parts) as folder,
    ):
        is_folder = stat.S_ISDIR(os.stat(own, dir_fd=folder, follow_symlinks=False).st_mode)
        if is_folder and not any(files for _, _, files, _ in os.fwalk(own, dir_fd=folder)):
            os.rename(own, name, src_dir_fd=folder, dst_dir_fd=staged.descriptor)


def clear_way(destination: Destination, staged: Staged, path: str) -> None:
    """Let a file come back where a version that failed has put a folder. Raises StorageFailed."""
    try:
        _set_folder_aside(destination, staged, path, f"folder-{os.urandom(8).hex()}")
    except OSError as error:
        raise _translated(error, str(destination.path / path)) from error


def absent_folders(destination: Destination, paths: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Folders above some paths that are not there, the deepest first."""
    absent: set[tuple[str, ...]] = set()
    for path in paths:
        parts = tuple(path.split("/")[:-1])
        for depth in range(1, len(parts) + 1):
            try:
                with destination.folder(parts[:depth]):
                    pass
            except (FileNotFoundError, BadPath, StorageFailed):
                absent.add(parts[:depth])
    return tuple(sorted(absent, key=lambda parts: (-len(parts), parts)))


def remove_folders(destination: Destination, folders: Sequence[tuple[str, ...]]) -> None:
    """Remove folders as far as they are there and empty."""
    for *above, name in folders:
        with (
            contextlib.suppress(OSError, Refused, StorageFailed),
            destination.folder(above) as folder,
        ):
            os.rmdir(name, dir_fd=folder)


def bring_back(
    destination: Destination, staged: Staged, paths: Sequence[str], new: frozenset[int]
) -> None:
    """Undo `put_in_place` and `set_aside` as far as they came; folders that they made stay.

    Args:
        destination, staged, paths: as given to `set_aside`.
        new: what it returned.
    """
    failures = (OSError, Refused, StorageFailed)
    aside = staged.descriptor
    left = set(os.listdir(aside))
    for number, path in enumerate(staged.paths):
        *parts, name = path.split("/")
        with contextlib.suppress(*failures), destination.folder(parts) as folder:
            if f"was-{number}" in left:
                os.rename(f"was-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)
            elif number in new and str(number) not in left:
                os.unlink(name, dir_fd=folder)
            if f"folder-{number}" in left:
                os.rename(f"folder-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)
    for number, path in enumerate(paths):
        *parts, name = path.split("/")
        if f"gone-{number}" not in left:
            continue
        with contextlib.suppress(*failures):
            clear_way(destination, staged, path)
        with contextlib.suppress(*failures), destination.folder(parts, create=True) as folder:
            os.rename(f"gone-{number}", name, src_dir_fd=aside, dst_dir_fd=folder)


def in_the_way(
    destination: Destination, paths: Sequence[str], known: Collection[str], left_out: Sequence[str]
) -> tuple[str, ...]:
    """What lies where files are to be written, and is none of the files known: ignored ones.

    Args:
        destination: the folder.
        paths: what is to be written.
        known: paths in it that were looked at.
        left_out: ignored paths in it, folders with a `/` at the end.

    Raises:
        BadPath: a folder on the way is a link.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path in known:
            continue
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            try:
                with destination.folder(parts[: depth - 1]) as folder:
                    status = os.stat(parts[depth - 1], dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                break
            except OSError as error:
                raise _translated(error, str(destination.path / part)) from error
            if not stat.S_ISDIR(status.st_mode):
                if part not in known:
                    found[part] = None
                break
            if depth == len(parts):
                inside = [p for p in left_out if p.startswith(part + "/")]
                found.update(dict.fromkeys(p.rstrip("/") for p in inside))
                if part + "/" in left_out:
                    found[part] = None
    return tuple(found)


def remove(destination: Destination, path: str) -> None:
    """Remove a file, and the folders above it that it leaves empty.

    Raises:
        BadPath: a folder on the way is a link.
        StorageFailed: the system failed.
    """
    *parts, name = path.split("/")
    try:
        with destination.folder(parts) as folder:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _translated(error, str(destination.path / path)) from error
    remove_empty_folders(destination, path)


def remove_empty_folders(destination: Destination, path: str) -> None:
    """Remove the folders above a path as far as they are empty."""
    parts = list(path.split("/")[:-1])
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
        make_folder(target.parent)
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
