"""A model directory on disk: which files it holds, and their bytes.

Hides symbolic links, special files and descriptors. A symbolic link is
followed only inside the root of a Hugging Face cache (`models--…`), whose
snapshots consist of links to its blobs; everything else that is no regular file
is refused. Files are read with pread and never mapped: one that is truncated
under a mapping kills the process.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mstore.errors import BadPath, InvalidInput, NotFound
from mstore.frozen import frozen
from mstore.fs.failures import unreadable
from mstore.objects import check_path
from mstore.worktree.ignore import Rules, rules_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 8 << 20


@frozen(slots=True)
class Stamp:
    """The numbers that differ after a file changes; all times in nanoseconds."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Make the stamp of a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


@frozen(slots=True)
class ScannedFile:
    """A file of a model directory.

    Args:
        path: relative, `/` between parts.
        shown: the path to name it by, with the directory's.
        real: where its bytes are (a link's target inside a Hugging Face cache).
        stamp: its stamp when it was found.
    """

    path: str
    shown: str
    real: Path
    stamp: Stamp


@frozen(slots=True)
class Scan:
    """The files of a model directory.

    Args:
        root: the directory.
        files: its files, sorted by path.
        ignored: paths of ignored files and folders (these with a `/` at the end).
    """

    root: Path
    files: tuple[ScannedFile, ...]
    ignored: tuple[str, ...]

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all files."""
        return tuple(f.path for f in self.files)


def _cache_root(root: Path) -> Path | None:
    """Return the `models--…` folder that a snapshot lies in, or None."""
    for folder in (root, *root.parents):
        if folder.name.startswith(("models--", "datasets--")) and (folder / "blobs").is_dir():
            return folder
    return None


def scan(root: Path, *, rules: Rules | None = None, exclude: tuple[Path, ...] = ()) -> Scan:
    """List a model directory.

    Args:
        root: the directory.
        rules: what to leave out; default: those of the directory.
        exclude: folders that are left out wherever they lie (a store, a workspace).

    Raises:
        NotFound: there is no such directory.
        BadPath: a name in it cannot be stored.
        InvalidInput: it holds a special file, an unreadable one, or a link that leads elsewhere.
    """
    if not root.exists():
        raise NotFound(f"no such folder: {root}")
    if not root.is_dir():
        raise InvalidInput(str(root), "is a file; name the folder that it lies in")
    rules = rules or rules_for(root)
    real_root = root.resolve()
    cache = _cache_root(real_root)
    hidden = {os.path.realpath(p) for p in exclude}
    files: list[ScannedFile] = []
    ignored: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules(path, is_folder):
                ignored.append(path + "/" * is_folder)
                continue
            if is_folder:
                if hidden and os.path.realpath(entry.path) in hidden:
                    ignored.append(path + "/")
                else:
                    folders.append(path)
                continue
            files.append(_found(entry, path, cache))
    files.sort(key=lambda f: f.path.encode())
    return Scan(root, tuple(files), tuple(sorted(ignored)))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise unreadable(error, str(folder), "cannot be listed") from error


def _found(entry: os.DirEntry[str], path: str, cache: Path | None) -> ScannedFile:
    check_path(path)
    real = Path(entry.path)
    try:
        if entry.is_symlink():
            real = Path(os.path.realpath(entry.path))
            if cache is None or not real.is_relative_to(cache):
                raise BadPath(
                    entry.path,
                    "is a symbolic link; links are followed inside a Hugging Face cache only",
                    hint="put the file itself there, or leave the link out with .mstoreignore",
                )
        status = os.stat(real)
    except OSError as error:
        raise unreadable(error, entry.path) from error
    if not stat.S_ISREG(status.st_mode):
        kind = {
            stat.S_IFIFO: "FIFO",
            stat.S_IFSOCK: "socket",
            stat.S_IFCHR: "device",
            stat.S_IFBLK: "device",
            stat.S_IFDIR: "link to a folder",
        }.get(stat.S_IFMT(status.st_mode), "special file")
        raise InvalidInput(entry.path, f"is a {kind}, not a file")
    return ScannedFile(path, entry.path, real, Stamp.of(status))


class OpenFile:
    """A file that is being read; a `formats.ByteSource`.

    Args:
        file: what `scan` found.

    Raises:
        InvalidInput: it cannot be opened, or is no longer the file that was found.
    """

    def __init__(self, file: ScannedFile) -> None:
        self.name = file.shown
        self._real = file.real
        self.size_bytes = file.stamp.size_bytes
        self._stamp = file.stamp
        try:
            self._descriptor = os.open(
                file.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError as error:
            raise unreadable(error, self.name) from error

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """The open file, for copies inside the kernel."""
        return self._descriptor

    def read(self, offset: int, size: int, /) -> bytes:
        """Read exactly `size` bytes from `offset`.

        Raises:
            InvalidInput: the file has become shorter, or cannot be read.
        """
        parts = []
        try:
            while size:
                part = os.pread(self._descriptor, min(size, _CHUNK_BYTES), offset)
                if not part:
                    raise InvalidInput(self.name, "became shorter while it was being read")
                parts.append(part)
                offset += len(part)
                size -= len(part)
        except OSError as error:
            raise unreadable(error, self.name) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def check_unchanged(self) -> None:
        """Check that the file is still the one that the scan found.

        Raises:
            InvalidInput: its size, times or inode differ.
        """
        try:
            now = Stamp.of(os.fstat(self._descriptor))
            named = Stamp.of(os.stat(self._real))
        except OSError as error:
            raise unreadable(error, self.name, "vanished while it was being read") from error
        if now != self._stamp or named != self._stamp:
            raise InvalidInput(
                self.name, "changed while it was being read", hint="commit again once it is written"
            )


class DiskFolder:
    """The small files of a directory by path; a `formats.FolderSource`."""

    def __init__(self, found: Scan) -> None:
        self._files = {f.path: f for f in found.files}

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all files."""
        return tuple(self._files)

    def _file(self, path: str) -> ScannedFile:
        file = self._files.get(path)
        if file is None:
            raise NotFound(f"no file {path}")
        return file

    def size_bytes(self, path: str, /) -> int:
        """Return the size of a file in bytes. Raises NotFound."""
        return self._file(path).stamp.size_bytes

    def read(self, path: str, /) -> bytes:
        """Read all bytes of a file. Raises NotFound, InvalidInput."""
        file = self._file(path)
        with OpenFile(file) as source:
            return source.read(0, source.size_bytes)


def checkpoints_in(root: Path) -> tuple[str, ...]:
    """List the names of the `checkpoint-N` folders in a directory, by step."""

    def steps() -> Iterator[tuple[int, str]]:
        for entry in _entries(root):
            step = entry.name.removeprefix("checkpoint-")
            if step != entry.name and step.isdigit() and entry.is_dir(follow_symlinks=False):
                yield int(step), entry.name

    return tuple(name for _, name in sorted(steps()))


__all__ = ["DiskFolder", "OpenFile", "Scan", "ScannedFile", "Stamp", "checkpoints_in", "scan"]
