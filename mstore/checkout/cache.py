"""A cache of versions as folders, for libraries that take a path.

One folder a version, read-only, shared by all processes of a user, and as large
together as a limit says: the one that was used longest ago goes first, and none
goes while a process uses it (a kernel lock says which).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

from mstore.checkout.execute import checkout
from mstore.errors import StorageFailed
from mstore.fs.failures import storage_failed
from mstore.fs.locks import open_lock, take_lock
from mstore.modeldir.visible import visible_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.context import Context
    from mstore.objects import CommitId

LIMIT_BYTES: Final = 50 << 30
_LOCK: Final = "lock"


def cached_folder(context: Context, id: CommitId, cache: Path, limit_bytes: int) -> tuple[Path, int]:
    """Write a version into the cache, unless it is there, and keep it there.

    Args:
        context: where the version is.
        id: which.
        cache: the folder of the cache.
        limit_bytes: how large all versions in it may be together; the one asked for is
            written even if it alone is larger.

    Returns:
        The folder, named by the short id, and a descriptor: as long as it is open, the folder stays.

    Raises:
        NotFound, Corrupt, StorageFailed.
    """
    holder = cache / context.store.identity.id / id.hex
    folder, lock = holder / id.short, holder / _LOCK
    try:
        while True:
            holder.mkdir(parents=True, exist_ok=True)
            descriptor = _locked(lock, shared=True)
            if _same(descriptor, lock) and _is_whole(context, id, folder):
                os.utime(descriptor)
                return folder, descriptor
            os.close(descriptor)
            descriptor = _locked(lock, shared=False)
            try:
                if _same(descriptor, lock) and not _is_whole(context, id, folder):
                    _write(context, id, folder)
                    if not _is_whole(context, id, folder):
                        raise StorageFailed(
                            f"{folder} was changed while it was being written",
                            hint="the cache is for mstore alone; run the same command again",
                        )
                    _evict(cache, limit_bytes, keep=holder)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise storage_failed(error, f"cannot write in {cache}") from error


def _locked(path: Path, *, shared: bool) -> int:
    descriptor = open_lock(path)
    take_lock(descriptor, shared=shared)
    return descriptor


def _same(descriptor: int, path: Path) -> bool:
    """Return whether a lock is still the one in its place: who removes a version removes its lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _is_whole(context: Context, id: CommitId, folder: Path) -> bool:
    """Return whether all files exist in their sizes; their contents were checked when written."""
    manifest = visible_manifest(context.store, id, context.store.commit(id))
    try:
        return all((folder / f.path).stat().st_size == f.size_bytes for f in manifest.files)
    except OSError:
        return False


def _write(context: Context, id: CommitId, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    checkout(context, id, to=folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)


def _evict(cache: Path, limit_bytes: int, *, keep: Path) -> None:
    """Remove versions not in use, the longest unused first, until the rest fits."""
    sizes = {
        lock.parent: sum(p.stat().st_size for p in lock.parent.rglob("*") if p.is_file())
        for lock in cache.glob(f"*/*/{_LOCK}")
    }
    total = sum(sizes.values())
    for holder in sorted(sizes, key=lambda h: (h / _LOCK).stat().st_mtime_ns):
        if total <= limit_bytes:
            return
        if holder == keep:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(holder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                if take_lock(descriptor, wait=False):
                    shutil.rmtree(holder)
                    total -= sizes[holder]
            finally:
                os.close(descriptor)
