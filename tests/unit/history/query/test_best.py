"""Versions that are the best by a metric, and steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Ambiguous, MStoreError, NotFound, RevisionNotFound, UsageError
from mstore.history.entry import LogEntry
from mstore.history.query.best import best_of, is_greater_better
from mstore.objects import Commit, ManifestId, Time
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


def _entries(*metrics: dict[str, float], **metadata: Any) -> list[LogEntry]:
    """Versions with these metrics, the latest first."""
    found = []
    for number, values in enumerate(metrics):
        commit = Commit((), ManifestId(bytes(32)), "Ada", Time(number, 0), "", metadata, values)
        found.append(LogEntry(commit.id, commit))
    return found


@pytest.mark.parametrize("metric", ["loss", "eval_loss", "train/loss", "Perplexity", "val-ppl"])
def test_a_loss_is_better_when_lower(metric: str) -> None:
    assert not is_greater_better(metric, ())


@pytest.mark.parametrize("metric", ["acc", "glossary", "losses_won", "bleu"])
def test_of_other_metrics_nothing_is_assumed(metric: str) -> None:
    with pytest.raises(UsageError, match="nothing says whether") as met:
        is_greater_better(metric, ())
    assert f"max:{metric}" in str(met.value.hint)


def test_the_latest_training_arguments_decide() -> None:
    said = {"metric_for_best_model": "loss", "greater_is_better": True}
    assert is_greater_better("eval_loss", _entries({}, training_arguments=said))
    assert is_greater_better("loss", _entries({}, training_arguments=said))
    noise = _entries(
        {}, training_arguments={"metric_for_best_model": "loss", "greater_is_better": None}
    )
    assert not is_greater_better("loss", [*_entries({}, training_arguments="noise"), *noise])


def test_of_equal_values_the_earliest_is_best_and_nan_never() -> None:
    entries = _entries({"loss": 1.0}, {"loss": 1.0}, {"loss": math.nan}, {"acc": 0.5})
    assert best_of(entries, "loss") is entries[1]
    assert best_of(entries, "loss", greater=True) is entries[1]
    assert best_of(entries, "acc", greater=True) is entries[3]


def test_a_metric_that_no_version_has_is_met_with_those_there_are() -> None:
    with pytest.raises(NotFound) as met:
        best_of(_entries({"acc": 1.0}, {"bleu": math.nan}), "loss")
    assert met.value.hint == "there are: acc, bleu"
    with pytest.raises(NotFound) as met:
        best_of(_entries({"acc": math.nan}), "acc", greater=True)
    assert met.value.hint == "there are: acc"
    with pytest.raises(NotFound) as met:
        best_of([], "loss")
    assert met.value.hint == "no version here has metrics"
