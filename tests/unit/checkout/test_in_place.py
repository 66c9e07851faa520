"""HEAD and a new branch move together with the files, or stay."""

from __future__ import annotations

from typing import Any

import pytest

from mstore.api.repository import Repository
from mstore.checkout.in_place import move_head
from mstore.checkout.plan import CheckoutPlan
from mstore.context import Context
from mstore.errors import DurabilityUnknown, StorageFailed, UsageError
from mstore.store import Refs
from mstore.workspace import Head


def _plan(repo: Repository, **options: Any) -> CheckoutPlan:
    return repo.plan_checkout("main~1", **options)


def test_head_moves_and_the_journal_tells_of_it(repo: Repository) -> None:
    plan = _plan(repo, new_branch="retry")
    assert repo.workspace is not None
    move_head(repo.context, plan, None, [])
    assert repo.context.head == Head(branch="retry") and repo.context.branch_tip("retry") == plan.id
    last = repo.workspace.operations()[-1]
    assert last.action == "checkout retry" and [m.ref for m in last.moves] == ["heads/retry"]
    assert last.head is not None
    assert last.head[0] == {"branch": "main", "at": repo.resolve("main").hex}
    assert last.head[1] == {"branch": "retry", "at": plan.id.hex}


def test_where_head_cannot_follow_the_branch_goes_again(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Context, head: Head, move: object) -> None:
        raise StorageFailed("no room")

    assert repo.workspace is not None
    before = repo.workspace.operations()
    plan = _plan(repo, new_branch="retry")
    monkeypatch.setattr(Context, "_set_head", full)
    with pytest.raises(StorageFailed) as met:
        move_head(repo.context, plan, None, [])
    assert met.value.hint is None and repo.context.head == Head(branch="main")
    assert repo.context.branch_tip("retry") is None and repo.workspace.operations() == before


def test_a_branch_that_stays_is_told(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(repo, new_branch="retry")
    right = Refs.move

    def only_new_ones(self: Refs, name: str, target: Any, *arguments: Any, **options: Any) -> Any:
        if target is None:
            raise StorageFailed("no room")
        return right(self, name, target, *arguments, **options)

    def full(self: Context, head: Head, move: object) -> None:
        raise StorageFailed("no room")

    monkeypatch.setattr(Refs, "move", only_new_ones)
    monkeypatch.setattr(Context, "_set_head", full)
    with pytest.raises(StorageFailed) as met:
        move_head(repo.context, plan, None, [])
    assert met.value.hint == "the branch exists now: run `mstore checkout retry` to finish"


def test_what_is_not_confirmed_is_put_off(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(repo)
    right = Context._set_head

    def unconfirmed(self: Context, head: Head, move: Any) -> None:
        right(self, head, move)
        raise DurabilityUnknown("HEAD was replaced")

    monkeypatch.setattr(Context, "_set_head", unconfirmed)
    late: list[DurabilityUnknown] = []
    move_head(repo.context, plan, None, late)
    assert len(late) == 1 and repo.context.head == Head(commit=plan.id)


def test_a_store_alone_has_no_place(repo: Repository) -> None:
    with pytest.raises(UsageError, match="a checkout in place needs a workspace"):
        move_head(Context(repo.store), _plan(repo), None, [])
