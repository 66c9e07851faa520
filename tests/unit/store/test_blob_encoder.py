"""Which delta base a blob gets, and the head and blocks that it becomes."""

from __future__ import annotations

import numpy as np
import pytest

from mstore.codec import Codec, Mode
from mstore.errors import Corrupt
from mstore.objects import BlobId, blob_id
from mstore.store import Store
from mstore.store.blob_encoder import MAX_CHAIN, BlobEncoder, DeltaBase
from mstore.store.blob_source import BlobSource
from mstore.store.frame import FrameHead
from tests.unit.store.folders import Bytes, near, put, put_delta

BASE, NEAR = near(100_000, 0)
FAR = near(100_000, 1)[0]


def _source(content: bytes, base: BlobId | None = None, *, width: int = 2) -> BlobSource:
    pieces = ((0, len(content)),) if content else ()
    return BlobSource(Bytes(content), pieces, width, is_float=True, base=base)


def _chosen(
    store: Store, content: bytes, base: BlobId | None, *, rewrite: bool = False
) -> BlobId | None:
    source = _source(content, base)
    encoder = BlobEncoder(store, rewrite=rewrite)
    found = encoder.choose_base(blob_id(content), source, source.block, None)
    return found.id if found is not None else None


@pytest.fixture
def filled(store: Store) -> Store:
    """A store that has the base."""
    put(store, BASE, width=2, is_float=True)
    return store


def test_what_is_near_becomes_a_delta(filled: Store) -> None:
    source, encoder = _source(NEAR, blob_id(BASE)), BlobEncoder(filled, rewrite=False)
    base = encoder.choose_base(blob_id(NEAR), source, source.block, None)
    assert base is not None and (base.id, base.depth, base.width) == (blob_id(BASE), 1, 2)
    assert base.range(10, 20) == BASE[10:30]
    head = encoder.head(blob_id(NEAR), source, base)
    assert (head.codec, head.depth, head.base) == (Codec.DELTA, 1, blob_id(BASE))
    whole = encoder.head(blob_id(NEAR), source, None)
    assert (whole.codec, whole.depth, whole.base) == (Codec.PLANES, 0, None)
    delta = encoder.encode(NEAR, 0, source, base).header
    plain = encoder.encode(NEAR, 0, source, None).header
    assert delta.mode >= Mode.SAME > plain.mode and delta.stored_size < plain.stored_size


def test_what_is_far_is_stored_whole(filled: Store) -> None:
    assert _chosen(filled, FAR, blob_id(BASE)) is None


@pytest.mark.parametrize("base", [None, blob_id(b"nobody has it"), blob_id(NEAR)])
def test_no_base_or_one_that_is_not_there_or_itself_is_none(filled: Store, base: BlobId | None) -> None:
    assert _chosen(filled, NEAR, base) is None


def test_an_empty_blob_has_no_base(filled: Store) -> None:
    assert _chosen(filled, b"", blob_id(BASE)) is None


def _chain(store: Store) -> list[bytes]:
    """A base, and deltas of one another until the chain is as long as it may be."""
    versions = [BASE]
    put(store, BASE, width=2, is_float=True)
    for depth in range(1, MAX_CHAIN + 1):
        array = np.frombuffer(versions[-1], np.uint16).copy()
        array[depth::200] ^= 1
        versions.append(array.tobytes())
        put_delta(store, versions[-1], versions[-2], depth=depth)
    return versions


def test_a_chain_goes_on_until_it_is_as_long_as_it_may_be(store: Store) -> None:
    """Then the next delta is taken against its first blob."""
    versions = _chain(store)
    array = np.frombuffer(versions[-1], np.uint16).copy()
    array[::300] ^= 1
    content = array.tobytes()
    for depth, version in enumerate(versions):
        expected = version if depth < MAX_CHAIN else BASE
        assert _chosen(store, content, blob_id(version)) == blob_id(expected), depth


def test_the_first_of_a_full_chain_gets_no_base_of_itself(store: Store) -> None:
    last = _chain(store)[-1]
    assert _chosen(store, BASE, blob_id(last)) is None


def test_a_rewrite_chooses_among_what_it_wrote(filled: Store) -> None:
    """Older copies may be removed after it."""
    assert _chosen(filled, NEAR, blob_id(BASE), rewrite=True) is None
    source, encoder = _source(NEAR, blob_id(BASE)), BlobEncoder(filled, rewrite=True)
    encoder.add_link(FrameHead(blob_id(BASE), len(BASE), Codec.PLANES, 2, 20, 0, None))
    base = encoder.choose_base(blob_id(NEAR), source, source.block, None)
    assert base is not None and (base.id, base.depth) == (blob_id(BASE), 1)


def test_a_base_that_cannot_be_read_costs_the_delta_alone(filled: Store) -> None:
    """fsck names the damage; a commit goes on."""

    def damaged(offset: int, size: int) -> bytes:
        raise Corrupt("pack", "is torn")

    encoder, source = BlobEncoder(filled, rewrite=False), _source(NEAR)
    for read in (damaged, lambda offset, size: BASE[offset : offset + size // 2]):
        coded = encoder.encode(NEAR, 0, source, DeltaBase(blob_id(BASE), 1, 2, read))
        assert coded.header.mode < Mode.SAME


def test_another_width_is_a_cast_and_is_noted(store: Store) -> None:
    wide = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    narrow = wide.astype(np.float16).tobytes()
    put(store, wide.tobytes(), width=4, is_float=True)
    source = _source(narrow, blob_id(wide.tobytes()))
    encoder = BlobEncoder(store, rewrite=False)
    base = encoder.choose_base(blob_id(narrow), source, source.block, None)
    assert base is not None and base.width == 4 and encoder.has_casts
    assert not BlobEncoder(store, rewrite=False).has_casts
