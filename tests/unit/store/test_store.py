"""The store: put, get, deltas, a catalog that may vanish, packs that may rot."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstore.codec import BLOCK_LOG2, Codec, Mode, encode_block
from mstore.errors import Corrupt, InvalidInput, NotFound, StorageFailed, Unsupported
from mstore.objects import BlobId, Commit, Layout, Manifest, ManifestId, TensorEntry, Time, blob_id
from mstore.store import Store
from mstore.store.blob_source import BlobSource
from mstore.store.catalog import Catalog, IndexedPack
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter, read_footer
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction


class Bytes:
    """A source in memory that counts its reads."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.name = "memory"
        self.reads = 0

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        assert size <= 1 << BLOCK_LOG2, "blobs are read a block at a time"
        part = self.content[offset : offset + size]
        assert len(part) == size
        return part


def put(store: Store, *contents: bytes, width: int = 1, is_float: bool = False) -> list[BlobId]:
    with Transaction(store) as transaction:
        ids = transaction.store_blobs(
            [BlobSource(Bytes(c), ((0, len(c)),), width, is_float) for c in contents]
        )
        transaction.publish()
    return ids


def put_delta(store: Store, content: bytes, base: bytes, *, depth: int = 1, width: int = 2) -> bytes:
    """Write a delta frame by hand; gives the pack's name."""
    blocks = []
    for begin in range(0, len(content), 1 << BLOCK_LOG2):
        end = min(begin + (1 << BLOCK_LOG2), len(content))
        part = base[begin:end]
        blocks.append(
            encode_block(
                content[begin:end],
                width=width,
                is_float=True,
                base=part if len(part) == end - begin else None,
                base_offset=begin,
            )
        )
    head = FrameHead(
        blob_id(content), len(content), Codec.DELTA, width, BLOCK_LOG2, depth, blob_id(base)
    )
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(head, blocks)
        name = writer.seal()
        upload.publish(pack_key(name))
    store.refresh()
    return name


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


# -- deltas: written by hand here, read like anything else


