"""Blocks: what is checked on the way back, and where the bytes go. Round trips are in
tests/property/test_codec.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from mstore.codec import Block, Mode, base_size_of, decode_block, encode_block
from mstore.errors import Corrupt, Unsupported

RAW = (np.arange(5000, dtype="<f4") * np.float32(0.01)).tobytes()


def _decoded(block: Block, **options: Any) -> Any:
    given: dict[str, Any] = {"raw_size": len(RAW), "width": 4, "base": None, "where": "block 7"}
    return decode_block(block.header, block.stored, **{**given, **options})


def _stored(mode: int, stored: bytes, raw: bytes = RAW) -> Block:
    block = encode_block(raw, width=4, is_float=True)
    sums = {"stored_sum": xxh3_64_intdigest(stored), "raw_sum": xxh3_64_intdigest(raw)}
    return Block(replace(block.header, mode=mode, stored_size=len(stored), **sums), stored)


def test_the_header_says_what_is_stored() -> None:
    block = encode_block(RAW, width=4, is_float=True, base=RAW, base_offset=4096)
    assert (block.header.mode, block.header.base_offset) == (Mode.SAME, 4096)
    assert (block.header.stored_size, bytes(block.stored)) == (0, b"")
    assert block.header.raw_sum == xxh3_64_intdigest(RAW)
    # Without a base in the mode, the offset is not kept.
    block = encode_block(RAW, width=4, is_float=True, base_offset=4096)
    assert block.header.base_offset == 0


def test_into_is_filled_and_given_back() -> None:
    for base in (None, RAW):
        block = encode_block(RAW, width=4, is_float=True, base=base)
        room = bytearray(len(RAW))
        assert _decoded(block, base=base, into=room) is room
        assert room == RAW
    with pytest.raises(ValueError, match="does not have the block's size"):
        _decoded(block, base=RAW, into=bytearray(3))


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        (Block(encode_block(RAW, width=4, is_float=True).header, b""), "its stored bytes do not match"),
        (_stored(Mode.RAW, RAW[:-1]), f"it gives {len(RAW) - 1} bytes, not {len(RAW)}"),
        (_stored(Mode.RAW, bytes(len(RAW))), "its raw bytes do not match their checksum"),
        (_stored(Mode.SAME, b""), "its delta base is too short"),
    ],
)
def test_damage_without_a_base(block: Block, rule: str) -> None:
    with pytest.raises(Corrupt) as caught:
        _decoded(block)
    assert caught.value.where == "block 7"
    assert rule in caught.value.rule


@pytest.mark.parametrize(
    ("mode", "stored", "rule"),
    [
        (Mode.SAME, b"x", "a block equal to its base must have no bytes of its own"),
        (Mode.DIFFERENCE, b"", "a difference lacks its ordered flag"),
        (Mode.DIFFERENCE, b"\2", "a difference lacks its ordered flag"),
        (Mode.GROUPED, b"\0", "a grouped difference does not decode"),
        (Mode.SPARSE, b"\xff", "a sparse difference does not decode"),
        (Mode.CAST, b"\4", "a cast lacks its kind or its inner mode"),
        (Mode.CAST, bytes([4, Mode.CAST]), "a cast lacks its kind or its inner mode"),
        (Mode.CAST, bytes([8, Mode.SAME]), "cast 8 does not fit its elements"),
    ],
)
def test_damage_with_a_base(mode: int, stored: bytes, rule: str) -> None:
    with pytest.raises(Corrupt) as caught:
        _decoded(_stored(mode, stored), base=RAW)
    assert caught.value.rule == rule


def test_modes_that_cannot_be() -> None:
    with pytest.raises(Unsupported, match="block 7: unknown block mode 99"):
        _decoded(_stored(99, RAW))
    with pytest.raises(Corrupt, match="elements of one byte cannot be rotated"):
        _decoded(_stored(Mode.ROTATED, RAW), width=1)


def test_bytes_of_the_base_that_a_mode_needs() -> None:
    assert base_size_of(Mode.GROUPED, b"", 100) == 100
    assert [base_size_of(Mode.CAST, bytes([cast]), 100) for cast in (1, 2, 4, 5)] == [50, 200, 100, 50]
    assert base_size_of(Mode.CAST, b"", 100) == 100
