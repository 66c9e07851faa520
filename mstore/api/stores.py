"""Open a store by a folder that holds it, without a workspace."""

from __future__ import annotations

from pathlib import Path

from mstore.store import STORE_FILE, Store
from mstore.workspace import FOLDER


def open_store(path: str | Path, cache: Path) -> Store:
    """Open a store alone.

    Args:
        path: the store, or a folder with a `.mstore` or `store` that holds it.
        cache: the folder in which its catalog lies.

    Raises:
        NoStore: nothing is there.
        Corrupt, Unsupported: it cannot be read.
    """
    folder = Path(path).absolute()
    for inside in (folder / FOLDER / "store", folder / "store"):
        if not (folder / STORE_FILE).exists() and (inside / STORE_FILE).exists():
            folder = inside
    return Store.at(folder, catalog_path=lambda id: cache / f"{id}.sqlite")
