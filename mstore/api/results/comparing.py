"""The differences between versions and folders, printing themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.api.results.printable import Printable
from mstore.compare.diff import DiffResult
from mstore.compare.versions import Comparison
from mstore.render.comparison import comparison_lines
from mstore.render.diff import diff_lines
from mstore.render.html import html_lines, html_table
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style

_NOTEBOOK_COLUMNS: Final = 120
_TEXT_COLUMNS: Final = 88


class Difference(Printable, DiffResult):
    """The differences between two sides, as `Repository.diff` gives it."""

    def _page(self, width: int, style: Style) -> Iterator[str]:
        yield from diff_lines(self, width=width, style=style)
        yield from (f"warning: {escaped(warning)}" for warning in self.warnings)

    def _lines(self, style: Style) -> Iterator[str]:
        yield from self._page(_TEXT_COLUMNS, style)

    def _repr_html_(self) -> str:
        return html_lines(lambda style: self._page(_NOTEBOOK_COLUMNS, style))


class Compared(Printable, Comparison):
    """The differences between versions, as `Repository.compare` gives it: a table in a notebook."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from comparison_lines(self, style)

    def _repr_html_(self) -> str:
        return html_table(self.table())
