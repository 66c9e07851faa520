"""Reading one frame: its blocks, ranges of it, its id; a byte that is wrong is met."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.backend import MemoryBackend
from mstore.errors import Corrupt
from mstore.objects import BlobId, blob_id
from mstore.store.frame_reader import FrameReader
from mstore.store.pack import PackWriter, read_footer
from mstore.store.pack_keys import pack_key

CONTENT = random.Random(2).randbytes((2 << 20) + 12_345)


def _written(content: bytes, id: BlobId | None = None) -> tuple[FrameReader, MemoryBackend]:
    backend = MemoryBackend()
    with backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add_bytes(id or blob_id(content), content)
        name = writer.seal()
        upload.publish(pack_key(name))
    (frame,) = read_footer(backend, name)[1]
    return FrameReader(backend, name, frame), backend


@pytest.fixture(scope="module")
def reader() -> FrameReader:
    return _written(CONTENT)[0]


@given(st.integers(0, len(CONTENT) + 10), st.integers(0, len(CONTENT) + 10))
@settings(max_examples=25)
def test_any_range_is_that_of_the_object(offset: int, size: int) -> None:
    reader = READER
    assert reader.range(offset, size) == CONTENT[offset : offset + size]
    if offset + size <= len(CONTENT):
        out = bytearray(size)
        reader.read_into(offset, memoryview(out))
        assert bytes(out) == CONTENT[offset : offset + size]


READER = _written(CONTENT)[0]


def test_a_range_beyond_the_end_cannot_be_filled(reader: FrameReader) -> None:
    with pytest.raises(Corrupt, match="is shorter than"):
        reader.read_into(len(CONTENT) - 1, memoryview(bytearray(2)))


def test_blocks_are_given_in_order(reader: FrameReader) -> None:
    assert b"".join(map(bytes, reader.blocks())) == CONTENT
    assert b"".join(map(bytes, reader.blocks(1, 2))) == CONTENT[1 << 20 : 2 << 20]


def test_content_that_does_not_hash_to_its_id_is_corrupt(reader: FrameReader) -> None:
    reader.check_id()
    wrong, _ = _written(b"content", blob_id(b"other"))
    with pytest.raises(Corrupt, match="does not hash to its id"):
        wrong.check_id()


@pytest.mark.parametrize("place", ["head", "block header", "stored bytes"])
def test_a_flipped_bit_is_met(place: str) -> None:
    reader, backend = _written(b"text of a file " * 300)
    frame = reader.frame
    position = {
        "head": frame.offset + 10,
        "block header": frame.block_offsets[0] - 4,
        "stored bytes": frame.block_offsets[0] + 3,
    }[place]
    content = bytearray(backend.get(pack_key(reader.pack)))
    content[position] ^= 1
    damaged = MemoryBackend()
    with damaged.put_new() as upload:
        upload.write(bytes(content))
        upload.publish(pack_key(reader.pack))
    hurt = FrameReader(damaged, reader.pack, frame)
    ask = hurt.check_id if place == "stored bytes" else hurt.check_frame_start
    with pytest.raises(Corrupt) as met:
        ask()
    assert reader.pack.hex()[:12] in met.value.where and frame.head.id.short in met.value.where
