"""Notes: what became known of a commit after it was made.

Each subject has a ref to its latest note, which names the one before it.
Source: docs/format.md section 5.5.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import Corrupt
from mstore.frozen import frozen
from mstore.objects import CommitId, Note, NoteId, ObjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mstore.objects import Time
    from mstore.store.reflog import Move
    from mstore.store.store import Store

FACTS: Final = "facts"
FORGOTTEN: Final = "forgotten"


@frozen(slots=True)
class LateFacts:
    """Metrics and metadata that notes add to a commit; the latest of a name counts."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def notes_on(store: Store, subject: ObjectId) -> tuple[Note, ...]:
    """Return all notes on an object, the latest first.

    Raises:
        Corrupt: the ref, or a note, is damaged or about something else.
    """
    value = store.refs.read(f"notes/{subject.hex}")
    notes: list[Note] = []
    next_id = value.target if value is not None else None
    while next_id is not None:
        if not isinstance(next_id, NoteId):
            raise Corrupt(f"refs/notes/{subject.hex}", "does not name a note")
        note = store.note(next_id)
        if note.subject != subject:
            raise Corrupt(f"note {next_id.short}", f"is not about {subject.short}")
        notes.append(note)
        next_id = note.previous
    return tuple(notes)


def late_facts(store: Store, commit: CommitId) -> LateFacts:
    """Return what notes add to a commit."""
    metrics: dict[str, float] = {}
    metadata: dict[str, Any] = {}
    for note in reversed(notes_on(store, commit)):
        if note.note_kind != FACTS:
            continue
        found = note.payload.get("metrics", {})
        if isinstance(found, dict):
            metrics.update({k: float(v) for k, v in found.items() if isinstance(v, (int, float))})
        more = note.payload.get("metadata", {})
        if isinstance(more, dict):
            metadata.update(more)
    return LateFacts(metrics, metadata)


def forgotten_roles(store: Store, commit: CommitId) -> frozenset[str]:
    """Return the roles whose files were dropped from a commit, as its notes say.

    Raises:
        Corrupt: a note is damaged.
    """
    return frozenset(role for role, _ in forgotten_since(store, commit))


def forgotten_since(store: Store, commit: CommitId) -> tuple[tuple[str, Time], ...]:
    """Return the roles whose files were dropped from a commit, and when. Raises Corrupt."""
    return tuple(
        (str(role), note.time)
        for note in notes_on(store, commit)
        if note.note_kind == FORGOTTEN and isinstance(note.payload.get("roles"), list)
        for role in note.payload["roles"]
    )


def add_note(
    store: Store,
    subject: ObjectId,
    kind: str,
    payload: Mapping[str, Any],
    move: Move,
    *,
    around: Callable[[NoteId | None, NoteId], AbstractContextManager[None]] | None = None,
) -> NoteId:
    """Store a note and point the subject's ref to it.

    Args:
        around: returns a context for the ref's move, given the note before and the new one.

    Raises:
        RefMoved: another process added a note to the same object meanwhile.
        StorageFailed: the store is read-only, or the system failed.
    """
    (id,) = add_notes(store, [(subject, kind, payload)], move, around=around)
    return id


def add_notes(
    store: Store,
    notes: Sequence[tuple[ObjectId, str, Mapping[str, Any]]],
    move: Move,
    *,
    around: Callable[[NoteId | None, NoteId], AbstractContextManager[None]] | None = None,
) -> list[NoteId]:
    """Store notes on several objects, each as (subject, kind, payload); see `add_note`."""
    from mstore.store.transaction import Transaction

    made: list[tuple[Note, NoteId | None]] = []
    for subject, kind, payload in notes:
        current = store.refs.read(f"notes/{subject.hex}")
        previous = current.target if current is not None else None
        if previous is not None and not isinstance(previous, NoteId):
            raise Corrupt(f"refs/notes/{subject.hex}", "does not name a note")
        made.append((Note(subject, kind, payload, move.author, move.time, previous), previous))
    with Transaction(store, threads=1) as transaction:
        for note, previous in made:
            transaction.put(note)
            transaction.protect([note.subject, *([previous] if previous is not None else [])])
        transaction.publish()
        for note, previous in made:
            with nullcontext() if around is None else around(previous, note.id):
                store.refs.move(f"notes/{note.subject.hex}", note.id, move, expected=previous)
    return [note.id for note, _ in made]
