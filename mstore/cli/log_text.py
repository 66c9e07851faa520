"""Listings of versions: the table, plain lines, one line each, the graph.

On a terminal a short listing is a table; anything long, or read by a program,
streams as plain lines, a version at a time.
"""

from __future__ import annotations

import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import click

from mstore.render.log_columns import cell, health_mark, names_text, rank_text, used
from mstore.text import escaped, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.history.entry import LogEntry
    from mstore.objects import CommitId

_TABLE_ROWS: Final = 200
_WIDTHS: Final = {"id": 7, "age": 10, "r/alpha": 7, "epoch": 9, "loss": 8, "eval_loss": 9, "added": 8}
_RIGHT: Final = frozenset({"age", "loss", "eval_loss", "added", "size", "tensors"})


def table(entries: list[LogEntry], columns: tuple[str, ...], *, chosen: bool) -> Iterator[str]:
    """A table for a terminal, as lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = columns if chosen else used(entries, columns)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        made.add_column(
            escaped(column.replace("_", " ")),
            justify="right" if column in _RIGHT else "left",
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


def lines(entries: Iterable[LogEntry], columns: tuple[str, ...], *, chosen: bool) -> Iterator[str]:
    """Plain lines with columns aligned as far as can be without seeing all of them."""
    first: list[LogEntry] = []
    rest = iter(entries)
    # Which columns are worth showing, and how wide, is read off the first screenful.
    first = list(islice(rest, 50))
    shown = columns if chosen else used(first, columns)
    widths = {c: _WIDTHS.get(c, 0) for c in shown}
    for entry in first:
        for column in shown:
            widths[column] = min(60, max(widths[column], len(cell(entry, column))))
    yield "  ".join(_padded(escaped(c.replace("_", " ")), c, widths) for c in shown).rstrip()
    for entry in chain(first, rest):
        yield "  ".join(_padded(cell(entry, c), c, widths) for c in shown).rstrip()


def _padded(text: str, column: str, widths: dict[str, int]) -> str:
    return f"{text:>{widths[column]}}" if column in _RIGHT else f"{text:<{widths[column]}}"


def one_line(entry: LogEntry) -> str:
    """Id, refs and message."""
    refs = f" ({names_text(entry)})" if entry.refs else ""
    id = click.style(entry.id.short, fg="yellow")
    mark = click.style(health_mark(entry), fg="red")
    return f"{id}{click.style(refs, fg='green')} {mark}{escaped(entry.subject)}"


def fact_line(entry: LogEntry) -> str:
    """Id, refs, message, and the facts that the table has."""
    facts = []
    if rank_text(entry):
        facts.append(f"r/α {rank_text(entry)}")
    for column in ("epoch", "loss", "eval_loss"):
        text = cell(entry, column)
        # A message that was made from the facts has said it.
        if text and not (column != "epoch" and column.replace("_", " ") in entry.subject):
            facts.append(text if column == "epoch" else f"{column.replace('_', ' ')} {text}")
    return one_line(entry) + (click.style("  " + " · ".join(facts), dim=True) if facts else "")


def graph(entries: Iterable[LogEntry], *, brief: bool) -> Iterator[str]:
    """Versions as a graph: one column of `│`-like bars for each line of history."""
    columns: list[CommitId] = []
    given: set[CommitId] = set()
    for entry in entries:
        id = entry.id
        given.add(id)
        if id not in columns:
            columns.append(id)
        place = columns.index(id)
        # Lines that meet here come together above the commit.
        for other in range(len(columns) - 1, place, -1):
            if columns[other] == id:
                yield _joined(len(columns), place, other)
                columns.pop(other)
        marks = ["*" if i == place else "|" for i in range(len(columns))]
        line = one_line(entry) if brief else fact_line(entry)
        yield " ".join(marks) + " " + line
        parents = [p for p in entry.parents if p not in given]
        if not parents:
            columns.pop(place)
            continue
        columns[place] = parents[0]
        for extra in parents[1:]:
            columns.insert(place + 1, extra)
            bars = ["|"] * (place + 1)
            yield " ".join(bars) + "\\" + " |" * (len(columns) - place - 2)


def _joined(count: int, place: int, other: int) -> str:
    """The bars of `count` columns where column `other` runs into column `place`."""
    cells = [" "] * (2 * count - 1)
    for i in range(count):
        if i != other:
            cells[2 * i] = "|"
    cells[2 * other - 1] = "/"
    for i in range(2 * place + 1, 2 * other - 1, 2):
        cells[i] = "_"
    return "".join(cells).rstrip()


def listing(entries: Iterator[LogEntry], columns: tuple[str, ...], *, chosen: bool) -> Iterator[str]:
    """The table on a terminal if it is short, plain lines otherwise."""
    if not sys.stdout.isatty():
        return lines(entries, columns, chosen=chosen)
    first = list(islice(entries, _TABLE_ROWS + 1))
    if len(first) <= _TABLE_ROWS:
        return table(first, columns, chosen=chosen)
    return lines(chain(first, entries), columns, chosen=chosen)


def any_text(value: Any) -> str:
    """A metadata value for people."""
    if isinstance(value, (dict, list)):
        import json

        from mstore.text import jsonable

        return escaped(json.dumps(jsonable(value), ensure_ascii=False))
    return number(value) if value is not None else "null"
