"""Kernel locks on files: who may do something, and whether the owner of a file is alive.

The one protocol of all locks here:

- A lock is taken with flock(2) on an open file (or folder) and belongs to that descriptor. It
  ends when the descriptor is closed or its process dies, so no lock can be stale.
- A *permanent* lock file (`open_lock`) stays when its lock is released: if it were removed,
  two processes could hold the lock, each in a file of its own. (`checkout.cache` removes its own
  with the folder that they guard, and compares the inode after it has taken one.)
- A *temporary* file or folder is locked by its owner for as long as it is in use. One that
  another process can lock (`is_abandoned`) has a dead owner; that process may remove it while
  it holds the lock. A new file is locked under another name before it gets its
  own (`create_locked`), so that no process finds it unlocked.

No other module takes locks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NEW: Final = ".new"
"""Ends the name that a temporary file has for the instant before its owner has locked it."""


def take_lock(descriptor: int, *, wait: bool = True, shared: bool = False) -> bool:
    """Lock an open file until its descriptor is closed.

    Args:
        descriptor: the file.
        wait: until others have released it.
        shared: beside others that share it.

    Returns:
        Whether it is locked now: False if another process holds it and the caller does not wait.

    Raises:
        OSError: the file system has no locks.
    """
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(path: Path, *, mode: int = 0o666, exact_mode: bool = False) -> int:
    """Open a permanent lock file, and create it if it is missing; `take_lock` locks it.

    Args:
        path: the file.
        mode: permissions of a new one, less the umask unless `exact_mode`.
        exact_mode: give it these permissions if it is ours.

    Raises:
        OSError: the system failed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    if exact_mode:
        # The user who made the file opens it to the group; the others may not, and need not.
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)
    return descriptor


def create_locked(folder: Path, name: str, mode: int, *, exact_mode: bool = False) -> int:
    """Create a file that is locked from the instant it has its name.

    Args:
        folder: where.
        name: a free name.
        mode: permissions, less the umask unless `exact_mode`.
        exact_mode: give it exactly these permissions.

    Returns:
        A descriptor that appends.

    Raises:
        OSError: the system failed; nothing is left.
    """
    early = folder / f"{name}{NEW}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(early, flags, mode)
    try:
        if not take_lock(descriptor, wait=False):
            raise BlockingIOError(errno.EWOULDBLOCK, "another process locked a new file", str(early))
        if exact_mode:
            os.fchmod(descriptor, mode)
        os.rename(early, folder / name)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(early)
        raise
    return descriptor


def is_abandoned(path: Path, *, and_remove: bool = False) -> bool:
    """Return whether the owner of a locked file is dead, as the kernel knows it.

    Args:
        path: the file.
        and_remove: remove it if so, while no other process can.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not take_lock(descriptor, wait=False):
            return False
        if and_remove:
            os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def locks_work(folder: Path) -> bool:
    """Return whether locks work in a folder: whether one keeps out a second one."""
    probe = folder / f".lock-{os.urandom(6).hex()}"
    try:
        one = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        two = os.open(probe, os.O_RDWR | os.O_CLOEXEC)
        try:
            return take_lock(one, wait=False) and not take_lock(two, wait=False)
        except OSError:
            return False
        finally:
            os.close(two)
    finally:
        os.close(one)
        with contextlib.suppress(OSError):
            os.unlink(probe)
