"""What packs hold: in step with packs that come and go, whatever becomes of the catalog."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.errors import Corrupt, NotFound, StorageFailed
from mstore.objects import Commit, Manifest, Time
from mstore.store import Store
from mstore.store.catalog import Catalog
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.unit.store.folders import put, with_catalog


def test_the_catalog_may_vanish_or_be_noise(store: Store, tmp_path: Path) -> None:
    content = os.urandom(10_000)
    (id,) = put(store, content)
    for damage in (b"", b"noise" * 1000, None):
        store.close()
        if damage is None:
            (tmp_path / "catalog.sqlite").unlink()
        else:
            (tmp_path / "catalog.sqlite").write_bytes(damage)
        again = Store.at(store.path, catalog_path=lambda id: tmp_path / "catalog.sqlite")
        assert again.get(id) == content
        again.close()


def test_a_catalog_that_lost_rows_is_made_anew(store: Store) -> None:
    (id,) = put(store, b"x" * 5000)
    with store.catalog._transaction() as connection:
        connection.execute("DELETE FROM objects")
    assert store.get(id) == b"x" * 5000


def test_a_catalog_that_cannot_be_written_is_made_anew_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsck makes it anew, in a store that its user may only read as well."""
    with contextlib.closing(with_catalog(tmp_path)) as store:
        (id,) = put(store, b"kept")
    connect = Catalog._connect

    def reading(at: Path | None) -> sqlite3.Connection:
        connection = connect(at)
        if at is not None:
            connection.execute("PRAGMA query_only = ON")
        return connection

    monkeypatch.setattr(Catalog, "_connect", staticmethod(reading))
    monkeypatch.setattr(Catalog, "_discard", staticmethod(lambda at: None))
    for removable in (False, True):
        store = with_catalog(tmp_path)
        if removable:
            monkeypatch.setattr(Path, "exists", lambda self: False)
        store.rebuild()
        assert store.get(id) == b"kept"
        store.close()
    assert (tmp_path / "catalog.sqlite").is_file()


@pytest.mark.parametrize("call", ["body", "add"])
def test_a_catalog_that_fails_when_a_pack_is_taken_in_is_made_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real: Callable[..., Any] = getattr(Catalog, call)
    failed: list[str] = []

    def failing(self: Catalog, *arguments: Any) -> Any:
        if not failed:
            failed.append(call)
            raise sqlite3.DatabaseError("database disk image is malformed")
        return real(self, *arguments)

    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        commit = Commit((), Manifest(()).id, "Ada", Time(0, 0), "kept")
        writer.add_bytes(commit.id, commit.encoded)
        name = writer.seal()
        upload.publish(pack_key(name))
    monkeypatch.setattr(Catalog, call, failing)
    store.index_pack(name)
    assert failed and store.catalog.packs() == {name}
    assert store.commit(commit.id) == commit


def test_packs_of_others_are_found(store: Store, tmp_path: Path) -> None:
    other = Store.at(store.path)
    (id,) = put(other, b"y" * 5000)
    assert store.get(id) == b"y" * 5000


def test_a_read_only_store_reads_without_a_catalog(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = put(store, b"z" * 5000)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    reader = Store.at(store.path, catalog_path=lambda id: Path("/proc/nowhere/catalog.sqlite"))
    assert reader.read_only
    assert reader.get(id) == b"z" * 5000
    with pytest.raises(StorageFailed, match="read-only"):
        Transaction(reader)


# -- packs that come and go


def _other(store: Store) -> Store:
    """Another process, as far as a store can tell."""
    return Store.at(store.path)


def test_packs_that_came_and_went_are_seen_by_a_refresh(store: Store) -> None:
    (one,) = put(store, b"one" * 1000)
    (first,) = store.pack_names()
    (two,) = put(_other(store), b"two" * 1000)
    (store.path / pack_key(first)).unlink()
    assert store.has(one) and not store.has(two), "the index is as it was"
    store.refresh()
    assert store.has(two) and not store.has(one)
    assert store.size_of(two) == 3000 and store.size_of(one) is None
    assert store.catalog.packs() == set(store.pack_names()) != {first}


def test_what_moved_to_another_pack_is_found_there(store: Store) -> None:
    """As a repack in another process leaves it: the old pack is gone, a new one has its objects."""
    (id,) = put(store, b"one" * 1000)
    (old,) = store.pack_names()
    other = _other(store)
    with Transaction(other, threads=1, rewrite=True) as transaction:
        transaction.copy(other.reader_of(old, other.footer(old)[0]), "")
        transaction.put_bytes(b"so that the new pack has another name")
        transaction.publish()
    store.close()  # An open descriptor would still read what was deleted.
    (store.path / pack_key(old)).unlink()
    assert store.get(id) == b"one" * 1000
    assert old not in store.catalog.packs()


def test_only_folders_that_changed_are_listed_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, b"one" * 1000)
    for path in (store.path / "packs").iterdir():
        os.utime(path, (1000, 1000))  # What changed a moment ago may change again unseen.
    store.refresh()
    listed: list[str] = []
    real = store.backend.list

    def watched(prefix: str) -> Any:
        listed.append(prefix)
        return real(prefix)

    monkeypatch.setattr(store.backend, "list", watched)
    store.refresh()
    assert listed == []
    put(_other(store), b"two" * 1000)
    store.refresh()
    new = {f"packs/{name.hex()[:2]}" for name in store.pack_names()}
    assert 0 < len([key for key in listed if key != "packs"]) <= len(new)


def test_a_damaged_pack_is_listed_with_its_reason_and_the_rest_is_read(store: Store) -> None:
    (one,) = put(store, b"one" * 1000)
    (first,) = store.pack_names()
    (two,) = put(store, b"two" * 1000)
    path = store.path / pack_key(first)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    fresh = _other(store)
    fresh.refresh()
    assert set(fresh.damaged) == {first} and isinstance(fresh.damaged[first], Corrupt)
    assert fresh.get(two) == b"two" * 1000 and fresh.catalog.packs() == set(fresh.pack_names()) - {
        first
    }
    with pytest.raises(Corrupt, match=first.hex()[:12]) as caught:
        fresh.get(one)
    assert one.short in caught.value.where
    with pytest.raises(Corrupt):
        fresh.index_pack(first)
    with pytest.raises(Corrupt):
        fresh.footer(first)


def test_there_is_no_footer_of_a_pack_that_is_not_there(store: Store) -> None:
    put(store, b"one" * 1000)
    with pytest.raises(KeyError):
        store.footer(bytes(32))
    store.index_pack(bytes(32))
    assert bytes(32) not in store.catalog.packs() and store.damaged == {}


def test_packs_are_named_and_weighed_by_what_is_on_the_disk(store: Store) -> None:
    assert store.pack_names() == [] and store.stored_bytes() == 0
    for content in (b"one" * 1000, b"two" * 1000):
        put(_other(store), content)
    files = sorted((store.path / "packs").rglob("*.pack"))
    assert [name.hex() for name in store.pack_names()] == sorted(path.stem for path in files)
    assert store.stored_bytes() == sum(path.stat().st_size for path in files) > 0


def test_a_read_only_store_takes_nothing_out_of_the_trash(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = put(store, b"one" * 1000)
    names = store.pack_names()
    store.soft_delete(names)
    monkeypatch.setattr(store.backend, "read_only", True)
    with pytest.raises(NotFound):
        store.get(id)
    assert set(store.trash()) == set(names)
    monkeypatch.setattr(store.backend, "read_only", False)
    store.undelete_packs(names)
    assert store.has(id) and store.trash() == {}
