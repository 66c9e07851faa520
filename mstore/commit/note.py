"""note: what became known of a version after it was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mstore.context import ref_move
from mstore.errors import UsageError
from mstore.store import FACTS, add_note
from mstore.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from mstore.context import Context
    from mstore.objects import CommitId, NoteId


def note(
    context: Context,
    id: CommitId,
    *,
    metrics: Mapping[str, float] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> NoteId:
    """Add metrics and metadata to a commit, whose id stays as it is.

    Raises:
        UsageError: there is nothing to note.
        RefMoved: another process noted the same commit at this moment.
    """
    if not metrics and not metadata:
        raise UsageError("nothing to note", hint="--metric NAME=NUMBER, --meta KEY=VALUE")
    if metadata and "recorded" in metadata:
        raise UsageError("the metadata key 'recorded' is mstore's own", hint="choose another name")
    payload: dict[str, Any] = {}
    if metrics:
        payload["metrics"] = {k: float(v) for k, v in metrics.items()}
    if metadata:
        payload["metadata"] = storable(dict(metadata))
    return add_facts(context, id, payload, ", ".join([*(metrics or {}), *(metadata or {})]))


def add_facts(context: Context, id: CommitId, payload: Mapping[str, Any], message: str) -> NoteId:
    """Record facts on a commit, as something that `undo` takes back. Raises RefMoved, StorageFailed."""

    def journaled(before: NoteId | None, after: NoteId) -> AbstractContextManager[None]:
        return context.journaled(f"note on {id.short}", ref_move(f"notes/{id.hex}", before, after))

    return add_note(context.store, id, FACTS, payload, context.move("note", message), around=journaled)
