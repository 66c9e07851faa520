"""Tables of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mstore.render.table import table_lines

CELLS = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=6)


def test_columns_are_aligned() -> None:
    assert list(table_lines([["a", "bb"], ["ccc", "d"], ["e", ""]])) == ["a    bb", "ccc  d", "e"]
    assert list(table_lines([["a", "1"], ["b", "100"]], right=(1,))) == ["a    1", "b  100"]


def test_long_cells_are_cut() -> None:
    assert list(table_lines([["abcdef", "x"]], widest=4)) == ["abc…  x"]
    assert list(table_lines([["abcd", "x"]], widest=4)) == ["abcd  x"]


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_no_cell_is_lost_and_no_line_ends_in_blanks(rows: list[list[str]]) -> None:
    lines = list(table_lines(rows))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line == line.rstrip() and line.split() == [cell for cell in row if cell]
