"""Running a checkout: into a new folder, into one that is there, and in place."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.checkout.execute import checkout, run_checkout
from mstore.errors import Conflict, Dirty
from mstore.workspace import Head
from tests.conftest import contents, write_adapter, write_model


def test_a_folder_that_is_named_is_written_and_head_stays(repo: Repository, tmp_path: Path) -> None:
    result = checkout(repo.context, "main~1", to=tmp_path / "new")
    assert (result.path, result.branch, result.detached) == (tmp_path / "new", None, False)
    assert (result.written, result.removed, result.unchanged) == (4, 0, 0)
    assert repo.context.head == Head(branch="main")
    again = checkout(repo.context, "main", to=tmp_path / "new")
    assert contents(tmp_path / "new") == contents(tmp_path / "out")
    assert again.removed == 1 and again.unchanged == 1 and again.backup is None


def test_in_place_files_and_head_move_together(repo: Repository, tmp_path: Path) -> None:
    before = contents(tmp_path / "out")
    result = checkout(repo.context, "main~1")
    assert result.detached and repo.context.head == Head(commit=result.id)
    assert "old.txt" in contents(tmp_path / "out") and not (tmp_path / "out/deep").exists()
    result = checkout(repo.context, "main")
    assert (result.branch, result.detached) == ("main", False) and contents(tmp_path / "out") == before
    result = checkout(repo.context, "main~1", new_branch="retry")
    assert result.branch == "retry" and repo.context.branch_tip("retry") == result.id


def test_files_that_no_commit_holds_are_kept_by_force(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "out/config.json").write_text("mine")
    with pytest.raises(Dirty) as met:
        checkout(repo.context, "main~1")
    assert met.value.paths == ("config.json",)
    result = checkout(repo.context, "main~1", force=True)
    assert result.backup is not None and (result.backup / "config.json").read_text() == "mine"
    repo.undo()
    assert (tmp_path / "out/config.json").read_text() == "mine"


def test_a_plan_of_a_head_that_moved_is_refused(repo: Repository) -> None:
    plan = repo.plan_checkout("main~1")
    repo.make_branch("side")
    checkout(repo.context, "side")
    with pytest.raises(Conflict, match="HEAD was moved after the checkout was planned"):
        run_checkout(repo.context, plan)


@pytest.fixture
def adapter(repo: Repository, tmp_path: Path) -> Path:
    """`tuned`: an adapter that starts from main."""
    write_adapter(tmp_path / "lora")
    repo.commit(tmp_path / "lora", branch="tuned", base="main", message="lora", by_hand=False)
    return tmp_path / "lora"


def test_the_base_of_an_adapter_is_written_so_that_the_line_works(
    repo: Repository, adapter: Path, tmp_path: Path
) -> None:
    result = checkout(repo.context, "tuned", to=tmp_path / "new")
    assert (
        result.base == tmp_path / "new-base"
        and result.load is not None
        and str(result.base) in result.load
    )
    assert contents(tmp_path / "new-base") == contents(tmp_path / "out")
    again = checkout(repo.context, "tuned", to=tmp_path / "new")
    assert again.base == result.base and again.warnings == ()


def test_a_base_that_would_overwrite_something_is_left_out_with_a_warning(
    repo: Repository, adapter: Path, tmp_path: Path
) -> None:
    (tmp_path / "new-base").mkdir()
    (tmp_path / "new-base/mine").write_text("x")
    result = checkout(repo.context, "tuned", to=tmp_path / "new")
    assert result.base is None and contents(tmp_path / "new") == contents(adapter)
    (warning,) = result.warnings
    assert "the base of this adapter was not written" in warning and "holds something else" in warning
    assert contents(tmp_path / "new-base") == {"mine": b"x"}


def test_a_checkout_of_nothing_but_head_writes_nothing(tmp_path: Path) -> None:
    repo = mstore.init(tmp_path)
    repo.commit(write_model(tmp_path / "out", elements=3000), message="one", by_hand=False)
    result = checkout(repo.context, "main", new_branch="side")
    assert result.path is None and result.written == 0
    assert repo.context.head == Head(branch="side")
