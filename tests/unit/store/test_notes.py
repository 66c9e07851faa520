"""Notes: what became known of a commit after it was made; each names the one before it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from mstore.errors import Conflict, Corrupt, RefMoved
from mstore.objects import Commit, CommitId, Manifest, NoteId, Time
from mstore.store import (
    FACTS,
    FORGOTTEN,
    LateFacts,
    Move,
    Store,
    add_note,
    add_notes,
    forgotten_roles,
    forgotten_since,
    late_facts,
)
from mstore.store.notes import notes_on
from mstore.store.transaction import Transaction


@pytest.fixture
def subject(store: Store) -> CommitId:
    """A commit that notes are about."""
    manifest = Manifest(())
    commit = Commit((), manifest.id, "Ada", Time(0, 0), "one", {}, {})
    with Transaction(store, threads=1) as transaction:
        transaction.put(manifest)
        transaction.put(commit)
        transaction.publish()
    return commit.id


def _move(second: int = 0) -> Move:
    return Move("note", "", "Bo", Time(second * 10**9, 0), None)


def test_the_latest_of_a_name_counts(store: Store, subject: CommitId) -> None:
    assert late_facts(store, subject) == LateFacts() and notes_on(store, subject) == ()
    first = add_note(
        store, subject, FACTS, {"metrics": {"a": 1, "b": 1}, "metadata": {"x": 1}}, _move(1)
    )
    second = add_note(store, subject, FACTS, {"metrics": {"a": 2.5}, "metadata": {"y": 2}}, _move(2))
    assert late_facts(store, subject) == LateFacts({"a": 2.5, "b": 1.0}, {"x": 1, "y": 2})
    latest, before = notes_on(store, subject)
    assert (latest.id, latest.previous, before.id, before.previous) == (second, first, first, None)
    assert latest.author == "Bo" and latest.time == Time(2 * 10**9, 0)


@pytest.mark.parametrize(
    "payload", [{}, {"metrics": "noise", "metadata": 3}, {"metrics": {"a": "text"}}]
)
def test_a_payload_of_another_form_says_nothing(
    store: Store, subject: CommitId, payload: dict[str, Any]
) -> None:
    add_note(store, subject, FACTS, payload, _move())
    add_note(store, subject, "signature", {"metrics": {"b": 1}}, _move())
    assert late_facts(store, subject) == LateFacts()


def test_roles_that_were_forgotten_and_when(store: Store, subject: CommitId) -> None:
    add_note(store, subject, FORGOTTEN, {"roles": ["training-state"]}, _move(1))
    add_note(store, subject, FORGOTTEN, {"roles": "noise"}, _move(2))
    add_note(store, subject, FORGOTTEN, {"roles": ["other"]}, _move(3))
    assert forgotten_roles(store, subject) == {"training-state", "other"}
    assert forgotten_since(store, subject) == (
        ("other", Time(3 * 10**9, 0)),
        ("training-state", Time(10**9, 0)),
    )


def test_several_are_stored_at_once_and_something_stands_around_each_move(
    store: Store, subject: CommitId
) -> None:
    before = add_note(store, subject, FACTS, {}, _move())
    other = CommitId(bytes(32))
    around: list[tuple[NoteId | None, NoteId]] = []

    @contextlib.contextmanager
    def journaled(previous: NoteId | None, made: NoteId) -> Iterator[None]:
        around.append((previous, made))
        assert notes_on(store, subject)[0].id in (before, made)
        yield

    # A subject that is nowhere cannot be protected: see the next test.
    (made,) = add_notes(store, [(subject, FACTS, {"metadata": {"x": 1}})], _move(), around=journaled)
    assert around == [(before, made)] and notes_on(store, other) == ()


def test_a_note_on_what_is_not_there_is_refused(store: Store, subject: CommitId) -> None:
    gone = CommitId(bytes(32))
    with pytest.raises(Conflict):
        add_notes(store, [(subject, FACTS, {}), (gone, FACTS, {})], _move())
    assert notes_on(store, subject) == ()


def test_who_notes_at_the_same_moment_is_refused(store: Store, subject: CommitId) -> None:
    @contextlib.contextmanager
    def faster(previous: NoteId | None, made: NoteId) -> Iterator[None]:
        add_note(store, subject, FACTS, {"metadata": {"mine": 1}}, _move())
        yield

    with pytest.raises(RefMoved):
        add_note(store, subject, FACTS, {"metadata": {"late": 1}}, _move(), around=faster)
    assert late_facts(store, subject).metadata == {"mine": 1}


def test_a_ref_that_names_no_note_is_corrupt(store: Store, subject: CommitId) -> None:
    store.refs.move(f"notes/{subject.hex}", subject, _move())
    for ask in (lambda: notes_on(store, subject), lambda: add_note(store, subject, FACTS, {}, _move())):
        with pytest.raises(Corrupt, match="does not name a note"):
            ask()


def test_a_note_about_something_else_is_corrupt(store: Store, subject: CommitId) -> None:
    note = add_note(store, subject, FACTS, {}, _move())
    other = CommitId(bytes(32))
    store.refs.move(f"notes/{other.hex}", note, _move())
    with pytest.raises(Corrupt, match="is not about"):
        notes_on(store, other)
