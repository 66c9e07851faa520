"""Branches, tags and their moves, printing themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.api.results.printable import Printable
from mstore.history.branches import Branch
from mstore.history.tags import TagEntry
from mstore.render.names import branch_lines, reflog_lines, tag_lines
from mstore.store import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.render.style import Style


class Branches(Printable, tuple[Branch, ...]):
    """Branches, as `Repository.list_branches` gives them."""

    __slots__ = ()

    def _lines(self, style: Style) -> Iterator[str]:
        yield from branch_lines(self, style)


class Tags(Printable, tuple[TagEntry, ...]):
    """Tags, as `Repository.list_tags` gives them."""

    __slots__ = ()

    def _lines(self, style: Style) -> Iterator[str]:
        yield from tag_lines(self, style)


class Moves(Printable, tuple[Record, ...]):
    """Moves of a ref, the latest first, as `Repository.reflog` gives them.

    Attributes:
        label: the name of the ref, without its namespace.
    """

    label = ""

    def _lines(self, style: Style) -> Iterator[str]:
        yield from reflog_lines(self, self.label, style)
