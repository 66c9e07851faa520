"""The size of a version, and of the part that its parent lacks.

Apart from the rest so that listing history loads no format and no codec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.objects import MODEL_ROLES
from mstore.store import CommitSizes

if TYPE_CHECKING:
    from mstore.objects import Commit, CommitId, Manifest
    from mstore.store import Store


def sizes_of(manifest: Manifest, parent: Manifest | None, tensors: int) -> CommitSizes:
    """Compute the sizes of a version, given its parent's manifest."""
    there = {s.blob for f in parent.files for s in f.segments} if parent is not None else set()
    new = {s for f in manifest.files for s in f.segments if s.blob not in there}
    return CommitSizes(tensors, manifest.size_bytes, sum(s.length for s in new))


def sizes_of_commit(store: Store, id: CommitId, commit: Commit) -> CommitSizes:
    """Return the sizes of a commit, from the catalog or computed and recorded there."""
    known = store.catalog.sizes(id)
    if known is not None:
        return known
    manifest = store.manifest(commit.manifest)
    tensors = 0
    for file in manifest.files:
        if file.role in MODEL_ROLES and file.layout is not None:
            tensors += len(store.layout(file.layout).tensors)
    parent = store.manifest(store.commit(commit.parents[0]).manifest) if commit.parents else None
    sizes = sizes_of(manifest, parent, tensors)
    store.catalog.note_sizes(id, sizes)
    return sizes
