"""The trash: packs go there under the time they went, and come back when they are asked for."""

from __future__ import annotations

import time

import pytest

from mstore.backend import MemoryBackend
from mstore.errors import NotFound
from mstore.objects import blob_id
from mstore.store import Store
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key, trash_key
from mstore.store.trash import TrashedPack, fetch_packs, fetch_wanted, move_to_trash, packs_in_trash
from tests.unit.store.folders import put

A, B = b"one" * 100, b"two" * 100


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> MemoryBackend:
    """An empty one, at second 1234."""
    monkeypatch.setattr(time, "time", lambda: 1234.9)
    return MemoryBackend()


def _pack(backend: MemoryBackend, *contents: bytes) -> bytes:
    with backend.put_new() as upload:
        writer = PackWriter(upload)
        for content in contents:
            writer.add_bytes(blob_id(content), content)
        name = writer.seal()
        upload.publish(pack_key(name))
    return name


def test_a_pack_lies_in_the_trash_under_the_time_it_came(backend: MemoryBackend) -> None:
    one, two = _pack(backend, A), _pack(backend, B)
    content = backend.get(pack_key(one))
    move_to_trash(backend, [one])
    found = packs_in_trash(backend)
    assert found == {one: TrashedPack(trash_key(one, 1234), len(content), 1234)}
    assert backend.size(pack_key(one)) is None and backend.size(pack_key(two)) is not None
    assert backend.get(found[one].key) == content


def test_what_is_no_pack_in_the_trash_is_left_alone(backend: MemoryBackend) -> None:
    backend.kept["trash/notes.txt"] = b"mine"
    assert packs_in_trash(backend) == {}
    fetch_wanted(backend, lambda id: True)
    assert backend.kept == {"trash/notes.txt": b"mine"}


def test_packs_that_hold_what_is_wanted_come_back(backend: MemoryBackend) -> None:
    one, two = _pack(backend, A), _pack(backend, A, B)
    move_to_trash(backend, [one, two])
    fetch_wanted(backend, lambda id: id == blob_id(B))
    assert set(packs_in_trash(backend)) == {one} and backend.size(pack_key(two)) is not None
    fetch_wanted(backend, lambda id: id == blob_id(A))
    assert packs_in_trash(backend) == {} and backend.size(pack_key(one)) is not None


@pytest.mark.parametrize("left", [0, 10, -1])
def test_a_damaged_pack_stays_and_the_rest_comes_back(backend: MemoryBackend, left: int) -> None:
    one, two = _pack(backend, A), _pack(backend, A, B)
    move_to_trash(backend, [one, two])
    key = trash_key(two, 1234)
    backend.kept[key] = backend.kept[key][:left]
    fetch_wanted(backend, lambda id: True)
    assert set(packs_in_trash(backend)) == {two}


def test_packs_come_back_by_name_if_they_are_there(backend: MemoryBackend) -> None:
    one, two = _pack(backend, A), _pack(backend, B)
    before = dict(backend.kept)
    move_to_trash(backend, [one, two])
    fetch_packs(backend, [one, bytes(32)])
    assert set(packs_in_trash(backend)) == {two}
    fetch_packs(backend, [two])
    assert backend.kept == before


def test_a_read_brings_back_what_it_needs(store: Store) -> None:
    """And nobody who only looks whether the index knows it."""
    (id,) = put(store, A)
    (name,) = store.pack_names()
    store.soft_delete([name])
    assert not store.has(id) and store.pack_names() == [] and set(store.trash()) == {name}
    assert store.get(id) == A
    assert store.has(id) and store.pack_names() == [name] and store.trash() == {}


def test_what_was_purged_meanwhile_does_not_come_back(store: Store) -> None:
    (id,) = put(store, A)
    store.soft_delete(store.pack_names())
    store.backend.delete(*(trashed.key for trashed in store.trash().values()))
    with pytest.raises(NotFound):
        store.get(id)
