"""Staging folders: where files lie ready, locked by who writes them."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.errors import InvalidInput, StorageFailed
from mstore.fs.temp import make_staging, sweep_staging

if TYPE_CHECKING:
    from mstore.worktree.destination import Destination


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


def discard(destination: Destination, staged: Staged) -> None:
    """Remove a staging folder and its remaining files."""
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


__all__ = ["Staged", "discard", "make_staging", "sweep_staging"]
