"""Temporary files and who owns them.

A temporary file is locked by the process that writes it from the instant it has its
name; one that can be locked has a dead owner and may be removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


NEW: Final = ".new"
TMP: Final = ".tmp"
LEAN: Final = ".lean"
_NEW_FOR_S: Final = 600


def open_locked(folder: Path, name: str, mode: int, *, exact_mode: bool = False) -> tuple[Path, int]:
    """A new file that is locked from the instant it has its name, which ends in `.tmp` or `.lean`.

    Whoever can lock such a file knows that its owner is dead, and may remove it.

    Args:
        folder: where.
        name: a free name.
        mode: permissions, less the umask unless `exact_mode`.

    Returns:
        Its path, and a descriptor that appends.

    Raises:
        OSError: the system failed; nothing is left.
    """
    early, path = folder / f"{name}{NEW}", folder / name
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(early, flags, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if exact_mode:
            os.fchmod(descriptor, mode)
        os.rename(early, path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(early)
        raise
    return path, descriptor


def sweep_folder(folder: Path) -> int:
    """Remove temporary files whose owner is dead from a folder; how many went.

    A file is named `.new` for the instant before its owner has locked it: those are
    spared for ten minutes.
    """
    gone, edge = 0, time.time() - _NEW_FOR_S
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


def is_abandoned(path: Path, *, and_remove: bool = False) -> bool:
    """Whether a locked file's owner is dead; the kernel knows, whatever process ids say."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if and_remove:
            os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
