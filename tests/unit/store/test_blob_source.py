"""Where the bytes of a blob come from before it is stored."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mstore.objects import blob_id
from mstore.store import Store
from mstore.store.blob_source import BLOCK_BYTES, BlobSource, StoredBlob, recode_source
from mstore.store.frame import FrameHead
from mstore.store.transaction import Transaction


class Memory:
    """A source in memory."""

    name = "memory"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes."""
        part = self.content[offset : offset + size]
        assert len(part) == size
        return part


CONTENT = bytes(random.Random(0).randbytes(3 * BLOCK_BYTES))
PIECES = st.lists(
    st.tuples(
        st.integers(0, 2 * BLOCK_BYTES), st.sampled_from([0, 1, 1000, BLOCK_BYTES - 1, BLOCK_BYTES])
    ),
    max_size=5,
)


@settings(max_examples=40)
@given(PIECES)
def test_blocks_are_the_pieces_one_behind_the_other(pieces: list[tuple[int, int]]) -> None:
    source = BlobSource(Memory(CONTENT), tuple(pieces))
    whole = b"".join(CONTENT[begin : begin + length] for begin, length in pieces)
    blocks = [bytes(source.block(index)) for index in range(source.block_count)]
    assert b"".join(blocks) == whole and source.size_bytes == len(whole)
    assert all(len(block) == BLOCK_BYTES for block in blocks[:-1])


def test_a_blob_of_a_store_is_stored_once_more_by_what_its_head_says(store: Store) -> None:
    with Transaction(store, threads=1) as transaction:
        id = transaction.put_bytes(CONTENT[:5000])
        transaction.publish()
    stored = StoredBlob(store, id)
    assert stored.read(10, 20) == CONTENT[10:30] and id.short in stored.name
    for width, is_float in ((1, False), (2, True), (4, True)):
        head = FrameHead(id, 5000, 1, width, 20, 0, None)
        source = recode_source(store, head, "group", base=blob_id(b"base"))
        assert (source.width, source.is_float, source.group, source.base) == (
            width,
            is_float,
            "group",
            blob_id(b"base"),
        )
        assert bytes(source.block(0)) == CONTENT[:5000]
    assert recode_source(store, FrameHead(blob_id(b""), 0, 1, 1, 20, 0, None)).block_count == 0
