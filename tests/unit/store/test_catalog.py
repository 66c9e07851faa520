"""The catalog: what it is told it finds, and it may vanish or be noise at any time."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mstore.objects import (
    BlobId,
    Commit,
    CommitId,
    Kind,
    ManifestId,
    ObjectId,
    Time,
    WeightsId,
    blob_id,
)
from mstore.store import CommitSizes
from mstore.store.catalog import Catalog, IndexedPack


def _commit(number: int, *parents: CommitId, weights: WeightsId | None = None) -> Commit:
    own = {"": weights} if weights is not None else {}
    return Commit(parents, ManifestId(bytes(32)), "Ada", Time(number, 0), str(number), {}, {}, own)


def _pack(
    number: int, *commits: Commit, blobs: tuple[tuple[BlobId, int], ...] = (), sketches: Any = ()
) -> IndexedPack:
    objects: list[tuple[ObjectId, int, int, int, int]] = [
        (commit.id, index, 100 * index, 0, 50) for index, commit in enumerate(commits)
    ]
    objects += [(id, 100 + index, 7, depth, 9) for index, (id, depth) in enumerate(blobs)]
    return IndexedPack(
        bytes([number]) * 32,
        1000,
        tuple(objects),
        tuple((c.id, c, c.encoded) for c in commits),
        tuple(sketches),
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "deep/catalog.sqlite")
    yield catalog
    catalog.close()


A, B = blob_id(b"a"), blob_id(b"b")


def test_copies_are_found_the_shallowest_first(catalog: Catalog) -> None:
    catalog.add([_pack(1, blobs=((A, 3), (B, 0))), _pack(2, blobs=((A, 1),))])
    assert catalog.packs() == {bytes([1]) * 32, bytes([2]) * 32}
    assert [(c.pack[0], c.depth, c.frame) for c in catalog.find(A)] == [(2, 1, 100), (1, 3, 100)]
    assert catalog.has(B) and not catalog.has(blob_id(b"c"))
    assert not catalog.has(CommitId(A.raw)), "an id of another kind"
    catalog.add([_pack(1, blobs=((blob_id(b"c"), 0),))])
    assert not catalog.has(blob_id(b"c")), "a pack that is known is not taken in again"


def test_what_only_a_lost_pack_held_is_forgotten(catalog: Catalog) -> None:
    weights = WeightsId(bytes(32))
    one, two = _commit(1, weights=weights), _commit(2, weights=weights)
    catalog.add(
        [_pack(1, one, two), _pack(2, two, blobs=((A, 0),), sketches=((A, b"sketch", (b"k1", b"k2")),))]
    )
    catalog.drop([bytes([1]) * 32])
    assert catalog.body(one.id) is None and catalog.body(two.id) == two.encoded
    assert catalog.with_weights(weights) == (two.id,)
    catalog.drop([bytes([2]) * 32, bytes([9]) * 32])
    assert catalog.packs() == set() and not catalog.has(A) and catalog.sketched([b"k1"]) == {}


def test_short_ids_and_likenesses_are_looked_up(catalog: Catalog) -> None:
    catalog.add([_pack(1, blobs=((A, 0), (B, 0)), sketches=((A, b"sketch", (b"k1", b"k2")),))])
    assert catalog.beginning_with(A.raw, A.raw, A.kind) == [A.raw]
    assert sorted(catalog.beginning_with(bytes(32), b"\xff" * 32, A.kind)) == sorted([A.raw, B.raw])
    assert catalog.beginning_with(bytes(32), b"\xff" * 32, Kind.COMMIT) == []
    assert catalog.sketched([b"k2", b"other"]) == {A: b"sketch"} and catalog.sketched([b"other"]) == {}


def test_history_is_counted_and_models_are_known_by_their_weights(catalog: Catalog) -> None:
    weights = WeightsId(bytes(32))
    one = _commit(1, weights=weights)
    left, right = _commit(2, one.id), _commit(3, one.id, weights=weights)
    both = _commit(4, left.id, right.id)
    catalog.add([_pack(1, one, left, right, both)])
    assert [catalog.reachable(tips) for tips in ([both.id], [left.id], [left.id, right.id], [])] == [
        4,
        2,
        3,
        0,
    ]
    assert catalog.with_weights(weights) == (one.id, right.id), "the oldest first"
    assert catalog.sizes(one.id) is None
    catalog.note_sizes(one.id, CommitSizes(1, 2, 3))
    catalog.note_sizes(one.id, CommitSizes(4, 5, 6))
    assert catalog.sizes(one.id) == CommitSizes(4, 5, 6)


def test_a_folder_that_changed_just_now_is_listed_again(catalog: Catalog) -> None:
    now = time.time_ns()
    new = now + 10**11  # A slow machine must not make it old.
    stamps: list[tuple[str, int | None]] = [("old", now - 10**10), ("new", new), ("none", None)]
    catalog.note_folders(stamps)
    assert catalog.stale_folders(stamps) == [("new", new), ("none", None)]
    assert catalog.stale_folders([("old", 1)]) == [("old", 1)]


@pytest.mark.parametrize("content", [b"noise" * 1000, b"", b"SQLite format 3\x00" + bytes(100)])
def test_a_file_of_noise_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(content)
    catalog = Catalog(tmp_path / "catalog.sqlite")
    assert catalog.packs() == set()
    catalog.add([_pack(1, blobs=((A, 0),))])
    catalog.close()
    assert catalog.has(A) and Catalog(tmp_path / "catalog.sqlite").has(A)
    catalog.close()


def test_one_of_another_version_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE packs (other TEXT)")
        connection.execute("PRAGMA user_version = 1")
    catalog = Catalog(path)
    assert catalog.packs() == set()
    catalog.close()


def test_it_is_forgotten_or_held_in_memory_when_told(catalog: Catalog, tmp_path: Path) -> None:
    catalog.add([_pack(1, blobs=((A, 0),))])
    catalog.reset()
    assert not catalog.has(A) and (tmp_path / "deep/catalog.sqlite").exists()
    catalog.reset(in_memory=True)
    catalog.add([_pack(1, blobs=((A, 0),))])
    assert catalog.has(A) and not (tmp_path / "deep/catalog.sqlite").exists()
    (tmp_path / "file").write_bytes(b"")
    beside = Catalog(tmp_path / "file/catalog.sqlite")
    beside.add([_pack(1, blobs=((A, 0),))])
    assert beside.has(A)


def test_a_pack_that_cannot_be_taken_in_whole_is_not_taken_in(catalog: Catalog) -> None:
    broken = IndexedPack(bytes([1]) * 32, 1, ((A, 0, 0, 0, 0), (A, 1, None, 0, 0)), ())  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        catalog.add([_pack(2, blobs=((B, 0),)), broken])
    assert catalog.packs() == set() and not catalog.has(B)


def test_a_catalog_outlives_the_kill_of_who_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    ids = [blob_id(n.to_bytes(4, "little")) for n in range(50_000)]  # more than SQLite holds back
    first = IndexedPack(b"1" * 32, 8, tuple((id, 0, 8, 0, 1) for id in ids[:100]), ())
    Catalog(path).add([first])

    def killed() -> Iterator[Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield

    second = IndexedPack(b"2" * 32, 8, tuple((id, 0, 8, 0, 1) for id in ids), (), killed())  # type: ignore[arg-type]
    child = os.fork()
    if not child:
        Catalog(path).add([second])
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    catalog = Catalog(path)
    assert catalog.packs() == {first.name}
    assert catalog.has(ids[99]) and not catalog.has(ids[100])
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
