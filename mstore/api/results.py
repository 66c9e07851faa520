"""Results that print well in a notebook and in a REPL.

What the rooms below compute is values; here each gets its one renderer, so that no
room of theirs imports how it looks.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mstore.compare.diff import DiffResult
from mstore.compare.versions import Comparison
from mstore.render.diff import diff_lines
from mstore.render.html import html_lines, html_table, text_table
from mstore.render.log_columns import DEFAULT_COLUMNS, cell, used
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mstore.history.entry import LogEntry

_MOST_ROWS: Final = 100
# Ages are right only when they are shown first; a notebook is read for months.
_COLUMNS: Final = tuple("time" if name == "age" else name for name in DEFAULT_COLUMNS)
_NOTEBOOK_COLUMNS: Final = 120
_TEXT_COLUMNS: Final = 88


class Versions(tuple["LogEntry", ...]):
    """Versions, as `Repository.log` gives them: a tuple that a notebook shows as a table."""

    __slots__ = ()

    def _rows(self) -> list[list[str]]:
        shown = self[:_MOST_ROWS]
        columns = used(shown, _COLUMNS)
        return [
            [column.replace("_", " ") for column in columns],
            *([cell(entry, column) for column in columns] for entry in shown),
        ]

    def __str__(self) -> str:
        rest = len(self) - _MOST_ROWS
        return text_table(self._rows()) + (f"\n… and {rest} more" if rest > 0 else "")

    def _repr_html_(self) -> str:
        return html_table(self._rows(), more=max(0, len(self) - _MOST_ROWS))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


_Result = TypeVar("_Result", bound="Difference | Compared")


def rendered(kind: type[_Result], result: DiffResult | Comparison) -> _Result:
    """Give a result as the kind that has its renderers."""
    return kind(**{field.name: getattr(result, field.name) for field in fields(result)})


class Difference(DiffResult):
    """How two sides differ, as `Repository.diff` gives it: coloured lines in a notebook."""

    def _lines(self, width: int, style: Callable[[str, str], str] | None = None) -> Iterator[str]:
        yield from diff_lines(self, width=width, style=style)
        yield from (f"warning: {escaped(warning)}" for warning in self.warnings)

    def _repr_html_(self) -> str:
        return html_lines(lambda style: self._lines(_NOTEBOOK_COLUMNS, style))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("\n".join(self._lines(_TEXT_COLUMNS)))


class Compared(Comparison):
    """What differs between versions, as `Repository.compare` gives it: a table in a notebook."""

    def __str__(self) -> str:
        return text_table(self.table())

    def _repr_html_(self) -> str:
        return html_table(self.table())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))
