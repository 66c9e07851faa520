"""note: what became known of a version after it was committed."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.commit.note import note
from mstore.errors import UsageError


def test_a_note_adds_to_a_version_whose_id_stays(repo: Repository) -> None:
    id = repo.resolve("main")
    note(repo.context, id, metrics={"bleu": 3}, metadata={"judge": ("a", 2**70)})
    (entry,) = repo.log()
    assert entry.id == id
    assert entry.metrics == {"loss": 2.0, "bleu": 3.0}
    assert entry.metadata["judge"] == ["a", str(2**70)] and entry.metadata["lr"] == 0.1
    repo.undo()
    assert repo.log()[0].metrics == {"loss": 2.0}


def test_nothing_and_what_is_ours_are_refused(repo: Repository) -> None:
    id = repo.resolve("main")
    with pytest.raises(UsageError, match="nothing to note"):
        note(repo.context, id, metrics={}, metadata={})
    with pytest.raises(UsageError, match="'recorded' is mstore's own"):
        note(repo.context, id, metadata={"recorded": {}})
    assert repo.store.refs.read(f"notes/{id.hex}") is None


def test_the_move_of_a_note_names_what_it_says(repo: Repository) -> None:
    id = repo.resolve("main")
    note(repo.context, id, metrics={"a": 1}, metadata={"b": 2})
    assert repo.store.refs.log(f"notes/{id.hex}")[0].move.message == "a, b"
