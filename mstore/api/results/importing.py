"""What an import did, printing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.commit.importing import ImportResult
from mstore.render.importing import import_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class PrintableImport(Printable, ImportResult):
    """What an import did, as `Repository.import_folders` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from import_lines(self, style)
