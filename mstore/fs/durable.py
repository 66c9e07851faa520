"""Writing so that it outlasts a power cut: files, folders, and names.

Hides F_FULLFSYNC, the order of fsyncs, and temporary files of small replacements.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from mstore.fs.failures import UnconfirmedChange
from mstore.fs.temp import TMP, TemporaryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer


def fsync_file(descriptor: int) -> None:
    """Force a file's bytes to the disk itself (macOS: past the drive's cache)."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError:
            pass  # Not every file system has it; fsync is what is left.
    os.fsync(descriptor)


def fsync_folder(path: str | Path, dir_fd: int | None = None) -> None:
    """Force a folder's names to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        fsync_file(descriptor)
    finally:
        os.close(descriptor)


def make_folder(
    path: Path, *, shared: bool = False, observe: Callable[[], None] = lambda: None
) -> None:
    """Make a folder, and those above it that are not there, durably.

    Args:
        path: the folder; nothing happens where it exists.
        shared: new ones are group-writable.
        observe: is called at each fsync.

    Raises:
        OSError: the system failed.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for new in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(new, 0o2775 if shared else 0o777)
            if shared:
                os.chmod(new, 0o2775)
        observe()
        fsync_folder(new.parent)


def confirm_folder(path: Path) -> None:
    """Force a folder's names to the disk after a change that is visible already.

    Raises:
        UnconfirmedChange: the disk failed.
    """
    try:
        fsync_folder(path)
    except OSError as error:
        raise UnconfirmedChange(error.errno, error.strerror) from error


def start_writing(descriptor: int, offset: int, size: int) -> None:
    """Have the kernel begin to write a range that was just filled, and return at once.

    The disk works while the next blocks are coded, and the fsync at the end has
    little left to wait for. (The advice drops pages that are clean; these are
    dirty, so that all it does is to start the write.)
    """
    advise = getattr(os, "posix_fadvise", None)
    if advise is not None and size > 0:
        with contextlib.suppress(OSError):
            advise(descriptor, offset, size, os.POSIX_FADV_DONTNEED)


def write_all(descriptor: int, content: Buffer) -> None:
    """Write all bytes, in as many calls as the system needs."""
    view = memoryview(content).cast("B")
    while len(view):
        view = view[os.write(descriptor, view) :]


def replace_file(  # noqa: PLR0913 - what `replacement` takes, passed on
    target: Path,
    content: bytes,
    *,
    folder: Path | None = None,
    mode: int = 0o666,
    exact_mode: bool = False,
    durable: bool = True,
    observe: Callable[[str], None] = lambda call: None,
) -> None:
    """Replace a small file so that a crash leaves the old bytes or the new, durably.

    Arguments are those of `replacement`.

    Raises:
        UnconfirmedChange: it is replaced, and may not outlast a power cut.
        OSError: the system failed; the target is as it was.
    """
    with replacement(
        target,
        content,
        folder=folder,
        mode=mode,
        exact_mode=exact_mode,
        durable=durable,
        observe=observe,
    ) as put:
        put()


@contextlib.contextmanager
def replacement(  # noqa: PLR0913 - each has its caller, and no two go together
    target: Path,
    content: bytes,
    *,
    folder: Path | None = None,
    mode: int = 0o666,
    exact_mode: bool = False,
    durable: bool = True,
    observe: Callable[[str], None] = lambda call: None,
) -> Iterator[Callable[[], None]]:
    """Write and sync a temporary file; yields a function that atomically renames it over the target.

    That needs no more room, so that it does not fail on a full disk after other steps.

    Args:
        target: the file.
        content: its new bytes.
        folder: where the temporary file lies, on the same file system; None: beside it.
        mode: permissions, less the umask unless `exact_mode`.
        durable: wait for the disk; without it a power cut may leave an empty file.
        observe: is called with each system call that matters.

    Raises:
        UnconfirmedChange: (when it is put in place) it is, and may not outlast a power cut.
        OSError: the system failed; the target is as it was.
    """
    name = f".{target.name}-{os.urandom(6).hex()}{TMP}"
    temporary = TemporaryFile(folder or target.parent, name, mode, exact_mode=exact_mode)
    in_place = False

    def put() -> None:
        nonlocal in_place
        observe("rename")
        os.rename(temporary.path, target)
        in_place = True
        if durable:
            observe("fsync-folder")
            confirm_folder(target.parent)

    try:
        observe("write")
        write_all(temporary.descriptor, content)
        if durable:
            observe("fsync")
            fsync_file(temporary.descriptor)
        yield put
    finally:
        if in_place:
            temporary.release()
        else:
            temporary.remove()


__all__ = [
    "UnconfirmedChange",
    "confirm_folder",
    "fsync_file",
    "fsync_folder",
    "make_folder",
    "replace_file",
    "replacement",
    "start_writing",
    "write_all",
]
