"""Packs go to the trash first, and those that something needs come back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mstore.errors import Conflict, Corrupt, NotFound
from mstore.maintain.pack_removal import Removed, check_pack, footers, gc_lock, purge, soft_delete
from mstore.objects import BlobId, ObjectId
from mstore.store import Store
from mstore.store.temp_roots import temp_root_record
from mstore.store.transaction import Transaction


def _stored(store: Store, content: bytes) -> tuple[BlobId, bytes]:
    """A blob in a pack of its own."""
    before = set(store.pack_names())
    with Transaction(store, threads=1) as transaction:
        id = transaction.put_bytes(content)
        transaction.publish()
    (name,) = set(store.pack_names()) - before
    return id, name


def _needs(*ids: ObjectId) -> Callable[[], Callable[[ObjectId], bool]]:
    return lambda: set(ids).__contains__


def test_what_nothing_needs_goes_and_the_rest_comes_back(store: Store) -> None:
    (one, first), (_, second) = _stored(store, b"one" * 1000), _stored(store, b"two" * 1000)
    removed = soft_delete(store, footers(store), _needs(one))
    assert removed == Removed(frozenset({second}), frozenset({first}))
    assert set(store.pack_names()) == {first} and set(store.trash()) == {second}
    assert store.get(one) == b"one" * 1000


def test_what_a_running_command_told_comes_back(store: Store) -> None:
    id, name = _stored(store, b"one" * 1000)
    with store.backend.open_temp_roots() as told:
        told.add(temp_root_record(id))
        assert soft_delete(store, footers(store), _needs()).restored == {name}
    assert soft_delete(store, footers(store), _needs()).trashed == {name}


def test_of_two_copies_one_is_enough(store: Store) -> None:
    id, name = _stored(store, b"one" * 1000)
    with Transaction(store, threads=1, rewrite=True) as transaction:
        transaction.copy(store.reader_of(name, store.footer(name)[0]), "")
        transaction.put_bytes(b"so that the new pack has another name")
        (copy,) = transaction.publish()
    assert copy != name
    only = {name: store.footer(name)}
    assert soft_delete(store, only, _needs(id)).trashed == {name}
    assert store.get(id) == b"one" * 1000


def test_what_is_purged_is_gone_for_good(store: Store) -> None:
    id, name = _stored(store, b"one" * 1000)
    soft_delete(store, footers(store), _needs())
    assert store.trash()[name].size_bytes > 0
    purge(store, [name, bytes(32)])
    assert store.trash() == {} and footers(store) == {}
    with pytest.raises(NotFound):
        store.get(id)


def test_one_at_a_time_removes_anything(store: Store, tmp_path: Path) -> None:
    with gc_lock(store):
        other = Store.at(store.path, catalog_path=lambda id: tmp_path / "other.sqlite")
        with pytest.raises(Conflict, match="another gc or repack is running"), gc_lock(other):
            pass
    with gc_lock(store):
        pass


def test_a_pack_that_does_not_read_back_is_corrupt(store: Store) -> None:
    _, name = _stored(store, os.urandom(5000))
    check_pack(store, name)
    (path,) = store.path.rglob("*.pack")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        check_pack(Store.at(store.path), name)
