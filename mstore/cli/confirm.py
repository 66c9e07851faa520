"""Confirmation before files are deleted."""

from __future__ import annotations

import sys


def must_confirm(command: str, yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Return whether to ask before anything is removed. Raises UsageError without a terminal."""
    from mstore.errors import UsageError

    asks = not (yes or dry_run)
    if asks and (as_json or not sys.stdin.isatty()):
        what = f"{command} asks before it removes anything"
        raise UsageError(what, hint="--yes runs it without asking, --dry-run shows the plan")
    return asks
