"""How large a version is, and how much of it its parent lacks."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.history.sizes import sizes_of, sizes_of_commit
from mstore.objects import Manifest, ManifestFile, Segment, blob_id
from mstore.store import CommitSizes, Store


def _file(path: str, *segments: Segment) -> ManifestFile:
    return ManifestFile(path, "other", sum(s.length for s in segments), segments)


def test_what_the_parent_has_is_not_new_wherever_it_lies() -> None:
    one, other, new = (Segment(blob_id(bytes([i])), 0, 100 * (i + 1)) for i in range(3))
    parent = Manifest((_file("a", one, other),))
    manifest = Manifest((_file("b", other, new), _file("c", one, new)))
    assert sizes_of(manifest, parent, 5) == CommitSizes(5, 900, 300)
    assert sizes_of(manifest, None, 5) == CommitSizes(5, 900, 600)
    assert sizes_of(Manifest(()), parent, 0) == CommitSizes(0, 0, 0)


def test_sizes_of_a_commit_are_computed_once(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    id = repo.resolve("main")
    found = sizes_of_commit(repo.store, id, repo.store.commit(id))
    assert found.size_bytes == repo.manifest("main").size_bytes and found.tensors == 4
    monkeypatch.setattr(Store, "manifest", None)
    assert sizes_of_commit(repo.store, id, repo.store.commit(id)) == found


def test_a_first_version_is_new_as_a_whole(repo: Repository) -> None:
    id = repo.resolve("main~4")
    found = sizes_of_commit(repo.store, id, repo.store.commit(id))
    assert found.added_bytes == found.size_bytes
