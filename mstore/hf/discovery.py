"""Find, or make, the repository that a training commits to."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Final

import mstore
from mstore.api.repository import Repository
from mstore.errors import InvalidInput, NoStore
from mstore.hf.devices import author_named, repository_at, repository_named

_log: Final = logging.getLogger("mstore.hf")


def find_repository(store: str | os.PathLike[str] | Repository | None, output_dir: str) -> Repository:
    """Give the repository to commit to: the one given, else found, else made in the current folder."""
    if isinstance(store, Repository):
        return store
    if store is not None:
        path = os.path.abspath(os.fspath(store))
        if any(os.path.lexists(os.path.join(path, name)) for name in (".mstore", "store.json")):
            return repository_at(path)
        return _made_store(path)
    named = repository_named()
    if named is not None:
        return named
    for start in (None, output_dir):
        with contextlib.suppress(NoStore):
            return mstore.open(start, author=author_named())
    return _made_store(os.getcwd())


def _made_store(path: str) -> Repository:
    """Make a repository in a folder, or open the one that another job just made."""
    os.makedirs(path, exist_ok=True)
    try:
        mstore.init(path).close()
    except InvalidInput:
        if not os.path.lexists(os.path.join(path, ".mstore")):
            raise
        return mstore.open(workspace=path, author=author_named())
    made = mstore.open(workspace=path, author=author_named())
    _log.warning("mstore: made a new store in %s", path)
    return made
