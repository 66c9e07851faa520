"""A version and what is known of it: names, notes merged in, columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mstore.api.repository import Repository
from mstore.errors import Corrupt, NotFound
from mstore.history.entry import LogEntry, decorations, entries_of, entry_of
from mstore.objects import Commit, CommitId, ManifestId, Time
from mstore.store import LateFacts


def _entry(
    message: str = "one\nmore",
    metadata: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
    late: LateFacts | None = None,
    refs: tuple[str, ...] = (),
) -> LogEntry:
    commit = Commit(
        (),
        ManifestId(bytes(32)),
        "Ada",
        Time(1_700_000_000 * 10**9, 0),
        message,
        metadata or {},
        metrics or {},
    )
    return LogEntry(commit.id, commit, refs, None, late or LateFacts())


def test_notes_come_over_what_the_commit_said() -> None:
    late = LateFacts(metadata={"judge": "Bo", "lr": 2}, metrics={"loss": 1.0})
    entry = _entry(metadata={"lr": 1}, metrics={"loss": 2.0, "acc": 0.5}, late=late)
    assert entry.metadata == {"lr": 2, "judge": "Bo"}
    assert entry.metrics == {"loss": 1.0, "acc": 0.5}
    assert entry.commit.metrics["loss"] == 2.0


def test_what_training_recorded_has_columns_of_its_own() -> None:
    recorded = {"trainer": {"global_step": 7, "epoch": 2}, "adapters": {"": {"rank": 8, "alpha": 16}}}
    entry = _entry(metadata={"recorded": recorded, "a": {"b": 1}, "a.c": 2}, refs=("HEAD", "main"))
    assert (entry.step, entry.epoch) == (7, 2.0)
    shown = {name: entry.column(name) for name in ("step", "epoch", "r", "alpha", "message", "refs")}
    assert shown == {
        "step": 7,
        "epoch": 2.0,
        "r": 8,
        "alpha": 16,
        "message": "one",
        "refs": "HEAD, main",
    }
    assert entry.column("id") == entry.id.short and entry.column("author") == "Ada"
    assert entry.column("a.b") == 1 and entry.column("a.c") == 2
    assert entry.column("a.b.c") is None and entry.column("nothing") is None


def test_a_metric_named_like_a_column_is_the_metric() -> None:
    assert _entry(metrics={"step": 0.25}).column("step") == 0.25


@pytest.mark.parametrize(
    ("adapters", "rank"),
    [
        ({"": {"rank": 1}, "b": {"rank": 2}}, 1),
        ({"b": {"rank": 2}}, 2),
        ({"a": {"rank": 1}, "b": {"rank": 2}}, None),
        ({"a": "noise"}, None),
        ({}, None),
        ("noise", None),
    ],
)
def test_the_adapter_is_the_roots_or_the_only_one(adapters: Any, rank: int | None) -> None:
    assert _entry(metadata={"recorded": {"adapters": adapters}}).column("r") == rank


@pytest.mark.parametrize(
    "recorded", [None, "noise", {"trainer": "noise"}, {"trainer": {"global_step": "7", "epoch": "x"}}]
)
def test_what_is_recorded_wrong_is_nothing(recorded: Any) -> None:
    entry = _entry(metadata={"recorded": recorded})
    assert (entry.step, entry.epoch, entry.adapter) == (None, None, None)


def test_an_entry_prints_its_subject_and_losses() -> None:
    entry = _entry(metrics={"loss": 1.25, "eval_loss": 1.5, "acc": 1.0})
    assert str(entry) == f"{entry.id.short} one loss 1.25 eval_loss 1.5"


def test_sizes_need_a_store(repo: Repository) -> None:
    with pytest.raises(NotFound, match="is not tied to a store"):
        _entry().column("size")
    (entry,) = repo.log(limit=1)
    assert entry.column("tensors") == 4 and entry.column("size") == repo.manifest("HEAD").size_bytes
    assert 0 < entry.column("added") <= entry.column("size")


def test_names_stand_in_an_order_head_and_its_branch_first(repo: Repository) -> None:
    repo.make_branch("also", "main")
    repo.make_tag("v1", "main", message="said")
    names = decorations(repo.context)
    assert names[repo.resolve("main")] == ("HEAD", "main", "also", "tag: v1")
    assert names[repo.resolve("other")] == ("other",)


def test_a_damaged_head_hides_no_other_name(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / ".mstore/HEAD").write_text("noise")
    names = decorations(repo.context)
    assert names[repo.resolve("main")] == ("main",)


def test_entries_of_some_versions_know_their_names(repo: Repository) -> None:
    ids = [repo.resolve("main"), repo.resolve("main~1")]
    found = entries_of(repo.context, ids)
    assert list(found) == ids
    assert found[ids[0]].refs == ("HEAD", "main") and found[ids[0]].current == "main"
    assert found[ids[1]].refs == () and found[ids[1]].current is None
    with pytest.raises(NotFound):
        entries_of(repo.context, [CommitId(bytes(32))])


def test_a_damaged_note_costs_only_what_it_said(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(store: object, id: object) -> None:
        raise Corrupt("note", "is noise")

    monkeypatch.setattr("mstore.history.entry.late_facts", damaged)
    id = repo.resolve("main")
    entry = entry_of(repo.context, id, repo.store.commit(id), ("HEAD", "main"))
    assert entry.late == LateFacts() and entry.metrics["eval_loss"] == 1.5
