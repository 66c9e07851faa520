"""One version in full, printing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.history.show import CommitDetails
from mstore.render.show import show_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class PrintableVersion(Printable, CommitDetails):
    """One version in full, as `Repository.show` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from show_lines(self, style)
