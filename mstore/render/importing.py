"""Format what an import did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.commit import commit_lines
from mstore.render.style import plain
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.commit.importing import ImportResult, PlannedImport
    from mstore.commit.options import CommitResult
    from mstore.render.style import Style


def import_lines(result: ImportResult, style: Style = plain) -> Iterator[str]:
    """Format each folder with its commit, and what all of them take."""
    if result.planned and not result.commits:
        count = counted(len(result.planned), "folder")
        yield f"would commit {count}, {size(result.size_bytes)}"
        return
    for item, made in zip(result.planned, result.commits, strict=False):
        yield from imported_lines(item, made, style)
    yield import_summary(result)


def imported_lines(item: PlannedImport, made: CommitResult, style: Style = plain) -> Iterator[str]:
    """Format one folder with its commit."""
    first, *rest = commit_lines(made, style)
    yield f"{escaped(str(item.path))}: {first}"
    yield from rest


def import_summary(result: ImportResult) -> str:
    """Format how many folders there were, and what they take."""
    count = counted(len(result.planned), "checkpoint")
    return f"{size(result.size_bytes)} in {count} → {size(result.stored_bytes)}"
