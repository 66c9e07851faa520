"""A backend on a local disk.

Hides: temporary files and who owns them, fsync of files and of folders,
publication by hard link (never replacing; in `upload`), kernel locks, open descriptors.
Every name below the root is opened without following symbolic links.

What is promised once `publish` or `compare_and_swap` has returned: the bytes and their name
survive a power cut (fsync of the file, then of its folder; on macOS F_FULLFSYNC).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

from mstore.backend.base import Activity, Entry, Observer, TempRoots, Upload
from mstore.backend.descriptors import DescriptorCache, OpenDescriptor
from mstore.backend.upload import LocalTempRoots, LocalUpload
from mstore.errors import Conflict, Corrupt
from mstore.fs.durable import confirm_folder, fsync_folder, make_folder, replace_file
from mstore.fs.failures import storage_failed, translated
from mstore.fs.locks import NEW, is_abandoned, open_lock, take_lock
from mstore.fs.temp import LEAN, TMP, TemporaryFile, sweep_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_GONE: Final = (errno.ENOENT, errno.ENOTDIR)


class LocalBackend:
    """Bytes by key in a folder.

    Args:
        root: the folder.
        shared: new files are group-writable.
        observe: is called with each system call that matters; for tests and counts.

    Raises:
        StorageFailed: the folder cannot be used.
    """

    def __init__(self, root: Path, *, shared: bool = False, observe: Observer | None = None) -> None:
        self.root = root
        self.location = self._root = str(root)
        self.folders: tuple[Path, ...] = (root,)
        self.shared = shared
        self.file_mode = 0o664 if shared else 0o666
        self.read_only = not os.access(root, os.W_OK)
        self.observe: Observer = observe or (lambda call, key: None)
        self._descriptors = DescriptorCache(self._open)
        self._held = threading.local()
        self._folders: set[str] = set()

    def path(self, key: str) -> Path:
        """Return where a key lies.

        Raises:
            Corrupt: a folder on the way is a symbolic link.
        """
        self._look_at(key.rpartition("/")[0])
        return self.root / key

    def _at(self, key: str) -> str:
        """Return `path` as text: packs are read, and folders looked at, thousands of times."""
        self._look_at(key.rpartition("/")[0])
        return f"{self._root}/{key}"

    def _look_at(self, folder: str) -> None:
        """Refuse symbolic links among the folders down to this one; each folder is checked once."""
        if not folder or folder in self._folders:
            return
        self._look_at(folder.rpartition("/")[0])
        try:
            status = os.lstat(f"{self._root}/{folder}")
        except OSError:
            return
        if stat.S_ISLNK(status.st_mode):
            raise Corrupt(f"{self._root}/{folder}", "is a symbolic link, which a store never holds")
        if stat.S_ISDIR(status.st_mode):
            self._folders.add(folder)

    # -- reading

    def _open(self, key: str) -> int:
        self.observe("open", key)
        try:
            descriptor = os.open(self._at(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _GONE:
                raise KeyError(key) from error
            if error.errno == errno.ELOOP:
                raise Corrupt(
                    str(self.path(key)), "is a symbolic link, which a store never holds"
                ) from error
            raise storage_failed(error, f"cannot read {self.path(key)}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise KeyError(key)
        return descriptor

    def get(self, key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        # Only what never changes may stay open.
        keep = key.startswith("packs/")
        file = self._descriptors.acquire(key) if keep else OpenDescriptor(self._open(key))
        try:
            if offset < 0 or size is None:
                length = os.fstat(file.descriptor).st_size
                offset = max(0, length + offset) if offset < 0 else offset
                size = length - offset if size is None else size
            self.observe("read", key)
            parts, position, left = [], offset, size
            while left > 0:
                part = os.pread(file.descriptor, left, position)
                if not part:
                    break
                parts.append(part)
                position += len(part)
                left -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        except OSError as error:
            raise storage_failed(error, f"cannot read {self.path(key)}") from error
        finally:
            if keep:
                self._descriptors.release(file)
            else:
                os.close(file.descriptor)

    def close(self) -> None:
        """Close all descriptors, each once no read uses it. The backend can still be used."""
        self._descriptors.close()

    def list(self, prefix: str) -> Iterator[Entry]:
        folders = [prefix]
        while folders:
            folder = folders.pop()
            self.observe("list", folder)
            try:
                at = self._at(folder)
                if os.path.islink(at):
                    raise Corrupt(at, "is a symbolic link, which a store never holds")
                with os.scandir(at) as found:
                    entries = sorted(found, key=lambda e: e.name)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise storage_failed(error, f"cannot list {self.path(folder)}") from error
            for entry in entries:
                key = f"{folder}/{entry.name}"
                if entry.is_symlink():
                    raise Corrupt(str(self.path(key)), "is a symbolic link, which a store never holds")
                if entry.is_dir():
                    folders.append(key)
                elif entry.is_file():
                    try:
                        yield Entry(key, entry.stat(follow_symlinks=False).st_size)
                    except FileNotFoundError:
                        continue

    def change_token(self, prefix: str) -> int | None:
        try:
            self._look_at(prefix)
            return os.stat(f"{self._root}/{prefix}", follow_symlinks=False).st_mtime_ns
        except OSError:
            return None

    # -- writing

    def _folder(self, key: str) -> Path:
        """Return the folder of a key; one that is missing is made, durably."""
        make_folder(
            self.path(key).parent,
            shared=self.shared,
            observe=lambda: self.observe("fsync-folder", key),
        )
        return self.path(key).parent

    def put_new(self) -> Upload:
        with translated(f"cannot write in {self.root}"):
            file = self.open_own(TMP)
        return LocalUpload(file, self.path, self.observe)

    def compare_and_swap(self, key: str, expected: bytes | None, content: bytes | None) -> bool:
        with self.lock("refs"):
            try:
                current: bytes | None = self.get(key)
            except KeyError:
                current = None
            if current != expected:
                return False
            done = "replaced" if content is not None else "removed"
            with translated(f"cannot replace {self.path(key)}", done=f"{key} was {done}"):
                if content is None:
                    self.observe("unlink", key)
                    os.unlink(self.path(key))
                    self.observe("fsync-folder", key)
                    confirm_folder(self.path(key).parent)
                    self._prune(key)
                else:
                    self._replace(key, content)
            return True

    def open_own(self, suffix: str) -> TemporaryFile:
        """Create a locked file in `tmp`. Raises OSError."""
        return TemporaryFile(
            self.path("tmp/x").parent,
            f"{os.urandom(12).hex()}{suffix}",
            self.file_mode,
            exact_mode=self.shared,
        )

    @contextlib.contextmanager
    def open_temp_roots(self) -> Iterator[TempRoots]:
        with translated(f"cannot write in {self.root}"):
            file = self.open_own(LEAN)
        try:
            yield LocalTempRoots(file.descriptor, self.location, self.observe)
        finally:
            file.remove()

    def temporary_roots(self) -> Iterator[bytes]:
        for entry in list(self.list("tmp")):
            if entry.key.endswith(LEAN) and not is_abandoned(self.path(entry.key)):
                with contextlib.suppress(KeyError):
                    yield self.get(entry.key)

    def _replace(self, key: str, content: bytes) -> None:
        self._folder(key)
        self._make_way(self.path(key))
        replace_file(
            self.path(key),
            content,
            folder=self.path("tmp/x").parent,
            mode=self.file_mode,
            exact_mode=self.shared,
            observe=lambda call: self.observe(call, key),
        )

    def _prune(self, key: str) -> None:
        """Remove the empty folders above a key that is gone, down to those that `create` makes."""
        folder = key.rpartition("/")[0]
        for _ in range(key.count("/") - 2):
            try:
                os.rmdir(self.path(folder))
            except OSError:
                return
            self._folders.discard(folder)
            folder = folder.rpartition("/")[0]

    @staticmethod
    def _make_way(path: Path) -> None:
        """Remove empty folders that deleted refs left where a ref will be: after `a/b`, for `a`."""
        if path.is_symlink():
            raise Corrupt(str(path), "is a symbolic link, which a store never holds")
        if path.is_dir():
            for folder, _, _ in os.walk(path, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def size(self, key: str) -> int | None:
        try:
            status = os.lstat(self._at(key))
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise storage_failed(error, f"cannot read {self.path(key)}") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.observe("unlink", key)
            self._descriptors.forget(key)
            try:
                os.unlink(self.path(key))
            except OSError as error:
                if error.errno not in _GONE:
                    raise storage_failed(error, f"cannot delete {self.path(key)}") from error

    def _fsync_folders(self, folders: set[Path]) -> None:
        for folder in sorted(folders):
            self.observe("fsync-folder", str(folder))
            with translated(f"cannot write in {folder}"):
                fsync_folder(folder)

    def rename(self, moves: Mapping[str, str]) -> set[str]:
        moved, folders = set(), set()
        for old, new in moves.items():
            self._descriptors.forget(old)
            try:
                target = self._folder(new) / new.rpartition("/")[2]
                self.observe("rename", old)
                os.rename(self.path(old), target)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise storage_failed(error, f"cannot rename {self.path(old)}") from error
            moved.add(old)
            folders |= {self.path(old).parent, target.parent}
        self._fsync_folders(folders)
        return moved

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[None]:
        depth: dict[str, int] = self._held.__dict__
        if depth.get(name):
            depth[name] += 1
            try:
                yield
            finally:
                depth[name] -= 1
            return
        with translated(f"cannot lock {self.root}"):
            descriptor = open_lock(
                self.path(f"locks/{name}"), mode=self.file_mode, exact_mode=self.shared
            )
        try:
            self.observe("lock", name)
            with translated(f"cannot lock {self.root}"):
                taken = take_lock(descriptor, wait=wait)
            if not taken:
                raise Conflict(f"another process holds the lock {self.path(f'locks/{name}')}")
            depth[name] = 1
            yield
        finally:
            depth[name] = 0
            os.close(descriptor)

    def activity(self) -> Activity:
        """Return what other commands are doing here now, and what dead ones left."""
        held = []
        for entry in self.list("locks"):
            try:
                with self.lock(entry.key.removeprefix("locks/"), wait=False):
                    pass
            except Conflict:
                held.append(entry.key.removeprefix("locks/"))
        running, writing, left = 0, 0, []
        for entry in self.list("tmp"):
            if entry.key.endswith(NEW) or is_abandoned(self.path(entry.key)):
                left.append(entry)
            elif entry.key.endswith(LEAN):
                running += 1
            else:
                writing += entry.size_bytes
        return Activity(tuple(held), running, writing, tuple(left))

    def sweep(self) -> int:
        """Remove temporary files whose owner is dead, and return how many."""
        return sweep_folder(self.path("tmp/x").parent)

    def free_bytes(self) -> int | None:
        """Return the bytes that a user may still write on this disk; None if it does not say."""
        try:
            found = os.statvfs(self.root)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
