"""Staging folders: where files lie ready, locked by who writes them."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from dataclasses import dataclass
from typing import Final

from mstore.errors import InvalidInput, StorageFailed
from mstore.fs.locks import take_lock
from mstore.worktree.destination import FOLDER_FLAGS, TEMPORARY_PREFIX, Destination

_SPARED_FOR_S: Final = 600


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
            descriptor = os.open(name, FOLDER_FLAGS, dir_fd=folder)
            try:
                # An empty one may be about to be locked by the process that made it.
                if take_lock(descriptor, wait=False) and (is_old or os.listdir(descriptor)):
                    shutil.rmtree(name, dir_fd=folder)
            finally:
                os.close(descriptor)


def discard(destination: Destination, staged: Staged) -> None:
    """Remove a staging folder and what is left in it."""
    with contextlib.suppress(OSError):
        for name in os.listdir(staged.descriptor):
            with contextlib.suppress(OSError):
                if name.startswith("folder-"):
                    shutil.rmtree(name, dir_fd=staged.descriptor)
                else:
                    os.unlink(name, dir_fd=staged.descriptor)
    with contextlib.suppress(OSError, InvalidInput, StorageFailed), destination.folder([]) as root:
        os.rmdir(staged.folder, dir_fd=root)
    os.close(staged.descriptor)
