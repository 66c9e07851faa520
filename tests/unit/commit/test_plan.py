"""A commit is planned, then run: the plan is a value, changes nothing, and says what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.commit.options import CommitOptions
from mstore.errors import InvalidInput, RefMoved, UsageError
from tests.conftest import write_model
from tests.plans import assert_is_a_value, everything


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path)
    write_model(tmp_path / "out", seed=1, elements=3000)
    repo.commit(tmp_path / "out", message="one")
    return repo


def test_a_plan_is_a_value_and_changes_nothing(repo: Repository, tmp_path: Path) -> None:
    write_model(tmp_path / "out", seed=2, elements=3000)
    before = everything(tmp_path)
    plan = repo.plan_commit(message="two", branch="side")
    document = assert_is_a_value(plan)
    assert everything(tmp_path) == before
    assert document["new_branch"] and document["branch"] == "side" and not document["unchanged"]
    assert document["parent"] == repo.resolve("HEAD").hex
    assert {f["path"]: f["role"] for f in document["files"]}["model.safetensors"] == "weights"
    assert document["size_bytes"] == sum(f.stat().st_size for f in (tmp_path / "out").iterdir())
    assert "a new branch" in str(plan) and "model.safetensors" in plan.unread
    made = repo.run_commit(plan)
    assert (made.branch, made.commit.message, made.created) == ("side", "two", True)
    assert repo.branches()["side"] == made.id


def test_where_nothing_changed_the_plan_says_so(repo: Repository, tmp_path: Path) -> None:
    repo.status()  # Reads the folder, once its files are older than the clock's grain.
    made = repo.run_commit(repo.plan_commit())
    assert not made.created and made.id == repo.resolve("HEAD")


def test_two_plans_for_one_branch(repo: Repository, tmp_path: Path) -> None:
    write_model(tmp_path / "out", seed=2, elements=3000)
    first, second = repo.plan_commit(message="a"), repo.plan_commit(message="b")
    behind = repo.plan_commit(message="c", append=True)
    made = repo.run_commit(first)
    with pytest.raises(RefMoved):
        repo.run_commit(second)
    appended = repo.run_commit(behind)
    assert appended.commit.parents == (made.id,)


def test_a_file_that_changes_after_the_plan_refuses_it(repo: Repository, tmp_path: Path) -> None:
    write_model(tmp_path / "out", seed=2, elements=3000)
    plan = repo.plan_commit(message="two")
    write_model(tmp_path / "out", seed=3, elements=3000)
    with pytest.raises(InvalidInput, match=r"no longer|changed"):
        repo.run_commit(plan)
    assert repo.resolve("HEAD") == plan.parent_id


def test_what_a_plan_refuses(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="is empty"):
        repo.plan_commit(tmp_path / "empty")
    with pytest.raises(UsageError, match="no such role"):
        repo.plan_commit(without=["ballast"])
    with pytest.raises(UsageError, match="recorded"):
        repo.plan_commit(metadata={"recorded": 1})


def test_options_or_their_fields(repo: Repository, tmp_path: Path) -> None:
    write_model(tmp_path / "out", seed=2, elements=3000)
    options = CommitOptions(message="by value", metrics={"loss": 1.0})
    with pytest.raises(UsageError, match="not both"):
        repo.commit(None, options, message="by keyword")
    made = repo.commit(tmp_path / "out", options)
    assert (made.commit.message, made.commit.metrics) == ("by value", {"loss": 1.0})
    with pytest.raises(TypeError, match="subject"):
        repo.commit(subject="misspelt")  # type: ignore[call-arg]
