"""The 32 bytes before a block."""

from __future__ import annotations

import pytest

from mstore.codec import BLOCK_HEADER_SIZE, BlockHeader
from mstore.errors import Corrupt

HEADER = BlockHeader(0x01020304, 18, 5, 6, 7)
PACKED = bytes.fromhex("04030201 12 000000 0500000000000000 0600000000000000 0700000000000000")


def test_fields_lie_where_the_format_says() -> None:
    assert HEADER.packed() == PACKED
    assert len(PACKED) == BLOCK_HEADER_SIZE == 32
    other = BlockHeader(0, 0, 2**64 - 1, 0, 2**64 - 1)
    assert BlockHeader.unpack_all(PACKED + other.packed()) == (HEADER, other)
    assert BlockHeader.unpack_all(b"") == ()


@pytest.mark.parametrize(
    ("packed", "rule"),
    [
        (PACKED[:-1], "is cut short"),
        (PACKED + b"\0", "is cut short"),
        (PACKED[:6] + b"\1" + PACKED[7:], "has padding that is not zero"),
        (PACKED + PACKED[:5] + b"\1" + PACKED[6:], "has padding that is not zero"),
    ],
)
def test_damage(packed: bytes, rule: str) -> None:
    with pytest.raises(Corrupt) as caught:
        BlockHeader.unpack_all(packed)
    assert (caught.value.where, caught.value.rule) == ("block table", rule)
