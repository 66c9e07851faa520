"""Which moves of refs, which HEAD and which files an undo would take back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.checkout.undo_plan import backup_of, kind_and_name, plan_undo, targets_of
from mstore.context import Context
from mstore.errors import RefMoved, UsageError
from mstore.objects import TagId
from mstore.workspace import Operation, RefMove
from tests.plans import assert_is_a_value, everything


def test_the_last_operation_is_planned_and_nothing_changes(repo: Repository, tmp_path: Path) -> None:
    repo.checkout("main~1", new_branch="retry")
    before = everything(tmp_path)
    plan = plan_undo(repo.context)
    document = assert_is_a_value(plan)
    assert everything(tmp_path) == before
    assert document["refs"] == [{"kind": "branch", "name": "retry", "id": None}]
    assert document["head"] == {"branch": "main", "id": None} and document["path"] == str(
        tmp_path / "out"
    )
    assert "old.txt" in document["restored"] and document["restored"] == list(plan.files)
    lines = str(plan).splitlines()
    assert lines[0] == "would undo: checkout retry"
    assert "retry → (gone)" in lines[1] and lines[2].endswith("HEAD → main")


def test_a_ref_alone_is_taken_back_by_who_moved_it(repo: Repository) -> None:
    one, two = repo.resolve("main~1"), repo.resolve("main")
    plan = plan_undo(repo.context, "main")
    assert plan.moves == (RefMove("heads/main", "commit", one.hex, two.hex),) and plan.operation is None
    assert plan.files == () and plan.to_dict()["head"] is None
    with pytest.raises(UsageError, match="was not made here but by") as met:
        plan_undo(Context(repo.store, repo.workspace, "Bo"), "main")
    assert met.value.hint == "`mstore reflog main`"
    with pytest.raises(UsageError):
        plan_undo(Context(repo.store), "main")


def test_without_operations_there_is_nothing_to_undo(tmp_path: Path, place: Context) -> None:
    with pytest.raises(UsageError, match="nothing to undo"):
        plan_undo(mstore.init(tmp_path / "new").context)
    with pytest.raises(UsageError, match="needs a workspace"):
        plan_undo(place)


def test_a_ref_that_somebody_moved_on_is_refused(repo: Repository) -> None:
    repo.make_branch("side")
    other = Context(repo.store, None, "Bo")
    repo.store.refs.move("heads/side", repo.resolve("main~1"), other.move("x", ""), force=True)
    with pytest.raises(RefMoved) as met:
        plan_undo(repo.context)
    assert met.value.ref == "side"


def test_a_record_of_what_never_happened_is_passed_over(repo: Repository) -> None:
    assert repo.workspace is not None
    id = repo.resolve("main").hex
    with repo.workspace.journaled(
        Operation("branch ghost", (RefMove("heads/ghost", "commit", None, id),))
    ):
        pass
    plan = plan_undo(repo.context)
    assert [o.action for o in plan.void] == ["branch ghost"] and plan.action.startswith("commit ")


@pytest.mark.parametrize(
    ("ref", "found"),
    [("heads/a/b", ("branch", "a/b")), ("tags/v1", ("tag", "v1")), ("notes/ab", ("note", "ab"))],
)
def test_refs_are_shown_by_kind_and_name(ref: str, found: tuple[str, str]) -> None:
    assert kind_and_name(ref) == found


def test_a_move_remembers_both_ends_with_their_kind() -> None:
    one, other = TagId(bytes(32)), TagId(bytes([1]) * 32)
    assert targets_of(RefMove("tags/v1", "tag", one.hex, other.hex)) == (other, one)
    assert targets_of(RefMove("tags/v1", "tag", None, other.hex)) == (other, None)


def test_copies_that_are_being_moved_back_are_found_where_they_are(repo: Repository) -> None:
    assert repo.workspace is not None
    operation = Operation("checkout", backup="000001")
    undo = repo.workspace.path / "undo"
    assert (
        backup_of(repo.workspace, Operation("x"))
        == backup_of(repo.workspace, operation)
        == (None, None)
    )
    (undo / "000001").mkdir(parents=True)
    assert backup_of(repo.workspace, operation) == (undo / "000001", undo / "000001.back")
    os.rename(undo / "000001", undo / "000001.back")
    assert backup_of(repo.workspace, operation) == (undo / "000001.back", undo / "000001.back")
