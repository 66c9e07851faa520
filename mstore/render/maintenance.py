"""Format the results of gc, forget, repack and repair. Their plans format themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.fsck import fsck_lines
from mstore.render.style import plain
from mstore.text import counted, escaped, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.maintain.forget import ForgetResult
    from mstore.maintain.gc_run import GcResult
    from mstore.maintain.repack import RepackResult
    from mstore.maintain.repair import RepairResult
    from mstore.render.style import Style


def gc_lines(done: GcResult, style: Style = plain) -> Iterator[str]:
    """Format the result of a gc: freed bytes, and those in the trash."""
    removed = counted(done.removed, "pack")
    yield f"freed {size(done.freed_bytes)}: removed {removed}, wrote {done.written}"
    if done.trash_bytes:
        yield f"{size(done.trash_bytes)} in the trash for a day; `mstore gc --now` empties it"
    if done.undeleted:
        yield f"kept {counted(done.undeleted, 'pack')} that a running command needs"


def forget_lines(done: ForgetResult, style: Style = plain) -> Iterator[str]:
    """Format the result of a forget."""
    yield f"freed {size(done.freed_bytes)}"


def repack_lines(done: RepackResult, style: Style = plain) -> Iterator[str]:
    """Format the store's size before and after, and its replaced packs."""
    if not done.worth:
        yield f"{size(done.before_bytes)}: nothing to gain, nothing changed"
        return
    kept = f", kept {counted(done.kept, 'old one')} that a running command needs" if done.kept else ""
    sizes = f"{size(done.before_bytes)} → {size(done.after_bytes)}"
    yield f"{sizes}: replaced {counted(done.removed, 'pack')} by {done.written}{kept}"


def repair_lines(done: RepairResult, style: Style = plain) -> Iterator[str]:
    """Format the repairs, and the findings of fsck after them."""
    for line in done.done:
        yield f"{style('repaired', 'green')}: {escaped(line)}"
    yield from fsck_lines(done.found, style)
