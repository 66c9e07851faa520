"""Format the differences between versions: a table of text or of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.render.style import plain
from mstore.render.table import table_lines
from mstore.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.compare.versions import Comparison
    from mstore.render.style import Style

WIDEST: Final = 40
"""Columns of text in a cell on a terminal."""


def comparison_lines(
    found: Comparison, style: Style = plain, *, widest: int | None = None
) -> Iterator[str]:
    """Format a column a version, and count the rows left out.

    Args:
        found: the comparison.
        style: how to show colours.
        widest: columns of text at most in a cell.
    """
    heading, *rows = table_lines(found.table(), widest=widest)
    yield style(heading, "bold")
    yield from rows
    more = f"; --all shows {found.hidden} more, of run ids, paths and hosts" if found.hidden else ""
    yield style(f"({counted(found.equal, 'equal row')} left out{more})", "dim")


def markdown_lines(found: Comparison) -> Iterator[str]:
    """Format the same as a table in Markdown."""
    cells = [[text.replace("|", "\\|") for text in row] for row in found.table()]
    rule = ["---"] * len(cells[0])
    for row in (cells[0], rule, *cells[1:]):
        yield "| " + " | ".join(row) + " |"
