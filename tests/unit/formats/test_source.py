"""A file in memory as a source of bytes."""

from __future__ import annotations

import pytest

from mstore.errors import BadFile
from mstore.formats import BytesSource


def test_ranges():
    source = BytesSource("x.bin", b"0123456789")
    assert source.size_bytes == 10
    assert source.read(0, 10) == b"0123456789"
    assert source.read(3, 4) == b"3456"
    assert source.read(10, 0) == b""


@pytest.mark.parametrize(("offset", "size"), [(0, 11), (10, 1), (-1, 1), (0, -1)])
def test_a_range_past_the_end_names_the_file(offset, size):
    with pytest.raises(BadFile) as caught:
        BytesSource("x.bin", b"0123456789").read(offset, size)
    assert caught.value.where == "x.bin"
    assert caught.value.rule == f"ends before byte {offset + size}"
