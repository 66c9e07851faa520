"""Format what a check of the store found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.fsck import FsckResult
    from mstore.render.style import Style


def fsck_lines(found: FsckResult, style: Style = plain) -> Iterator[str]:
    """Format each problem with what needs it and what to do, and what was checked."""
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
        f"{found.commits} commits, {found.objects} objects in {found.packs} packs,"
        f" {size(found.bytes_read)}: checked {checked}; " + ("all well" if found.ok else "DAMAGED")
    )
