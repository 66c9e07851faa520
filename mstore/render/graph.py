"""Draw how versions descend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.log import fact_line, one_line
from mstore.render.style import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mstore.history.entry import LogEntry
    from mstore.objects import CommitId
    from mstore.render.style import Style


def graph_lines(
    entries: Iterable[LogEntry], style: Style = plain, *, brief: bool = False
) -> Iterator[str]:
    """Draw versions as a graph: one column of bars for each line of history.

    Args:
        entries: children before their parents.
        style: how to show colours.
        brief: no facts beside the messages.
    """
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
        line = one_line(entry, style) if brief else fact_line(entry, style)
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
    """Draw the bars of `count` columns where column `other` runs into column `place`."""
    cells = [" "] * (2 * count - 1)
    for i in range(count):
        if i != other:
            cells[2 * i] = "|"
    cells[2 * other - 1] = "/"
    for i in range(2 * place + 1, 2 * other - 1, 2):
        cells[i] = "_"
    return "".join(cells).rstrip()
