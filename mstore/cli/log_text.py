"""A listing of versions: a table where it is short and goes to a terminal.

Anything long, or read by a program, streams as plain lines, a version at a time.
"""

from __future__ import annotations

import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import click

from mstore.render.log import RIGHT, listing_lines
from mstore.render.log_columns import cell, used
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.api.values import LogEntry

_TABLE_ROWS: Final = 200


def table(entries: list[LogEntry], columns: tuple[str, ...], *, chosen: bool) -> Iterator[str]:
    """Lay out a table for a terminal, as lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = columns if chosen else used(entries, columns)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        made.add_column(
            escaped(column.replace("_", " ")),
            justify="right" if column in RIGHT else "left",
            no_wrap=column != "message",
            overflow="fold" if column == "message" else "ellipsis",
            style={"id": "yellow", "refs": "green", "age": "dim"}.get(column, ""),
        )
    for entry in entries:
        made.add_row(*(Text(cell(entry, c)) for c in shown))
    console = Console(no_color=click.get_current_context().color is False, highlight=False)
    with console.capture() as captured:
        console.print(made)
    yield from captured.get().rstrip("\n").split("\n")


def listing(entries: Iterator[LogEntry], columns: tuple[str, ...], *, chosen: bool) -> Iterator[str]:
    """Give the table on a terminal if it is short, plain lines otherwise."""
    if not sys.stdout.isatty():
        return listing_lines(entries, columns, chosen=chosen)
    first = list(islice(entries, _TABLE_ROWS + 1))
    if len(first) <= _TABLE_ROWS:
        return table(first, columns, chosen=chosen)
    return listing_lines(chain(first, entries), columns, chosen=chosen)
