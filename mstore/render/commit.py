"""Format the result of a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import escaped, some_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.commit.options import CommitResult
    from mstore.render.style import Style


def commit_lines(result: CommitResult, style: Style = plain) -> Iterator[str]:
    """Format a commit: its branch, its facts, ignored files; not its warnings."""
    if not result.created:
        said = f"nothing changed since {result.id.short}"
        if result.note is not None:
            said += f"; new metrics and metadata are noted on it ({result.note.short})"
        yield f"[{escaped(result.branch)}] {said}"
        return
    from mstore.render.commit_line import facts_line

    subject = escaped(result.commit.message.partition("\n")[0])
    yield f"[{escaped(result.branch)} {style(result.id.short, 'yellow')}] {subject}"
    yield " " + facts_line(result)
    if result.ignored:
        yield f" left out: {some_names(result.ignored)}"
