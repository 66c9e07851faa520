"""A store in a folder of this machine: how it is made, and how its backend is opened.

All else that a store does, it does through its backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.backend import LocalBackend
from mstore.errors import InvalidInput
from mstore.fs.durable import fsync_folder, make_folder
from mstore.fs.failures import translated
from mstore.store.identity import STORE_FILE, create_identity, read_identity
from mstore.store.pack_keys import PACK_FOLDERS

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.backend import Observer
    from mstore.store.identity import StoreIdentity

_FOLDERS: Final = ("tmp", "locks", "refs", "logs", "packs", "trash", "quarantine")
_REF_FOLDERS: Final = ("refs/heads", "refs/tags", "refs/notes")


def open_local(path: Path, *, observe: Observer | None = None) -> tuple[LocalBackend, StoreIdentity]:
    """Open the backend of a store in a folder, and read which store it is.

    Args:
        path: the folder.
        observe: is called with each call of the backend; for tests and counts.

    Raises:
        NoStore, Unsupported, Corrupt, StorageFailed: as `read_identity`.
    """
    identity = read_identity(LocalBackend(path))
    return LocalBackend(path, shared=identity.shared, observe=observe), identity


def create_local(path: Path, *, shared: bool = False) -> None:
    """Make an empty store in a folder.

    Args:
        path: the folder; it is made if it is not there.
        shared: its files are group-writable.

    Raises:
        InvalidInput: there is one, or the folder holds something else.
        StorageFailed: the system failed.
    """
    if (path / STORE_FILE).exists():
        raise InvalidInput(str(path), "is a store already")
    with translated(f"cannot make a store at {path}"):
        _make_folders(path, shared)
    # store.json last: a folder without it is no store.
    create_identity(LocalBackend(path, shared=shared), shared=shared)


def _make_folders(path: Path, shared: bool) -> None:
    make_folder(path)
    if not _is_unfinished(path):
        raise InvalidInput(str(path), "is not empty")
    if shared:
        path.chmod(0o2775)
    for folder in (*_FOLDERS, *_REF_FOLDERS, *PACK_FOLDERS):
        target = path / folder
        target.mkdir(parents=True, exist_ok=True)
        if shared:
            target.chmod(0o2775)
    if shared:
        for folder in ("refs", "packs"):
            (path / folder).chmod(0o2775)
    for lock in ("refs", "gc"):
        (path / "locks" / lock).touch()
        if shared:
            (path / "locks" / lock).chmod(0o664)
    for folder in ("packs", "refs", "locks"):
        fsync_folder(path / folder)


def _is_unfinished(path: Path) -> bool:
    """Return whether a folder holds nothing but what an interrupted `init` leaves."""
    for found in path.rglob("*"):
        first, *below = found.relative_to(path).parts
        if first not in _FOLDERS or found.is_symlink():
            return False
        if not found.is_dir() and (first not in ("locks", "tmp") or len(below) != 1):
            return False
    return True
