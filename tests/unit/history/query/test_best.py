"""Versions that are the best by a metric, and steps."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Ambiguous, MStoreError, NotFound, RevisionNotFound, UsageError
from tests.unit.history.conftest import commit_step


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("best:eval_loss", "s3"),
        ("min:eval_loss", "s3"),
        ("max:eval_loss", "s1"),
        ("best:eval_loss@other", "s4"),
        ("best:eval_loss@other~1", "s3"),
        ("max:acc@other", "s6"),
        ("last:other", "s6"),
        ("last:other^", "s4"),
        ("step:2", "s2"),
        ("step:4", "s4"),
        ("step:6", "s6"),
        ("step:4@other", "s4"),
    ],
)
def test_revisions(repo: Repository, revision: str, message: str) -> None:
    (entry,) = repo.log(revision, limit=1)
    assert entry.message == message
    if "@other" in revision and "~" not in revision:
        assert entry.id in {e.id for e in repo.log("other")}


def test_the_direction_is_what_training_said(repo: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing says whether acc"):
        repo.resolve("best:acc@other")
    arguments = {"metric_for_best_model": "acc", "greater_is_better": True}
    commit_step(repo, tmp_path, 7, {"acc": 0.1}, branch="other")
    repo.note("other", metadata={"training_arguments": arguments})
    assert repo.log("best:acc@other", limit=1)[0].message == "s6"


@pytest.mark.parametrize(
    ("revision", "error"),
    [
        ("best:nothing_loss", NotFound),
        ("best:", UsageError),
        ("best:eval_loss@", UsageError),
        ("best:eval_loss@nowhere", RevisionNotFound),
        ("last:nowhere", RevisionNotFound),
        ("step:many", UsageError),
        ("step:99", RevisionNotFound),
        ("worst:eval_loss", MStoreError),
    ],
)
def test_revisions_that_name_nothing(repo: Repository, revision: str, error: type) -> None:
    with pytest.raises(error):
        repo.resolve(revision)


def test_a_step_that_two_branches_have_is_asked_back(repo: Repository, tmp_path: Path) -> None:
    alone = mstore.open(store=repo.store.path, cache=tmp_path / "cache")
    with pytest.raises(Ambiguous) as met:
        alone.resolve("step:4")
    assert len(met.value.candidates) == 2
