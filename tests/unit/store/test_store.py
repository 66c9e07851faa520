"""The store: what is put in is what it gives, in how many writes, and what it says of itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mstore.errors import Corrupt, InvalidInput, Unsupported
from mstore.objects import Commit, Layout, Manifest, TensorEntry, Time, blob_id
from mstore.store import Store
from mstore.store.blob_source import BlobSource
from mstore.store.pack import read_footer
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.unit.store.folders import Bytes, put

SIZES = [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 17]


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(store: Store, size: int) -> None:
    content = os.urandom(size // 2) + bytes(size - size // 2)
    (id,) = put(store, content, width=2, is_float=True)
    assert id == blob_id(content)
    assert store.get(id) == content
    assert b"".join(store.stream(id)) == content
    for offset, length in [(0, size), (size // 3, size // 3), (size, 0)]:
        assert store.range(id, offset, length) == content[offset : offset + length]
    if size:
        with pytest.raises(Corrupt, match="shorter"):
            store.range(id, size - 1, 2)


def test_a_large_blob_is_read_twice_and_never_held(store: Store) -> None:
    content = np.random.default_rng(0).integers(0, 256, 40 << 20, dtype=np.uint8).tobytes()
    source = Bytes(content)
    with Transaction(store) as transaction:
        (id,) = transaction.store_blobs([BlobSource(source, ((0, len(content)),))])
        transaction.publish()
    assert source.reads == 2 * 40
    assert store.get(id) == content
    again = Bytes(content)
    with Transaction(store) as transaction:
        transaction.store_blobs([BlobSource(again, ((0, len(content)),))])
        assert transaction.counts.new_bytes == 0
        assert transaction.publish() == ()
    assert again.reads == 40, "what the store has is hashed and not coded"


def test_a_source_that_changes_between_hash_and_code_is_refused(store: Store) -> None:
    content = bytes(33 << 20)

    class Changing(Bytes):
        def read(self, offset: int, size: int) -> bytes:
            part = super().read(offset, size)
            return part if self.reads <= 33 else b"\1" * size

    with Transaction(store) as transaction, pytest.raises(InvalidInput, match="changed while"):
        transaction.store_blobs([BlobSource(Changing(content), ((0, len(content)),))])
    assert store.pack_names() == []
    assert list((store.path / "tmp").iterdir()) == []


def test_equal_blobs_are_stored_once(store: Store) -> None:
    content = os.urandom(100_000)
    with Transaction(store) as transaction:
        ids = transaction.store_blobs([BlobSource(Bytes(content), ((0, 100_000),)) for _ in range(5)])
        assert len(set(ids)) == 1 and transaction.counts.new_bytes == 100_000
        transaction.publish()


def test_pieces_are_joined(store: Store) -> None:
    content = os.urandom(3 << 20)
    pieces = ((5, 10), (100, 1 << 20), (2 << 20, 4097))
    with Transaction(store) as transaction:
        (id,) = transaction.store_blobs([BlobSource(Bytes(content), pieces)])
        transaction.publish()
    assert store.get(id) == b"".join(content[o : o + n] for o, n in pieces)


def test_the_number_of_fsyncs_does_not_grow_with_tensors(tmp_path: Path) -> None:
    counts = []
    for tensors in (1, 300):
        path = tmp_path / str(tensors)
        Store.create(path)
        calls: list[str] = []
        store = Store.at(path, observe=lambda call, key, calls=calls: calls.append(call))  # type: ignore[misc]
        with Transaction(store) as transaction:
            transaction.store_blobs(
                [BlobSource(Bytes(os.urandom(5000)), ((0, 5000),)) for _ in range(tensors)]
            )
            transaction.put(Manifest(()))
            transaction.publish()
        counts.append(sum(c.startswith("fsync") for c in calls))
    assert counts == [2, 2]


def test_groups_lie_in_packs_of_their_own_and_the_commit_comes_last(tmp_path: Path) -> None:
    Store.create(tmp_path / "s")
    published: list[str] = []

    def observe(call: str, key: str) -> None:
        if call == "link":
            published.append(key)

    store = Store.at(tmp_path / "s", observe=observe)
    commit = Commit((), Manifest(()).id, "a", Time(0, 0), "m")
    with Transaction(store) as transaction:
        weights, state = transaction.store_blobs(
            [
                BlobSource(Bytes(os.urandom(9000)), ((0, 9000),)),
                BlobSource(Bytes(os.urandom(9000)), ((0, 9000),), group="training-state"),
            ]
        )
        transaction.put(Manifest(()))
        transaction.put(commit)
        names = transaction.publish()
    assert published == [pack_key(n) for n in names] and len(names) == 2
    kinds = [[f.head.id for f in read_footer(store.backend, n)[1]] for n in names]
    assert kinds == [[state], [weights, commit.manifest, commit.id]]


# -- identity and features


def test_unknown_features(store: Store) -> None:
    import json

    file = store.path / "store.json"
    plain = json.loads(file.read_text())
    del plain["sum"]
    for group, outcome in (("optional", "opens"), ("write", "read-only"), ("read", "refused")):
        plain["features"] = {"read": ["pack-1"], "write": ["refs-1"], "optional": []}
        plain["features"][group].append("time-travel")
        file.write_text(json.dumps(plain))
        if outcome == "refused":
            with pytest.raises(Unsupported, match="time-travel"):
                Store.at(store.path)
        else:
            assert Store.at(store.path).read_only == (outcome == "read-only")


def test_store_json_has_its_checksum(store: Store) -> None:
    file = store.path / "store.json"
    file.write_text(file.read_text().replace('"shared": false', '"shared": true'))
    with pytest.raises(Corrupt, match="checksum"):
        Store.at(store.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "zz", "features": {}}', b"\xff"])
def test_a_broken_identity_is_corrupt(store: Store, content: bytes) -> None:
    (store.path / "store.json").write_bytes(content)
    with pytest.raises(Corrupt):
        Store.at(store.path)


def test_equal_layouts_are_one_object(store: Store) -> None:
    layout = Layout("safetensors", (TensorEntry("a", "F32", (2,), 8, 16),))
    with Transaction(store) as transaction:
        assert transaction.put(layout) == transaction.put(Layout(layout.format, layout.tensors))
        transaction.publish()
    assert store.layout(layout.id) == layout


def test_what_a_killed_process_left_is_swept(store: Store) -> None:
    dead, old, young = (store.path / "tmp" / n for n in ("dead.tmp", "old.new", "young.new"))
    for path in (dead, old):
        path.write_bytes(b"left behind")
    young.write_bytes(b"being opened at this moment")
    os.utime(old, (0, 0))
    put(store, b"x" * 5000)
    assert not dead.exists() and not old.exists() and young.exists()
