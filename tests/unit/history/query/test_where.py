"""Versions found by what is known of them: conditions, orders, and revisions that say what is meant."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mstore
from mstore.api.repository import Repository
from mstore.errors import Ambiguous, MStoreError, NotFound, RevisionNotFound, UsageError
from mstore.history.query.where import parse
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Five steps on main, two on `other`, which begins at the third."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    losses = (3.0, 2.0, 1.0, math.nan, 1.5)
    for step, loss in enumerate(losses, 1):
        _commit(repo, tmp_path, step, {"eval_loss": loss, "rewards/accuracies": step / 10})
    for step, loss in ((4, 0.5), (6, 0.7)):
        start = "HEAD~2" if step == 4 else None
        _commit(repo, tmp_path, step, {"eval_loss": loss, "acc": loss}, branch="other", start=start)
    return repo


def _commit(repo: Repository, root: Path, step: int, metrics: dict[str, float], **options: Any) -> None:
    folder = write_adapter(root / "out", rank=4 if step < 4 else 8, seed=step)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    lr = {"lr": 2e-4, "note": "base'line" if step == 1 else "tuned"}
    repo.commit(folder, message=f"s{step}", metrics=metrics, metadata=lr, **options)


def _found(repo: Repository, where: str, **options: Any) -> list[str]:
    return [e.message for e in repo.log(where=where, **options)]


@pytest.mark.parametrize(
    ("where", "messages"),
    [
        ("eval_loss < 2", ["s5", "s3"]),
        ("eval_loss <= 2 and r <= 4", ["s3", "s2"]),
        ("eval_loss == nan", ["s4"]),
        ("not eval_loss < 2 and step > 1", ["s4", "s2"]),
        ('"rewards/accuracies" > 0.35', ["s5", "s4"]),
        ("r in (8, 16) or step == 1", ["s5", "s4", "s1"]),
        ("note == 'base''line'", ["s1"]),
        ("note contains 'tun' and (step == 2 or step == 3)", ["s3", "s2"]),
        ("nothing_here == none and step < 2", None),
        ("recorded.trainer.global_step == 5", ["s5"]),
    ],
)
def test_conditions(repo: Repository, where: str, messages: list[str] | None) -> None:
    if messages is None:
        with pytest.raises(UsageError, match="no version here has 'nothing_here'"):
            _found(repo, where)
    else:
        assert _found(repo, where) == messages


def test_orders(repo: Repository) -> None:
    assert [e.message for e in repo.log(sort="eval_loss")] == ["s3", "s5", "s2", "s1", "s4"]
    assert [e.message for e in repo.log(sort="-eval_loss", limit=2)] == ["s1", "s2"]
    # Who has no value comes last.
    everything = [e.message for e in repo.log(all=True, sort="acc")]
    assert everything[:2] == ["s4", "s6"] and len(everything) == 7
    assert _found(repo, "step > 0", sort="-step", all=True, limit=1) == ["s6"]


def test_a_slip_is_met_with_what_is_near(repo: Repository) -> None:
    with pytest.raises(UsageError) as met:
        repo.log(where="evall_loss < 2")
    assert "eval_loss" in str(met.value.hint)
    with pytest.raises(UsageError, match="'los'"):
        repo.log(sort="los")


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except UsageError:
        return
    again = parse(str(condition))
    assert str(again) == str(condition)
    assert isinstance(condition.holds(lambda name: None), bool)


_CODE = "__import__('os').system('x')"


def test_nothing_is_run() -> None:
    with pytest.raises(UsageError):
        parse(_CODE)


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
    _commit(repo, tmp_path, 7, {"acc": 0.1}, branch="other")
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


def test_log_loads_the_language_only_for_a_condition(repo: Repository, tmp_path: Path) -> None:
    code = (
        "import sys; from mstore.cli import run; run(sys.argv[1:]);"
        " print('mstore.history.query.where' in sys.modules)"
    )
    for more, loaded in (((), "False"), (("--where", "step > 4"), "True")):
        done = subprocess.run(
            [sys.executable, "-c", code, "log", "-n", "1", *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == loaded


def test_on_the_command_line(mstore: Any, workshop: Path) -> None:
    mstore("init")
    for step in (1, 2):
        write_adapter(workshop / "out", seed=step)
        mstore("commit", "out", "-m", f"s{step}", "--metric", f"eval_loss={step}")
    _, out, _ = mstore("log", "--where", "eval_loss < 2", "--oneline")
    assert "s1" in out and "s2" not in out
    assert "no version of which that holds" in mstore("log", "--where", "eval_loss < 0")[2]
    assert mstore("log", "--where", "eval_loss <", code=2)[2].count("^")
    assert "--graph" in mstore("log", "--graph", "--sort", "eval_loss", code=2)[2]
    assert "s1" in mstore("show", "best:eval_loss")[1]
    _, out, _ = mstore("log", "--sort", "-eval_loss", "--json")
    assert [e["message"] for e in json.loads(out)["versions"]] == ["s2", "s1"]
