"""Format versions: plain lines with columns, or one line each."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from mstore.render.log_columns import cell, health_mark, names_text, rank_text, used
from mstore.render.style import plain
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.history.entry import LogEntry
    from mstore.render.style import Style

_WIDTHS: Final = {"id": 7, "age": 10, "r/alpha": 7, "epoch": 9, "loss": 8, "eval_loss": 9, "added": 8}
RIGHT: Final = frozenset({"age", "loss", "eval_loss", "added", "size", "tensors"})
"""Columns whose cells end at one place."""


def listing_lines(
    entries: Iterable[LogEntry], columns: tuple[str, ...], *, chosen: bool
) -> Iterator[str]:
    """Format versions as plain lines, columns aligned as far as can be without seeing all of them."""
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
    return f"{text:>{widths[column]}}" if column in RIGHT else f"{text:<{widths[column]}}"


def one_line(entry: LogEntry, style: Style = plain) -> str:
    """Format a version's id, refs and message."""
    refs = f" ({names_text(entry)})" if entry.refs else ""
    id = style(entry.id.short, "yellow")
    mark = style(health_mark(entry), "red")
    return f"{id}{style(refs, 'green')} {mark}{escaped(entry.subject)}"


def fact_line(entry: LogEntry, style: Style = plain) -> str:
    """Format a version's id, refs, message, and the facts that the table has."""
    facts = []
    if rank_text(entry):
        facts.append(f"r/α {rank_text(entry)}")
    for column in ("epoch", "loss", "eval_loss"):
        text = cell(entry, column)
        # A message that was made from the facts has said it.
        if text and not (column != "epoch" and column.replace("_", " ") in entry.subject):
            facts.append(text if column == "epoch" else f"{column.replace('_', ' ')} {text}")
    return one_line(entry, style) + (style("  " + " · ".join(facts), "dim") if facts else "")
