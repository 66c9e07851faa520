"""The visible part of a version: its files, less those that were forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.objects import Manifest
from mstore.store import forgotten_roles, forgotten_since
from mstore.text import counted, size

if TYPE_CHECKING:
    from mstore.objects import Commit, CommitId
    from mstore.store import Store


def visible_manifest(store: Store, id: CommitId, commit: Commit) -> Manifest:
    """Give the manifest of a version without the files that were dropped for good.

    Raises:
        NotFound, Corrupt.
    """
    manifest = store.manifest(commit.manifest)
    dropped = forgotten_roles(store, id)
    if not dropped:
        return manifest
    return Manifest(tuple(f for f in manifest.files if f.role not in dropped))


def what_is_forgotten(store: Store, id: CommitId, commit: Commit) -> list[str]:
    """Describe which files were dropped, in one sentence for each role."""
    said = []
    for role, time in forgotten_since(store, id):
        files = [f for f in store.manifest(commit.manifest).files if f.role == role]
        lost = size(sum(f.size_bytes for f in files))
        said.append(
            f"the {role} of {id.short} was forgotten on {time.iso()[:10]}:"
            f" {counted(len(files), 'file')} ({lost}) left out"
        )
    return said
