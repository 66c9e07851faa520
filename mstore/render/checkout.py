"""Format the result of a checkout, a resume or an undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.render.style import plain
from mstore.text import counted, display_path, escaped, some_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.checkout.execute import CheckoutResult
    from mstore.checkout.undo import Undone
    from mstore.render.style import Style
    from mstore.staging.resume import ResumeResult


def checkout_lines(result: CheckoutResult, style: Style = plain) -> Iterator[str]:
    """Format a checkout, and where HEAD points to if it moved; not its warnings."""
    where = f" → {escaped(display_path(result.path))}" if result.path is not None else ""
    counts = (
        f"wrote {counted(result.written, 'file')}, removed {result.removed},"
        f" left {result.unchanged} unchanged"
    )
    yield f"{style(result.id.short, 'yellow')}{where}: {counts}"
    if result.branch is not None:
        yield f"On branch {escaped(result.branch)}"
    elif result.detached:
        yield "HEAD is detached at this commit; `mstore checkout -b NAME` begins a branch here"
    if result.backup is not None:
        kept = escaped(display_path(result.backup))
        yield f"Replaced files are in {kept}; `mstore undo` restores them"
    if result.base is not None:
        yield f"Its base, which this machine has nowhere else → {escaped(display_path(result.base))}"
    if result.load is not None:
        yield result.load


def resume_lines(result: ResumeResult, style: Style = plain) -> Iterator[str]:
    """Format where a version was written for training to go on, and what to paste."""
    at = f", step {result.step}" if result.step is not None else ""
    yield f"{style(result.checkout.id.short, 'yellow')}{at} → {escaped(str(result.path))}"
    yield result.line


def undo_lines(done: Undone, style: Style = plain) -> Iterator[str]:
    """Format the result of an undo."""
    yield f"Undone: {escaped(done.action)}"
    for ref, target in done.refs.items():
        yield f"{escaped(ref)} → {style(target.short, 'yellow') if target is not None else '(gone)'}"
    if done.restored:
        yield f"Restored {counted(len(done.restored), 'file')}: {some_names(done.restored)}"
