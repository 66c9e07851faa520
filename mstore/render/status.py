"""Format HEAD and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import counted, display_path, escaped, size, some_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mstore.history.status import Status
    from mstore.render.style import Style


def status_lines(
    found: Status, style: Style = plain, *, staged: Sequence[tuple[Path, int]] = ()
) -> Iterator[str]:
    """Format HEAD, what changed, what else is going on, and what to run next.

    Args:
        found: the status.
        style: how to show colours.
        staged: queues of training runs, and how many saves wait in each.
    """
    yield _head(found, style)
    yield from _changes(found, style)
    if found.ignored:
        yield f"left out: {some_names(found.ignored)}"
    yield from _activity(found)
    for queue, count in staged:
        yield f"{counted(count, 'save')} of a training run not committed yet, in {escaped(str(queue))}"
    if found.trash_bytes:
        yield f"{size(found.trash_bytes)} in the trash; `mstore gc --now` frees them"
    if found.commit is None:
        yield f"Next: mstore commit {'' if found.model_dir else 'DIR '}-m MESSAGE"
    elif found.changes:
        yield "Next: mstore commit -m MESSAGE   keeps it;   mstore diff   shows it"
    else:
        yield "Next: mstore log   shows the history"


def _head(found: Status, style: Style) -> str:
    at = ""
    if found.commit is not None:
        subject = escaped((found.message or "").partition("\n")[0])
        at = f"at {found.commit.short} {subject}"
    if found.branch is not None:
        return f"On branch {style(escaped(found.branch), 'green')} {at or '(no commit yet)'}"
    return f"HEAD is detached {at}"


def _changes(found: Status, style: Style) -> Iterator[str]:
    if found.problem is not None:
        yield escaped(found.problem)
        return
    if found.model_dir is None:
        yield "No model directory yet: the first folder that you commit becomes it"
        return
    name = escaped(display_path(found.model_dir))
    if not found.changes:
        yield f"{name}: nothing changed"
        return
    yield f"{name}: changed since then"
    for mark, colour, paths in (
        ("new", "green", found.changes.added),
        ("changed", "yellow", found.changes.changed),
        ("gone", "red", found.changes.removed),
    ):
        for path in paths:
            yield "  " + style(f"{mark:8}", colour) + escaped(path)


def _activity(found: Status) -> Iterator[str]:
    now = found.activity
    if now is not None and now.running:
        written = size(now.writing_bytes)
        yield f"{counted(now.running, 'other command')} running in this store, {written} written so far"
    if now is not None and "gc" in now.held:
        yield "a gc or repack is running in this store"
    if now is not None and now.left:
        files, left = counted(len(now.left), "file"), sum(entry.size_bytes for entry in now.left)
        yield f"{files} ({size(left)}) of killed commands: the next commit removes them"
    for folder in found.copies:
        yield f"files that a killed checkout had replaced are in {escaped(str(folder))}"
