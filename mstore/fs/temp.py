"""Temporary files and folders, and who owns them.

A temporary file is locked by the process that writes it from the instant it has its name
(`mstore.fs.locks`); one that can be locked has a dead owner and may be removed: that is what
sweeping does.

A process removes its own. It knows of a file before the file is there, so that an
interruption (Ctrl-C) between any two steps leaves nothing that `remove_own` does not find; the
command line calls that when it is interrupted, and every process at its exit.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from mstore.fs.locks import NEW, create_locked, is_abandoned, take_lock

if TYPE_CHECKING:
    from pathlib import Path

TMP: Final = ".tmp"
LEAN: Final = ".lean"
"""Ends the name of a file of temporary roots."""
TEMPORARY_PREFIX: Final = ".~mstore-"
"""Begins the names of temporary folders and files in a model directory."""
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SPARED_FOR_S: Final = 600

_own: set[TemporaryFile] = set()


class TemporaryFile:
    """A new file, locked and owned by this process until it is removed or released.

    Args:
        folder: where.
        name: a free name, which ends in `.tmp` or `.lean`.
        mode: permissions, less the umask unless `exact_mode`.
        exact_mode: give it exactly these permissions.

    Attributes:
        path: the file.
        descriptor: open for appending.

    Raises:
        OSError: the system failed; nothing is left.
    """

    def __init__(self, folder: Path, name: str, mode: int, *, exact_mode: bool = False) -> None:
        self.path = folder / name
        self.descriptor = -1
        self._process = os.getpid()
        _own.add(self)  # Before it is there: an interruption from here on finds it.
        try:
            self.descriptor = create_locked(folder, name, mode, exact_mode=exact_mode)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the file, if it still has its name, and close it."""
        self.unlink()
        self.release()

    def release(self) -> None:
        """Close the file, which has another name now."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        _own.discard(self)

    def unlink(self) -> None:
        """Remove its name; in a forked process, do nothing."""
        if self._process != os.getpid():
            return
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        if self.descriptor < 0:
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}{NEW}")


def remove_own() -> None:
    """Remove the temporary files that this process still owns, after an interruption or at its end.

    Descriptors stay open: a thread that is still at work must not write into another file.
    """
    for file in list(_own):
        file.unlink()
        _own.discard(file)


atexit.register(remove_own)


def sweep_folder(folder: Path) -> int:
    """Remove temporary files whose owner is dead from a folder, and return how many.

    A file is named `.new` for the instant before its owner has locked it: those are
    spared for ten minutes.
    """
    gone, edge = 0, time.time() - _SPARED_FOR_S
    try:
        names = [n for n in os.listdir(folder) if n.endswith((NEW, TMP, LEAN))]
    except OSError:
        return 0
    for name in names:
        with contextlib.suppress(OSError):
            if name.endswith(NEW) and os.lstat(folder / name).st_mtime > edge:
                continue
            gone += is_abandoned(folder / name, and_remove=True)
    return gone


def make_staging(name: str, folder: int) -> int:
    """Make a staging folder that `sweep_staging` leaves alone until its descriptor is closed.

    Args:
        name: its name.
        folder: a descriptor of the folder that it lies in.

    Raises:
        OSError: the system failed.
    """
    os.mkdir(name, dir_fd=folder)
    descriptor = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    with contextlib.suppress(OSError):  # Without locks (some network disks) nothing is swept.
        take_lock(descriptor, wait=False)
    return descriptor


def sweep_staging(folder: int) -> None:
    """Remove the staging folders of killed checkouts; the kernel knows whose owner is dead.

    All that was staged is in the store, or among the copies that `undo` restores.
    """
    try:
        names = [name for name in os.listdir(folder) if name.startswith(TEMPORARY_PREFIX)]
    except OSError:
        return
    import shutil

    for name in names:
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_old = status.st_mtime < time.time() - _SPARED_FOR_S
            if not stat.S_ISDIR(status.st_mode):
                if is_old:
                    os.unlink(name, dir_fd=folder)
                continue
            descriptor = os.open(name, FOLDER_FLAGS, dir_fd=folder)
            try:
                # An empty one may be about to be locked by the process that made it.
                if take_lock(descriptor, wait=False) and (is_old or os.listdir(descriptor)):
                    shutil.rmtree(name, dir_fd=folder)
            finally:
                os.close(descriptor)


__all__ = [
    "FOLDER_FLAGS",
    "LEAN",
    "TEMPORARY_PREFIX",
    "TMP",
    "TemporaryFile",
    "make_staging",
    "remove_own",
    "sweep_folder",
    "sweep_staging",
]
