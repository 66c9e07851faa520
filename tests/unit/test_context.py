"""Where an operation takes place: who acts, where HEAD stands, what pins it, what is journaled."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.context import Context, defer_unconfirmed, peeled, ref_move
from mstore.errors import DurabilityUnknown, UsageError
from mstore.objects import CommitId, TagId
from mstore.store import Refs, Store
from mstore.workspace import Head, RefMove
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """One version on main."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    write_adapter(tmp_path / "out")
    repo.commit(message="one")
    return repo


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without git."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def _pin(context: Context) -> CommitId | None:
    assert context.workspace is not None
    value = context.store.refs.read(f"pins/{context.workspace.id}")
    return value.target if value is not None else None  # type: ignore[return-value]


def test_who_acts_is_said_configured_or_the_login(repo: Repository, no_git: None) -> None:
    context = repo.context
    assert context.workspace is not None
    assert Context(context.store, None, "Bo <bo@example.org>").author == "Bo <bo@example.org>"
    login = pwd.getpwuid(os.getuid()).pw_name
    assert Context(context.store, context.workspace).author == login
    context.workspace.set_config("author", "Cy <cy@example.org>")
    assert Context(context.store, context.workspace).author == "Cy <cy@example.org>"
    assert Context(context.store, context.workspace, "Bo").author == "Bo"


@pytest.mark.parametrize(
    ("config", "author"),
    [
        ("[user]\nname = Di\nemail = di@example.org\n", "Di <di@example.org>"),
        ("[user]\nname = Di\n", "Di"),
    ],
)
def test_gits_author_is_taken_where_none_is_configured(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, author: str
) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    (tmp_path / "gitconfig").write_text(config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.chdir(tmp_path)
    assert Context(store).author == author


def test_a_user_without_a_name_has_a_number(
    store: Store, no_git: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert Context(store).author == f"uid-{os.getuid()}"


def test_a_store_alone_stands_nowhere(place: Context) -> None:
    assert (place.head, place.head_commit(), place.stat_cache) == (None, None, None)
    assert place.own_folders == place.store.folders
    assert place.move("commit", "x").workspace is None
    with place.journaled("x"):
        pass
    with pytest.raises(UsageError, match="HEAD needs a workspace"):
        place.set_head(Head(branch="main"))


def test_a_workspace_stands_on_a_branch(repo: Repository) -> None:
    context = repo.context
    tip = repo.resolve("main")
    assert context.head == Head(branch="main") and context.head_commit() == tip
    assert context.branch_tip("main") == tip and context.branch_tip("none") is None
    assert context.workspace is not None and context.workspace.path in context.own_folders
    assert context.move("commit", "x").workspace == context.workspace.id


def test_a_commit_without_a_branch_is_pinned_for_as_long_as_head_stands_on_it(repo: Repository) -> None:
    context, tip = repo.context, repo.resolve("main")
    context.set_head(Head(commit=tip))
    assert context.head_commit() == tip and _pin(context) == tip
    context.set_head(Head(branch="main"))
    assert context.head == Head(branch="main") and _pin(context) is None


def test_head_that_is_made_ready_moves_when_it_is_told(repo: Repository) -> None:
    context = repo.context
    with context.prepare_head(Head(branch="other")):
        pass
    assert context.head == Head(branch="main")
    with context.prepare_head(Head(branch="other")) as move:
        move()
    assert context.head == Head(branch="other") and context.head_commit() is None


def test_head_moves_though_the_disk_does_not_confirm_the_pin(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, tip = repo.context, repo.resolve("main")
    right = Refs.move

    def move(self: Refs, *arguments: Any, **options: Any) -> Any:
        right(self, *arguments, **options)
        raise DurabilityUnknown("it was moved")

    monkeypatch.setattr(Refs, "move", move)
    with pytest.raises(DurabilityUnknown, match="it was moved"):
        context.set_head(Head(commit=tip))
    assert context.head == Head(commit=tip) and _pin(context) == tip


def test_what_is_journaled_can_be_undone_and_a_failure_leaves_no_record(repo: Repository) -> None:
    context = repo.context
    assert context.workspace is not None
    before = context.workspace.operations()
    moved = ref_move("heads/x", None, repo.resolve("main"))
    with context.journaled("make x", moved):
        pass
    after = context.workspace.operations()
    assert after[:-1] == before and after[-1].moves == (moved,)
    with pytest.raises(UsageError), context.journaled("fail", moved):
        raise UsageError("no")
    assert context.workspace.operations() == after


def test_a_step_that_is_not_confirmed_is_put_off() -> None:
    unconfirmed: list[DurabilityUnknown] = []
    error = DurabilityUnknown("done")
    with defer_unconfirmed(unconfirmed):
        raise error
    assert unconfirmed == [error]
    with pytest.raises(UsageError), defer_unconfirmed(unconfirmed):
        raise UsageError("no")


def test_a_move_is_remembered_with_both_ends() -> None:
    one, other = CommitId(bytes(32)), TagId(bytes([1]) * 32)
    assert ref_move("heads/x", None, one) == RefMove("heads/x", "commit", None, one.hex)
    assert ref_move("tags/x", other, None) == RefMove("tags/x", "tag", other.hex, None)
    assert ref_move("heads/x", None, None) == RefMove("heads/x", "commit", None, None)


def test_a_tag_is_peeled_to_its_commit_and_other_things_are_refused(repo: Repository) -> None:
    tip = repo.resolve("main")
    repo.make_tag("v1", message="said")
    value = repo.store.refs.read("tags/v1")
    assert value is not None and isinstance(value.target, TagId)
    assert peeled(repo.store, value.target) == peeled(repo.store, tip) == tip
    with pytest.raises(UsageError, match="is not a commit"):
        peeled(repo.store, repo.store.commit(tip).manifest)
