"""Format the cost of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.render.style import plain
from mstore.render.table import table_lines
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mstore.maintain.du import CommitUsage, Usage
    from mstore.render.style import Style

_MOST_GROUPS: Final = 30
_HEADING: Final = ("raw", "shared", "new", "stored", "as delta", "group")


def usage_lines(found: Usage, style: Style = plain) -> Iterator[str]:
    """Format the cost of each version by group of tensors, and of the store."""
    for commit in found.commits:
        yield style(commit.id.short, "yellow") + " " + escaped(commit.message)
        yield from _groups(commit)
        freed = f"without this version, {size(commit.freed_bytes)} would be free"
        if commit.protected_bytes:
            more = size(commit.protected_bytes)
            freed += f"; {more} more only once the deltas that need it are re-encoded"
        yield "  " + freed
        yield ""
    share = f", {found.pack_bytes / found.raw_bytes:.0%} of that" if found.raw_bytes else ""
    yield (
        f"{counted(found.versions, 'version')}, {size(found.raw_bytes)} as folders;"
        f" packs {size(found.pack_bytes)}{share}"
    )


def _groups(commit: CommitUsage) -> Iterator[str]:
    rows: list[Sequence[str]] = [_HEADING]
    for row in (*commit.groups[:_MOST_GROUPS], commit.total):
        counts = (row.raw_bytes, row.shared_bytes, row.new_bytes, row.stored_bytes, row.delta_bytes)
        rows.append((*map(size, counts), escaped(row.name)))
    for line in table_lines(rows, right=range(5)):
        yield "  " + line
    if len(commit.groups) > _MOST_GROUPS:
        yield f"  ({counted(len(commit.groups) - _MOST_GROUPS, 'smaller group')} not shown)"
