"""Versions without a store, and styles that can be read: for tests of what is shown."""

from __future__ import annotations

from typing import Any

from mstore.history.entry import LogEntry
from mstore.objects import Commit, ManifestId, Time


def entries(*rows: tuple[str, tuple[int, ...]], **more: Any) -> list[LogEntry]:
    """Versions by message and the rows of their parents, which come later."""
    made: dict[int, LogEntry] = {}
    for place in reversed(range(len(rows))):
        message, parents = rows[place]
        ids = tuple(made[parent].id for parent in parents)
        commit = Commit(
            ids,
            ManifestId(bytes(32)),
            "Ada",
            Time(place, 0),
            message,
            more.get("metadata", {}),
            more.get("metrics", {}),
        )
        made[place] = LogEntry(commit.id, commit, more.get("refs", ()))
    return [made[place] for place in range(len(rows))]


def marked(text: str, style: str) -> str:
    """A style that can be read back."""
    return f"<{style}>{text}</>"
