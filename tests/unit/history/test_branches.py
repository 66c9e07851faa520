"""branch: names that move on with each commit."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.errors import Conflict, Corrupt, InvalidInput, NotFound, RevisionNotFound, UsageError
from mstore.history.branches import branches, delete_branch, make_branch, rename_branch
from mstore.objects import CommitId
from mstore.workspace import Head


def test_branches_are_listed_by_name(repo: Repository) -> None:
    found = branches(repo.context)
    assert [(b.name, b.current) for b in found] == [("main", True), ("other", False)]
    assert [b.id for b in found] == [repo.resolve("main"), repo.resolve("other")]
    assert [b.commit.message for b in found] == ["s5", "s6"]


def test_a_branch_is_made_once_and_moved_only_by_force(repo: Repository) -> None:
    context, tip, before = repo.context, repo.resolve("main"), repo.resolve("main~1")
    assert make_branch(context, "new", before) == before
    with pytest.raises(Conflict, match="branch 'new' exists") as met:
        make_branch(context, "new", tip)
    assert "-f new" in str(met.value.hint) and context.branch_tip("new") == before
    make_branch(context, "new", tip, force=True)
    assert context.branch_tip("new") == tip


def test_the_branch_that_head_stands_on_is_not_moved_away(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    with pytest.raises(UsageError, match="is the current branch"):
        make_branch(context, "main", repo.resolve("main~1"), force=True)
    make_branch(context, "main", tip, force=True)
    with pytest.raises(UsageError, match="is the current branch"):
        delete_branch(context, "main")
    assert context.branch_tip("main") == tip


@pytest.mark.parametrize("name", ["", "a..b", "HEAD", "-x"])
def test_names_that_no_ref_may_have_are_refused(repo: Repository, name: str) -> None:
    with pytest.raises(InvalidInput):
        make_branch(repo.context, name, repo.resolve("main"))


def test_a_damaged_branch_is_replaced_by_force_alone(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    (damaged,) = repo.store.path.glob("refs/heads/other*")
    damaged.write_bytes(b"noise")
    with pytest.raises(Corrupt):
        make_branch(context, "other", tip)
    make_branch(context, "other", tip, force=True)
    assert context.branch_tip("other") == tip


def test_a_version_that_gc_took_apart_gets_no_branch(repo: Repository) -> None:
    gone = CommitId(bytes(32))
    with pytest.raises(NotFound, match="no longer whole"):
        make_branch(repo.context, "new", gone)
    assert repo.context.branch_tip("new") is None


def test_a_deleted_branch_comes_back_by_undo(repo: Repository) -> None:
    tip = repo.resolve("other")
    assert delete_branch(repo.context, "other") == tip
    assert repo.context.branch_tip("other") is None
    repo.undo()
    assert repo.context.branch_tip("other") == tip
    with pytest.raises(RevisionNotFound):
        delete_branch(repo.context, "never")


def test_head_follows_its_branch_to_the_new_name(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    rename_branch(context, "main", "trunk")
    assert context.head == Head(branch="trunk") and context.head_commit() == tip
    rename_branch(context, "other", "side")
    assert context.head == Head(branch="trunk")
    assert [b.name for b in branches(context)] == ["side", "trunk"]
    with pytest.raises(Conflict, match="'side' exists"):
        rename_branch(context, "trunk", "side")
    with pytest.raises(RevisionNotFound):
        rename_branch(context, "main", "new")
