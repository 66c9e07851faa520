"""Versions and commits without a store, and styles that can be read: for tests of what is shown."""

from __future__ import annotations

from typing import Any

from mstore.commit.options import CommitResult
from mstore.formats import Facts
from mstore.history.entry import LogEntry
from mstore.objects import Commit, ManifestId, Time
from mstore.store import CommitSizes


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


def commit_result(facts: Facts | None, **changes: Any) -> CommitResult:
    """The result of a commit of three tensors; `commit` changes fields of the commit itself."""
    fields: dict[str, Any] = {
        "metrics": {},
        "base": None,
        "message": "one\nmore",
        **changes.pop("commit", {}),
    }
    commit = Commit(
        (),
        ManifestId(bytes(32)),
        "Ada",
        Time(0, 0),
        fields["message"],
        {},
        fields["metrics"],
        {},
        fields["base"],
    )
    sizes = CommitSizes(3, 2000, 0)
    made: dict[str, Any] = {"created": True, "sizes": sizes, "new_bytes": 1500, **changes}
    return CommitResult(id=commit.id, commit=commit, branch="main", facts=facts, **made)


def marked(text: str, style: str) -> str:
    """A style that can be read back."""
    return f"<{style}>{text}</>"
