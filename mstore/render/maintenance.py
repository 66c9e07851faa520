"""Format what gc, forget, repack and repair did. What they would do, their plans say themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.fsck import fsck_lines
from mstore.render.style import plain
from mstore.text import escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.forget import ForgetResult
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackResult
    from mstore.maintain.repair import RepairResult
    from mstore.render.style import Style


def gc_lines(done: GcResult, style: Style = plain) -> Iterator[str]:
    """Format what gc freed, and what lies in the trash."""
    yield f"freed {size(done.freed_bytes)}: {done.removed} packs were removed, {done.written} written"
    if done.trash_bytes:
        yield f"{size(done.trash_bytes)} lie in the trash for a day; `mstore gc --now` empties it"
    if done.undeleted:
        yield f"{done.undeleted} packs stay: a running command needs them"


def forget_lines(done: ForgetResult, style: Style = plain) -> Iterator[str]:
    """Format what forget freed."""
    yield f"freed {size(done.freed_bytes)}"


def repack_lines(done: RepackResult, style: Style = plain) -> Iterator[str]:
    """Format the store's size before and after, and what became of its packs."""
    if not done.worth:
        yield f"{size(done.before_bytes)}: nothing to gain, nothing changed"
        return
    kept = f"; {done.kept} old ones are still needed" if done.kept else ""
    sizes = f"{size(done.before_bytes)} → {size(done.after_bytes)}"
    yield f"{sizes}: {done.removed} packs became {done.written}{kept}"


def repair_lines(done: RepairResult, style: Style = plain) -> Iterator[str]:
    """Format what was repaired, and what fsck says of the store now."""
    for line in done.done:
        yield f"{style('repaired', 'green')}: {escaped(line)}"
    yield from fsck_lines(done.found, style)
