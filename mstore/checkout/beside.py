"""Write a version into a new folder: beside where it goes, then renamed there."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from mstore.errors import Conflict, DurabilityUnknown
from mstore.fs.durable import UnconfirmedChange, confirm_folder, make_folder
from mstore.fs.failures import storage_failed
from mstore.worktree.destination import TEMPORARY_PREFIX, Destination, check_paths
from mstore.worktree.staging import discard, make_staging, sweep_staging
from mstore.worktree.swap import put_in_place
from mstore.worktree.writer import write_staged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mstore.objects import Manifest, ManifestFile
    from mstore.progress import Progress
    from mstore.store import Store


def write_beside(store: Store, manifest: Manifest, to: Path, progress: Progress | None) -> None:
    """Write a new folder next to where it goes, then rename it there.

    Args:
        store: where its blobs are.
        manifest: its files.
        to: the folder, absent or empty.
        progress: called with bytes written.

    Raises:
        Conflict: something came into being there meanwhile.
        DurabilityUnknown: the folder is there, and may not outlast a power cut.
        BadPath, Corrupt, NotFound, StorageFailed: nothing was written.
    """
    parent = to.absolute().parent
    beside = parent / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
    try:
        make_folder(parent)
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sweep_staging(above)
            lock = make_staging(beside.name, above)
        finally:
            os.close(above)
    except OSError as error:
        raise storage_failed(error, f"cannot write in {parent}") from error
    try:
        with Destination(beside) as destination:
            check_paths(manifest.files, destination)
            staged = write_staged(
                store, manifest.files, destination, progress=byte_progress(manifest.files, progress)
            )
            put_in_place(destination, staged)
            discard(destination, staged)
        try:
            os.rename(beside, to)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise Conflict(
                    f"another program made {to} meanwhile: {error.strerror}",
                    hint="move it away, or name another folder with --to",
                ) from error
            raise storage_failed(error, f"cannot rename {beside.name} to {to}") from error
        try:
            confirm_folder(parent)
        except UnconfirmedChange as error:
            raise error.explained(f"{to} was written") from error
    except DurabilityUnknown:
        raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def byte_progress(
    files: tuple[ManifestFile, ...], progress: Progress | None
) -> Callable[[int], None] | None:
    """Give what adds up the bytes written of some files and reports them, or None."""
    if progress is None:
        return None
    total = sum(f.size_bytes for f in files)
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress("writing", done, total)

    return advance
