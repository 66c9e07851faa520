"""Saves of training runs that wait to be committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.workspace import Workspace


def staged_lines(workspace: Workspace) -> Iterator[tuple[str, int]]:
    """Queues of training runs with the number of saves in them that no commit holds yet."""
    if not (workspace.path / "staged").is_dir():
        return
    from mstore.staging.queue import registered

    for queue in registered(workspace.path):
        if count := queue.unfinished():
            yield str(queue.path), count
