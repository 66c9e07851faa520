"""Objects out of any copy that can be read, deltas resolved, checked against their ids."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mstore.codec import BLOCK_LOG2, Codec, Mode, encode_block
from mstore.errors import Corrupt, NotFound
from mstore.objects import BlobId, ManifestId, blob_id
from mstore.store import Store
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter, read_footer
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction
from tests.unit.store.folders import near, put, put_delta, with_catalog


def test_deltas_are_resolved(store: Store) -> None:
    base, changed = near(5 << 20, 0)
    put(store, base, width=2, is_float=True)
    name = put_delta(store, changed, base)
    modes = {b.mode for b in store.footer(name)[0].blocks}
    assert modes and all(mode >= Mode.SAME for mode in modes)
    assert store.get(blob_id(changed)) == changed
    assert store.range(blob_id(changed), (1 << 20) - 7, 20) == changed[(1 << 20) - 7 : (1 << 20) + 13]


def test_chains_go_down_to_depth_zero(store: Store) -> None:
    versions = [near(2 << 20, 1)[0]]
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
    one, other = near(1 << 20, 2)
    put_delta(store, one, other, depth=1)
    put_delta(store, other, one, depth=1)
    with pytest.raises(Corrupt, match="depth below 1"):
        store.get(blob_id(one))


def test_a_wrong_base_never_passes(store: Store) -> None:
    base, changed = near(1 << 20, 3)
    wrong = base[:-2] + b"\x11\x11"
    blocks = [encode_block(changed, width=2, is_float=True, base=base)]
    put(store, wrong, width=2, is_float=True)
    head = FrameHead(blob_id(changed), len(changed), Codec.DELTA, 2, BLOCK_LOG2, 1, blob_id(wrong))
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(head, blocks)
        upload.publish(pack_key(writer.seal()))
    store.refresh()
    with pytest.raises(Corrupt):
        store.get(blob_id(changed))


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


def test_a_small_object_is_read_without_the_index_of_its_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lie in the pack with it."""
    with contextlib.closing(with_catalog(tmp_path)) as store:
        ids = put(store, *(b"number %d" % n for n in range(3000)))
        (name,) = store.pack_names()
    store = with_catalog(tmp_path)
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


# -- copies


def _copied(store: Store, content: bytes) -> tuple[BlobId, list[Path]]:
    """A blob in two packs, neither a delta."""
    (id,) = put(store, content)
    (name,) = store.pack_names()
    with Transaction(store, threads=1, rewrite=True) as transaction:
        transaction.copy(store.reader_of(name, store.footer(name)[0]), "")
        transaction.put_bytes(b"so that the new pack has another name")
        transaction.publish()
    paths = [store.path / pack_key(pack) for pack in store.pack_names()]
    for path in paths:
        path.chmod(0o644)
    return id, paths


def _flip_block(store: Store, path: Path, id: BlobId, block: int) -> None:
    """Flip a bit in what is stored of a block."""
    frame = next(f for f in store.footer(bytes.fromhex(path.stem)) if f.head.id == id)
    content = bytearray(path.read_bytes())
    content[frame.block_offsets[block] + 5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", [0, 1])
def test_what_is_damaged_in_one_copy_is_read_from_the_other(store: Store, damaged: int) -> None:
    content = os.urandom(2 << 20)
    id, paths = _copied(store, content)
    _flip_block(store, paths[damaged], id, 1)
    fresh = Store.at(store.path)
    assert fresh.get(id) == content and b"".join(fresh.stream(id)) == content
    assert fresh.range(id, (1 << 20) - 5, 10) == content[(1 << 20) - 5 : (1 << 20) + 5]
    out = bytearray(10)
    fresh.range_into(id, (1 << 20) - 5, memoryview(out))
    assert out == content[(1 << 20) - 5 : (1 << 20) + 5]


def test_of_two_damaged_copies_the_whole_blocks_make_a_stream(store: Store) -> None:
    content = os.urandom(2 << 20)
    id, paths = _copied(store, content)
    for block, path in enumerate(paths):
        _flip_block(store, path, id, block)
    fresh = Store.at(store.path)
    position = 0
    with contextlib.suppress(Corrupt):
        for part in fresh.stream(id):
            size = memoryview(part).nbytes
            assert bytes(part) == content[position : position + size], "what is given is right"
            position += size
    assert position >= 1 << 20
    for begin in (0, 1 << 20):
        assert fresh.range(id, begin, 1 << 20) == content[begin : begin + (1 << 20)]


def test_where_all_copies_are_damaged_the_first_damage_is_named(store: Store) -> None:
    id, paths = _copied(store, os.urandom(5000))
    for path in paths:
        _flip_block(store, path, id, 0)
    fresh = Store.at(store.path)
    for read in (
        lambda: fresh.get(id),
        lambda: b"".join(map(bytes, fresh.stream(id))),
        lambda: fresh.range(id, 0, 5),
    ):
        with pytest.raises(Corrupt) as caught:
            read()
        assert any(path.stem[:12] in caught.value.where for path in paths)


def test_the_shallowest_copy_comes_first_and_tells_the_link(store: Store) -> None:
    base, changed = near(100_000, 4)
    put(store, base, width=2, is_float=True)
    id = blob_id(changed)
    assert store.link_of(id) == (None, None)
    put_delta(store, changed, base, depth=2)
    assert store.link_of(id) == (2, blob_id(base)) and store.link_of(blob_id(base)) == (0, None)
    put_delta(store, changed, base, depth=1)
    assert store.link_of(id) == (1, blob_id(base))
    depths = [reader.frame.head.depth for reader in store.copies(id, known_only=True)]
    assert depths == sorted(depths) and set(depths) == {1, 2}
    below = store.copies(id, below_depth=2, known_only=True)
    assert {reader.frame.head.depth for reader in below} == {1}
    assert list(store.copies(id, below_depth=1, known_only=True)) == []


@pytest.mark.parametrize("gone", [0, 1])
def test_a_base_is_read_by_ranges_out_of_whatever_pack_it_is_in(store: Store, gone: int) -> None:
    content = os.urandom((2 << 20) + 5)
    id, paths = _copied(store, content)
    read = store.base_range(id, 1)
    assert read((1 << 20) - 3, 6) == content[(1 << 20) - 3 : (1 << 20) + 3]
    assert read(len(content) - 2, 10) == content[-2:] and read(len(content), 5) == b""
    store.close()  # An open descriptor would still read what was deleted.
    paths[gone].unlink()
    assert read(0, 10) == content[:10]
    with pytest.raises(Corrupt, match="depth below 0"):
        store.base_range(id, 0)(0, 1)


def test_the_most_similar_blob_of_a_size_is_found_by_its_sketch(store: Store) -> None:
    base, _ = near(400_000, 5)
    (id,) = put(store, base, width=2, is_float=True)
    (name,) = store.pack_names()
    (frame,) = store.footer(name)
    assert frame.sketch is not None
    assert store.find_similar(frame.sketch, len(base), 2) == id
    assert store.find_similar(frame.sketch, len(base), 4) is None
    assert store.find_similar(frame.sketch, 2 * len(base), 2) is None
