"""Lay out a table as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence


def table_lines(
    rows: Iterable[Sequence[str]], *, right: Collection[int] = (), widest: int | None = None
) -> Iterator[str]:
    """Align the cells of a table.

    Args:
        rows: of equal lengths, without control characters.
        right: columns, counted from 0, whose cells end at one place.
        widest: columns of text at most in a cell; longer text ends in `…`.
    """
    table = [[_cut(cell, widest) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _cut(cell: str, widest: int | None) -> str:
    return cell if widest is None or len(cell) <= widest else cell[: widest - 1] + "…"
