"""Checking names: refs, their reflogs, notes, and HEAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.errors import Corrupt, MStoreError, NotFound, StorageFailed, Unsupported
from mstore.maintain.findings import Findings, Problem
from mstore.objects import CommitId, NoteId, ObjectId, TagId

if TYPE_CHECKING:
    from mstore.context import Context
    from mstore.store import Store


def check_refs(context: Context, findings: Findings) -> list[tuple[CommitId, str]]:
    """Check all names.

    Returns:
        The commits that they point to, each with the name.
    """
    store = context.store
    refs = store.refs
    tips: list[tuple[CommitId, str]] = []
    for namespace in ("heads", "tags", "notes", "pins"):
        try:
            names = list(refs.names(namespace))
        except Corrupt as error:
            findings.problem(error.where, error.rule)
            continue
        for name in names:
            _check_ref(store, namespace, name, findings, tips)
        for name in refs.logged(namespace):
            _check_reflog(store, namespace, name, name in names, findings)
    for name in refs.logged("refused"):
        _check_reflog(store, "refused", name, True, findings)
    if context.workspace is not None:
        try:
            head = context.workspace.head
            if head.commit is not None:
                tips.append((head.commit, "HEAD"))
        except MStoreError as error:
            findings.problem("HEAD", error.message)
    return tips


def _check_ref(
    store: Store, namespace: str, name: str, findings: Findings, tips: list[tuple[CommitId, str]]
) -> None:
    """Check that a ref can be read and what it points to exists; adds its commit to `tips`."""
    where = f"refs/{namespace}/{name}"
    try:
        value = store.refs.read(f"{namespace}/{name}")
    except (Corrupt, StorageFailed) as error:
        last = last_logged(store, f"{namespace}/{name}")
        findings.refs.add(f"{namespace}/{name}")
        hint = None
        if last is not None:
            hint = f"its reflog says {last.hex}"
            if namespace == "heads":
                hint += f": `mstore branch -f {name} {last.short}` restores it"
        findings.problem(where, getattr(error, "rule", error.message), hint)
        if isinstance(last, CommitId):
            tips.append((last, where))
        return
    if value is None:
        return
    try:
        target: ObjectId = value.target
        if isinstance(target, TagId):
            target = store.tag(target).target
        if isinstance(target, CommitId):
            tips.append((target, where))
        elif isinstance(target, NoteId):
            _check_notes(store, namespace, name, target, findings)
    except (Corrupt, NotFound, Unsupported) as error:
        findings.lost.add(value.target)
        findings.problem(where, error.message)


def _check_notes(store: Store, namespace: str, name: str, id: NoteId, findings: Findings) -> None:
    """Check all notes of a chain; they are about the object that their ref is named after."""
    where, next_id = f"refs/{namespace}/{name}", id
    while True:
        try:
            note = store.note(next_id)
        except (Corrupt, NotFound, Unsupported) as error:
            findings.lost.add(next_id)
            findings.problem(where, error.message)
            return
        if namespace != "notes" or note.subject.hex != name:
            findings.problem(where, f"its note {next_id.short} is about {note.subject.short}")
        if note.previous is None:
            return
        next_id = note.previous


def last_logged(store: Store, name: str) -> ObjectId | None:
    """Return where the last readable record of a ref's reflog points to; None: nowhere."""
    records, _ = store.refs.log_readable(name)
    return records[0].new if records else None


def _check_reflog(store: Store, namespace: str, name: str, exists: bool, findings: Findings) -> None:
    """Check that all records can be read, and that a ref exists if the last one points it somewhere."""
    where = f"logs/{namespace}/{name}"
    try:
        records = store.refs.log_even_unfinished(f"{namespace}/{name}")
    except Corrupt as error:
        findings.logs.add(f"{namespace}/{name}")
        findings.problem(error.where, error.rule)
        return
    if not exists and records and records[0].new is not None:
        findings.warnings.append(
            Problem(
                where,
                f"ends with a move to {records[0].new.short}, but the ref does not exist: the move"
                " was not finished, or the ref's file was lost",
                hint=f"`mstore branch {name} {records[0].new.short}` creates it"
                if namespace == "heads"
                else None,
            )
        )
