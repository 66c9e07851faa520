"""Layouts: a tensor's array and its slice."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.errors import BadEncoding
from mstore.objects import Layout, Slice, TensorEntry

SLICE = {"global_shape": [4, 8], "global_offset": [0, 4]}


def test_the_array_of_a_tensor() -> None:
    plain = TensorEntry("w", "F32", (2, 3), 8, 32)
    assert plain.to_row() == ["w", "F32", [2, 3], 8, 32]
    assert plain.size_bytes == 24
    part = TensorEntry("w", "F32", (4, 4), 0, 64, Slice((4, 8), (0, 4)), {"later": 1})
    assert part.to_row()[5] == {**SLICE, "later": 1}
    for entry in (plain, part):
        assert TensorEntry.from_row(entry.to_row(), "layout") == entry


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (["w", "F32", [2], 0], "has a tensor of fewer than five fields"),
        ({}, "has a tensor of fewer than five fields"),
        (["w", 1, [2], 0, 8], "has a tensor with a field of the wrong type"),
        (["w", "F32", [2], 9, 8], "tensor 'w' ends before it begins"),
        (["w", "F32", [-1], 0, 8], "expected a size from 0 to 2^63 - 1, found -1"),
        (["w", "F32", [2], 0, 8, {"global_shape": [2]}], "lacks global_shape or global_offset"),
        (["w", "F32", [2], 0, 8, {"Critical": 1}], "has the critical key 'Critical'"),
    ],
)
def test_arrays_that_are_none(row: Any, rule: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        TensorEntry.from_row(row, "layout 1")
    assert caught.value.where == "layout 1"
    assert rule in caught.value.rule


def test_equal_layouts_are_one_object() -> None:
    one, other = (Layout("x", (TensorEntry("w", "F32", (1,), 0, 4),)) for _ in range(2))
    assert one.id == other.id
    assert Layout.decode(one.encoded).id == one.id
    assert Layout("y", one.tensors).id != one.id
