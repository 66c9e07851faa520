"""The files of a version, read out of the store as if they lay on a disk."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.errors import Corrupt, NotFound
from mstore.modeldir.stored_tree import StoredFile, StoredFolder, facts_of_manifest, layouts_of
from mstore.objects import Manifest, ManifestFile, Segment, blob_id
from tests.conftest import contents
from tests.unit.compare.folders import adapter, committed, of, write_model


def test_stored_files_are_the_committed_ones(place, tmp_path):
    folder = write_model(tmp_path / "m")
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    stored = StoredFolder(place.store, manifest)
    rng = random.Random(0)
    assert {p: stored.read(p) for p in stored.paths()} == contents(folder)
    for path, content in contents(folder).items():
        file = stored.file(path)
        assert (file.name, file.size_bytes) == (path, len(content))
        assert b"".join(file.chunks()) == content
        for _ in range(50):
            begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
            assert file.read(begin, end - begin) == content[begin:end]
        with pytest.raises(Corrupt):
            file.read(1, len(content))
        with pytest.raises(Corrupt):
            file.read(-1, 1)
    with pytest.raises(NotFound):
        stored.read("absent")


@given(
    cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=8),
    reads=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=8),
)
def test_ranges_of_any_segments(cuts, reads):
    blob = bytes(range(100))
    id = blob_id(blob)

    class Store:
        def range(self, blob_of, offset, size):
            assert blob_of == id
            assert offset + size <= 100
            return blob[offset : offset + size]

        def get(self, blob_of):
            return blob

    segments = tuple(Segment(id, offset, length) for offset, length in cuts)
    content = b"".join(blob[s.offset : s.offset + s.length] for s in segments)
    entry = ManifestFile("f", "other", len(content), segments)
    store: Any = Store()
    file = StoredFile(store, entry)
    assert StoredFolder(store, Manifest((entry,))).read("f") == content
    for offset, size in reads:
        if offset + size <= len(content):
            assert file.read(offset, size) == content[offset : offset + size]


def test_facts_of_a_version_are_its_folders(place, tmp_path):
    folder = adapter(tmp_path / "r4", r=4)
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    assert facts_of_manifest(place.store, manifest) == of(folder).facts
    assert list(layouts_of(place.store, manifest)) == ["adapter_model.safetensors"]
    assert layouts_of(place.store, manifest, roles=("weights",)) == {}


def test_a_damaged_blob_is_not_read_as_if_it_were_whole(place, tmp_path):
    folder = write_model(tmp_path / "m")
    id = committed(place, folder)
    manifest = place.store.manifest(place.store.commit(id).manifest)
    for pack in (place.store.path / "packs").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[2000] ^= 1  # in the first blob
        pack.chmod(0o644)
        pack.write_bytes(content)
    folder = StoredFolder(place.store, manifest)
    with pytest.raises(Corrupt):
        for path in folder.paths():
            folder.read(path)
