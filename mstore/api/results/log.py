"""Versions, printing themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.api.results.printable import Printable
from mstore.history.entry import LogEntry
from mstore.render.html import html_table
from mstore.render.log_columns import DEFAULT_COLUMNS, cell, used
from mstore.render.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style

_MOST_ROWS: Final = 100
# Ages are right only when they are shown first; a notebook is read for months.
_COLUMNS: Final = tuple("time" if name == "age" else name for name in DEFAULT_COLUMNS)


class Versions(Printable, tuple[LogEntry, ...]):
    """Versions, as `Repository.log` gives them: a tuple that a notebook shows as a table."""

    __slots__ = ()

    def _rows(self) -> list[list[str]]:
        first = self[:_MOST_ROWS]
        columns = used(first, _COLUMNS)
        return [
            [column.replace("_", " ") for column in columns],
            *([cell(entry, column) for column in columns] for entry in first),
        ]

    def _lines(self, style: Style) -> Iterator[str]:
        yield from table_lines(self._rows())
        rest = len(self) - _MOST_ROWS
        if rest > 0:
            yield f"… and {rest} more"

    def _repr_html_(self) -> str:
        return html_table(self._rows(), more=max(0, len(self) - _MOST_ROWS))
