"""The result of a commit, printing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.commit.options import CommitResult
from mstore.render.commit import commit_lines
from mstore.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class PrintableCommit(Printable, CommitResult):
    """The result of a commit, as `Repository.commit` gives it."""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from commit_lines(self, style)
        yield from (f"warning: {escaped(warning)}" for warning in self.warnings)
