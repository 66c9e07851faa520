"""The status of a workspace, printing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.history.status import Status
from mstore.render.status import status_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mstore.render.style import Style


@dataclass(frozen=True, kw_only=True)
class WorkspaceStatus(Printable, Status):
    """The status of a workspace, as `Repository.status` gives it.

    Args:
        staged: queues of training runs, and how many saves in each no commit holds yet.
    """

    staged: tuple[tuple[Path, int], ...] = ()

    def _lines(self, style: Style) -> Iterator[str]:
        yield from status_lines(self, style, staged=self.staged)
