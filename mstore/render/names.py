"""Format branches, tags, and where they have been."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import age, escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mstore.history.branches import Branch
    from mstore.history.tags import TagEntry
    from mstore.render.style import Style
    from mstore.store import Record


def branch_lines(branches: Sequence[Branch], style: Style = plain) -> Iterator[str]:
    """Format branches, the current one marked."""
    names = [escaped(b.name) for b in branches]
    width = max(map(len, names), default=0)
    for name, b in zip(names, branches, strict=True):
        mark = style("* ", "green") if b.current else "  "
        subject = escaped(b.commit.message.partition("\n")[0])
        yield f"{mark}{name:{width}}  {b.id.short}  {age(b.commit.time.ns):>10}  {subject}"


def tag_lines(tags: Sequence[TagEntry], style: Style = plain) -> Iterator[str]:
    """Format tags with the first line of their messages."""
    names = [escaped(t.name) for t in tags]
    width = max(map(len, names), default=0)
    for name, t in zip(names, tags, strict=True):
        said = escaped(t.tag.message.partition("\n")[0]) if t.tag is not None else ""
        yield f"{name:{width}}  {style(t.id.short, 'yellow')}  {said}".rstrip()


def reflog_lines(records: Iterable[Record], label: str, style: Style = plain) -> Iterator[str]:
    """Format the moves of a ref.

    Args:
        records: the latest first.
        label: how the ref is named.
        style: how to show colours.
    """
    for index, record in enumerate(records):
        short = record.new.short if record.new is not None else "-------"
        action = f"{record.move.action}: "
        said = escaped(action + record.move.message.removeprefix(action))
        yield (
            f"{style(short, 'yellow')} {escaped(label)}@{{{index}}}  {age(record.move.time.ns):>10}"
            f"  {said}  ({escaped(record.move.author)})"
        )
