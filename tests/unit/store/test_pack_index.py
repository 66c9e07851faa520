"""What packs hold: in step with packs that come and go, whatever becomes of the catalog."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.errors import StorageFailed
from mstore.objects import (
    Commit,
    Manifest,
    Time,
)
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
