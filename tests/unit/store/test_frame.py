"""One object in a pack: what its head may say, and where its blocks lie."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.codec import BLOCK_HEADER_SIZE, WIDTHS, encode_block
from mstore.errors import Corrupt, Unsupported
from mstore.objects import blob_id, decode, encode
from mstore.store.frame import MAX_DEPTH, Frame, FrameHead

ID = blob_id(b"x")
BASE = blob_id(b"base")
RIGHT: list[Any] = [int(ID.kind), ID.raw, 5000, 1, 4, 20, 1, BASE.raw]


@given(
    st.integers(0, 2**62 - 1),
    st.integers(0, 9),
    st.sampled_from(sorted(WIDTHS)),
    st.integers(12, 26),
    st.none() | st.integers(1, MAX_DEPTH),
)
def test_a_head_is_read_as_it_was_written(
    raw_size: int, codec: int, width: int, log2: int, depth: int | None
) -> None:
    head = FrameHead(ID, raw_size, codec, width, log2, depth or 0, BASE if depth else None)
    assert FrameHead.from_list(decode(encode(head.to_list()), "x"), "x") == head


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        (2, -1, "no size"),
        (2, True, "no size"),
        (2, "5", "no size"),
        (2, 1 << 62, "out of range"),
        (1, b"short", "an id of 32 bytes"),
        (1, None, "an id of 32 bytes"),
        (7, "x", "an id of 32 bytes"),
        (4, 3, "out of range"),
        (5, 11, "out of range"),
        (5, 27, "out of range"),
        (6, MAX_DEPTH + 1, "out of range"),
        (6, 0, "contradict"),
        (7, None, "contradict"),
        (7, ID.raw, "contradict"),
    ],
)
def test_a_field_that_cannot_be_is_corrupt_and_named(place: int, value: Any, rule: str) -> None:
    fields = [*RIGHT]
    fields[place] = value
    with pytest.raises(Corrupt, match=rule) as met:
        FrameHead.from_list(fields, "pack x")
    assert met.value.where == "pack x"


@pytest.mark.parametrize("fields", [None, {}, [], RIGHT[:7]])
def test_what_is_no_head_is_corrupt(fields: Any) -> None:
    with pytest.raises(Corrupt, match="fewer than eight fields"):
        FrameHead.from_list(fields, "x")


def test_an_unknown_kind_is_a_newer_programs_and_more_fields_are_passed_over() -> None:
    with pytest.raises(Unsupported, match="unknown kind 99"):
        FrameHead.from_list([99, *RIGHT[1:]], "x")
    assert FrameHead.from_list([*RIGHT, "later"], "x") == FrameHead.from_list(RIGHT, "x")


@given(st.integers(0, 1 << 30), st.integers(12, 26))
def test_blocks_add_up_to_the_object(raw_size: int, log2: int) -> None:
    head = FrameHead(ID, raw_size, 1, 1, log2, 0, None)
    count = head.block_count
    assert (count == 0) == (raw_size == 0) and count << log2 >= raw_size
    if count:
        last = head.block_raw_size(count - 1)
        assert 0 < last <= 1 << log2 and ((count - 1) << log2) + last == raw_size


def test_blocks_lie_one_behind_the_other() -> None:
    content = os.urandom(5000)
    head = FrameHead(ID, 2 * len(content), 1, 1, 13, 0, None)
    blocks = [encode_block(content, width=1, is_float=False) for _ in range(2)]
    frame = Frame(100, head, b"".join(block.header.packed() for block in blocks))
    first, second, end = frame.block_offsets
    assert second - first == blocks[0].header.stored_size + BLOCK_HEADER_SIZE
    assert end - second == blocks[1].header.stored_size and frame.stored_size == end - 100
    assert frame.blocks == tuple(block.header for block in blocks)
