"""Deleting and renaming a ref: a failure half-way leaves both names or the old one, never neither."""

from __future__ import annotations

import pytest

from mstore.api.repository import Repository
from mstore.errors import Conflict, DurabilityUnknown, InvalidInput, RevisionNotFound, StorageFailed
from mstore.history.ref_moves import delete_ref, rename_ref


def _names(repo: Repository) -> set[str]:
    return set(repo.store.refs.names("heads"))


def test_deleting_gives_the_commit_and_a_record(repo: Repository) -> None:
    tip = repo.resolve("other")
    assert delete_ref(repo.context, "heads", "other") == tip
    last = repo.store.refs.log("heads/other")[0]
    assert (last.old, last.new, last.move.action) == (tip, None, "delete")
    with pytest.raises(RevisionNotFound):
        delete_ref(repo.context, "heads", "other")


def test_a_rename_goes_on_where_it_was_killed(repo: Repository) -> None:
    """Both names stand then, the new one by a move that says where it came from."""
    context, tip = repo.context, repo.resolve("other")

    class Killed(BaseException):
        """As the process would be."""

    def follow() -> None:
        raise Killed

    with pytest.raises(Killed):
        rename_ref(context, "heads", "other", "new", follow=follow)
    assert _names(repo) == {"main", "other", "new"}
    rename_ref(context, "heads", "other", "new")
    assert _names(repo) == {"main", "new"} and context.branch_tip("new") == tip


def test_a_name_that_came_otherwise_is_taken(repo: Repository) -> None:
    repo.make_branch("new", "other")
    with pytest.raises(Conflict, match="'new' exists"):
        rename_ref(repo.context, "heads", "other", "new")
    assert _names(repo) == {"main", "other", "new"}


def test_where_head_cannot_follow_the_rename_is_taken_back(repo: Repository) -> None:
    stayed: list[bool] = []

    def follow() -> None:
        raise StorageFailed("the disk is full")

    with pytest.raises(StorageFailed) as met:
        rename_ref(
            repo.context, "heads", "other", "new", follow=follow, stay=lambda: stayed.append(True)
        )
    assert stayed == [True] and met.value.hint is None
    assert _names(repo) == {"main", "other"}


def test_where_the_way_back_fails_both_names_are_told(repo: Repository) -> None:
    def failing() -> None:
        raise StorageFailed("the disk is full")

    with pytest.raises(StorageFailed) as met:
        rename_ref(repo.context, "heads", "other", "new", follow=failing, stay=failing)
    assert met.value.hint == (
        "both names exist now: 'other' and 'new'; run the same command again to finish"
    )
    assert _names(repo) == {"main", "other", "new"}


def test_what_the_disk_did_not_confirm_is_said_at_the_end(repo: Repository) -> None:
    def unconfirmed() -> None:
        raise DurabilityUnknown("HEAD was replaced")

    with pytest.raises(DurabilityUnknown, match="HEAD was replaced"):
        rename_ref(repo.context, "heads", "other", "new", follow=unconfirmed)
    assert _names(repo) == {"main", "new"}


@pytest.mark.parametrize(("old", "new"), [("a..b", "new"), ("other", "a..b")])
def test_names_that_no_ref_may_have_are_refused(repo: Repository, old: str, new: str) -> None:
    with pytest.raises(InvalidInput):
        rename_ref(repo.context, "heads", old, new)
    assert _names(repo) == {"main", "other"}