def _near(size: int, seed: int) -> tuple[bytes, bytes]:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(size // 2).astype(np.float16)
    near = base.copy()
    near[rng.integers(0, len(near), len(near) // 10)] += np.float16(0.01)
    return base.tobytes(), near.tobytes()


def test_deltas_are_resolved(store: Store) -> None:
    base, near = _near(5 << 20, 0)
    put(store, base, width=2, is_float=True)
    name = put_delta(store, near, base)
    modes = {b.mode for b in store.footer(name)[0].blocks}
    assert modes and all(mode >= Mode.SAME for mode in modes)
    assert store.get(blob_id(near)) == near
    assert store.range(blob_id(near), (1 << 20) - 7, 20) == near[(1 << 20) - 7 : (1 << 20) + 13]


def test_chains_go_down_to_depth_zero(store: Store) -> None:
    versions = [_near(2 << 20, 1)[0]]
    put(store, versions[0], width=2, is_float=True)
    for depth in range(1, 6):
        array = np.frombuffer(versions[-1], np.uint16).copy()
        array[:: 50 + depth] ^= 1
        versions.append(array.tobytes())
        put_delta(store, versions[-1], versions[-2], depth=depth)
    for version in versions:
        assert store.get(blob_id(version)) == version


def test_a_base_of_no_smaller_depth_is_never_used(store: Store) -> None:
    """Two frames that claim each other as bases: no copy of smaller depth, so an error, no loop."""
    one, other = _near(1 << 20, 2)
    put_delta(store, one, other, depth=1)
    put_delta(store, other, one, depth=1)
    with pytest.raises(Corrupt, match="depth below 1"):
        store.get(blob_id(one))


def test_a_wrong_base_never_passes(store: Store) -> None:
    base, near = _near(1 << 20, 3)
    wrong = base[:-2] + b"\x11\x11"
    blocks = [encode_block(near, width=2, is_float=True, base=base)]
    put(store, wrong, width=2, is_float=True)
    head = FrameHead(blob_id(near), len(near), Codec.DELTA, 2, BLOCK_LOG2, 1, blob_id(wrong))
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(head, blocks)
        upload.publish(pack_key(writer.seal()))
    store.refresh()
    with pytest.raises(Corrupt):
        store.get(blob_id(near))


@pytest.mark.parametrize("kind", [BlobId, ManifestId])
def test_content_that_is_not_what_its_id_says_never_passes(
    store: Store, kind: type[BlobId] | type[ManifestId]
) -> None:
    """With every checksum of pack and block right: whoever wrote it can compute those."""
    forged = kind(bytes(32))
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add_bytes(forged, b"something else")
        upload.publish(pack_key(writer.seal()))
    store.refresh()
    with pytest.raises(Corrupt, match="does not hash to its id"):
        store.get(forged)
    with pytest.raises(Corrupt, match="does not hash to its id"):
        b"".join(store.stream(forged))


@pytest.mark.parametrize(("depth", "base"), [(1, None), (0, blob_id(b"x")), (300, blob_id(b"x"))])
def test_heads_that_contradict_themselves_are_not_written(
    store: Store, depth: int, base: BlobId | None
) -> None:
    """Bad input 32, at the writer: the footer is decoded again before it is written."""
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(FrameHead(blob_id(b""), 0, Codec.DELTA, 1, BLOCK_LOG2, depth, base), [])
        with pytest.raises(Corrupt):
            writer.seal()


def test_a_delta_of_itself_is_not_written(store: Store) -> None:
    id = blob_id(b"abc")
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(FrameHead(id, 0, Codec.DELTA, 1, BLOCK_LOG2, 1, id), [])
        with pytest.raises(Corrupt, match="contradict"):
            writer.seal()


# -- the catalog


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


def _with_catalog(folder: Path) -> Store:
    """A store, made if it is not there, whose catalog is a file."""
    if not (folder / "store").exists():
        Store.create(folder / "store")
    return Store.at(folder / "store", catalog_path=lambda id: folder / "catalog.sqlite")


def test_a_catalog_that_cannot_be_written_is_made_anew_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsck makes it anew, in a store that its user may only read as well."""
    with contextlib.closing(_with_catalog(tmp_path)) as store:
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
        store = _with_catalog(tmp_path)
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


def test_a_small_object_is_read_without_the_index_of_its_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lie in the pack with it."""
    with contextlib.closing(_with_catalog(tmp_path)) as store:
        ids = put(store, *(b"number %d" % n for n in range(3000)))
        (name,) = store.pack_names()
    store = _with_catalog(tmp_path)
    get, read = store.backend.get, []

    def counted(key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        found = get(key, offset=offset, size=size)
        read.append(len(found))
        return found

    monkeypatch.setattr(store.backend, "get", counted)
    assert store.get(ids[1234]) == b"number 1234"
    assert store.lacks([(ids[1234], 0), (ids[2345], 0)]) == []
    assert sum(read) < 2000
    # Where its own head is damaged, the index knows.
    path = store.path / pack_key(name)
    position = next(f.offset for f in read_footer(store.backend, name)[1] if f.head.id == ids[1234])
    damaged = bytearray(path.read_bytes())
    damaged[position + 20] ^= 1
    path.write_bytes(damaged)
    read.clear()
    assert store.get(ids[1234]) == b"number 1234"
    assert sum(read) > 100_000


def test_a_pack_that_is_gone_is_missed_once_then_said(store: Store) -> None:
    (id,) = put(store, b"x" * 5000)
    store.close()  # an open descriptor would still read what was deleted
    shutil.rmtree(store.path / "packs")
    (store.path / "packs").mkdir()
    with pytest.raises(NotFound, match="not in the store"):
        store.get(id)


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


def test_another_copy_is_tried(store: Store) -> None:
    """An object in two packs: damage in one is not met at all."""
    content = os.urandom(3 << 20)
    (id,) = put(store, content)
    name = put_delta(store, content, content[:5], depth=1, width=1)
    packs = {n: store.path / pack_key(n) for n in store.pack_names()}
    assert name in packs and len(packs) == 2
    (first,) = (path for n, path in packs.items() if n != name)
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 1
    first.chmod(0o644)
    first.write_bytes(raw)
    put(store, content[:5])
    fresh = Store.at(store.path)
    assert fresh.get(id) == content
    assert b"".join(fresh.stream(id)) == content


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


def test_a_range_is_decoded_where_it_is_to_stand(store: Store) -> None:
    content = os.urandom(1 << 20) + bytes(1 << 20) + os.urandom(12345)
    (id,) = put(store, content, width=4, is_float=True)
    for offset, size in [
        (0, len(content)),
        (5, 2 << 20),
        ((1 << 20) - 1, 3),
        (1 << 20, 1 << 20),
        (7, 0),
    ]:
        out = bytearray(b"\xaa" * (size + 2))
        store.range_into(id, offset, memoryview(out)[1 : 1 + size])
        assert out == b"\xaa" + content[offset : offset + size] + b"\xaa"
    with pytest.raises(Corrupt, match="shorter"):
        store.range_into(id, len(content) - 1, memoryview(bytearray(2)))


def test_what_a_killed_process_left_is_swept(store: Store) -> None:
    dead, old, young = (store.path / "tmp" / n for n in ("dead.tmp", "old.new", "young.new"))
    for path in (dead, old):
        path.write_bytes(b"left behind")
    young.write_bytes(b"being opened at this moment")
    os.utime(old, (0, 0))
    put(store, b"x" * 5000)
    assert not dead.exists() and not old.exists() and young.exists()
