"""Walks from versions to their parents: no parent before the child that led to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.api.repository import Repository
from mstore.errors import NotFound
from mstore.history.walk import all_tips, walk
from mstore.objects import Commit, CommitId, Manifest, Time
from mstore.store import Store
from mstore.store.transaction import Transaction

HOUR = 3600 * 10**9


def put_commit(store: Store, message: str, *parents: CommitId, hours: float = 0) -> CommitId:
    """Store a commit of nothing, made so many hours after 2023."""
    manifest = Manifest(())
    time = Time(1_672_531_200 * 10**9 + int(hours * HOUR), 0)
    made = Commit(parents, manifest.id, "Ada", time, message, {}, {})
    with Transaction(store, threads=1) as transaction:
        transaction.put(manifest)
        transaction.put(made)
        transaction.publish()
    return made.id


def _messages(store: Store, *tips: CommitId) -> list[str]:
    return [commit.message for _, commit in walk(store, tips)]


def test_the_latest_comes_first_and_each_once(store: Store) -> None:
    one = put_commit(store, "one", hours=1)
    left = put_commit(store, "left", one, hours=3)
    right = put_commit(store, "right", one, hours=2)
    both = put_commit(store, "both", left, right, hours=4)
    assert _messages(store, both) == ["both", "left", "right", "one"]
    assert _messages(store, right, left, right) == ["left", "right", "one"]
    assert _messages(store) == []


def test_a_clock_that_was_wrong_puts_no_parent_before_its_child(store: Store) -> None:
    one = put_commit(store, "one", hours=9)
    two = put_commit(store, "two", one, hours=1)
    three = put_commit(store, "three", two, hours=2)
    assert _messages(store, three) == ["three", "two", "one"]


@given(st.lists(st.tuples(st.integers(0, 20), st.sets(st.integers(0, 30), max_size=3)), max_size=12))
def test_any_history_is_walked_whole(history: list[tuple[int, set[int]]]) -> None:
    ids: list[CommitId] = []
    commits: dict[CommitId, Commit] = {}
    for number, (hours, above) in enumerate(history):
        parents = tuple(ids[i] for i in sorted(above) if i < number)
        made = Commit(parents, Manifest(()).id, "Ada", Time(hours * HOUR, 0), str(number), {}, {})
        ids.append(made.id)
        commits[made.id] = made

    class Commits:
        def commit(self, id: CommitId) -> Commit:
            return commits[id]

    store: Any = Commits()
    walked = [id for id, _ in walk(store, ids)]
    assert sorted(walked) == sorted(ids)
    if ids:
        tip_first = [id for id, _ in walk(store, [ids[-1]])]
        assert tip_first[0] == ids[-1] and len(set(tip_first)) == len(tip_first)


def test_a_parent_that_is_missing_is_said_when_it_is_met(store: Store) -> None:
    gone = CommitId(bytes(32))
    steps = walk(store, [put_commit(store, "one", gone)])
    assert next(steps)[1].message == "one"
    with pytest.raises(NotFound):
        next(steps)


def test_tips_are_what_branches_tags_and_head_point_to(repo: Repository) -> None:
    repo.make_tag("v1", "HEAD~2", message="said")
    repo.make_tag("same", "main")
    names = ("main", "other", "v1")
    assert set(all_tips(repo.context)) == {repo.resolve(name) for name in names}
    assert len(all_tips(repo.context)) == 3
    repo.checkout("HEAD~1", force=True)
    assert repo.resolve("main~1") in all_tips(repo.context)


def test_a_damaged_head_hides_no_branch(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / ".mstore/HEAD").write_text("noise")
    assert set(all_tips(repo.context)) == {repo.resolve("main"), repo.resolve("other")}
