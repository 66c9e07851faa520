"""A commit of a folder that holds what its branch has: at most a note is made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mstore.api.repository import Repository
from mstore.store.notes import notes_on


def _notes(repo: Repository) -> int:
    return len(notes_on(repo.store, repo.resolve("main")))


def test_nothing_new_makes_nothing(repo: Repository) -> None:
    tip = repo.resolve("main")
    again = repo.commit(metrics={"loss": 2.0}, metadata={"lr": 0.1})
    assert (again.id, again.created, again.note) == (tip, False, None)
    assert again.tensors == 3 and again.size_bytes == repo.manifest("main").size_bytes
    assert _notes(repo) == 0


def test_what_is_new_becomes_a_note_once(repo: Repository) -> None:
    for _ in range(2):
        repo.commit(
            metrics={"loss": 2.0, "bleu": 3.0, "nan": math.nan}, metadata={"lr": 0.1, "judge": "Bo"}
        )
    assert _notes(repo) == 1
    (entry,) = repo.log()
    assert entry.metrics["bleu"] == 3.0 and entry.metadata["judge"] == "Bo"
    (note,) = notes_on(repo.store, entry.id)
    assert set(note.payload["metrics"]) == {"bleu", "nan"} and set(note.payload["metadata"]) == {
        "judge"
    }


@pytest.mark.parametrize("value", [(1, 2), 2**70, {"deep": (math.nan,)}, math.nan])
def test_a_value_that_is_stored_in_another_form_is_noted_once(repo: Repository, value: Any) -> None:
    """A tuple comes back as a list, a huge integer as text, and NaN is never equal to itself."""
    for _ in range(2):
        repo.commit(metadata={"x": value})
    assert _notes(repo) == 1


def test_true_is_not_one(repo: Repository) -> None:
    repo.commit(metadata={"x": 1})
    repo.commit(metadata={"x": True})
    assert repo.log()[0].metadata["x"] is True
