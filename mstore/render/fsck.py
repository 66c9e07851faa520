"""Format the findings of a check of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.fsck import FsckResult
    from mstore.render.style import Style


def fsck_lines(found: FsckResult, style: Style = plain) -> Iterator[str]:
    """Format each problem with its uses and a hint, and the extent of the check."""
    for word, colour, problems in (
        ("damaged", "red", found.problems),
        ("note", "yellow", found.warnings),
    ):
        for problem in problems:
            yield f"{style(word, colour)}: {escaped(problem.where)}: {escaped(problem.what)}"
            for use in problem.affects:
                yield f"    needed by {escaped(use)}"
            if problem.hint:
                yield f"    {escaped(problem.hint)}"
    checked = "sums of stored bytes" if found.quick else "every id"
    yield (
        f"{counted(found.commits, 'commit')}, {counted(found.objects, 'object')} in"
        f" {counted(found.packs, 'pack')},"
        f" {size(found.bytes_read)}: checked {checked}; " + ("all well" if found.ok else "DAMAGED")
    )
