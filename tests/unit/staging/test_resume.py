"""resume writes a checkpoint that training goes on from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import NotFound
from tests.conftest import contents, write_adapter


def _save(folder: Path, step: int, best: int | None = None) -> None:
    write_adapter(folder, seed=step)
    (folder / "optimizer.pt").write_bytes(os.urandom(5000))
    state: dict[str, Any] = {"global_step": step, "log_history": [{"loss": float("nan")}]}
    state["best_model_checkpoint"] = f"/elsewhere/out/checkpoint-{best}" if best else None
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = mstore.init(tmp_path)
    for step, best in ((1, None), (2, 2), (3, 2), (4, 9)):
        _save(tmp_path / "out", step, best)
        repo.commit(tmp_path / "out", message=f"step {step}")
    return repo


def _state(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "trainer_state.json").read_text())
    return found


def test_the_best_is_this_one(repo: Repository, tmp_path: Path) -> None:
    done = repo.resume("HEAD~2", to=tmp_path / "there")
    assert done.step == 2 and done.best == done.path == tmp_path / "there"
    assert _state(done.path)["best_model_checkpoint"] == str(done.path)
    assert done.line == f"trainer.train(resume_from_checkpoint={str(done.path)!r})"


def test_the_best_is_written_beside(repo: Repository, tmp_path: Path) -> None:
    done = repo.resume("HEAD~1", to=tmp_path / "again/checkpoint-3")
    assert done.best == tmp_path / "again/checkpoint-2"
    assert _state(done.path)["best_model_checkpoint"] == str(done.best)
    want = {f.path: repo.read_file("HEAD~2", f.path) for f in repo.manifest("HEAD~2").files}
    assert contents(done.best) == want
    # Nothing else differs from the checkout.
    repo.checkout("HEAD~1", to=tmp_path / "plain")
    ours, plain = contents(done.path), contents(tmp_path / "plain")
    assert [p for p in plain if ours[p] != plain[p]] == ["trainer_state.json"]


def test_no_best_changes_nothing(repo: Repository, tmp_path: Path) -> None:
    done = repo.resume("HEAD~3", to=tmp_path / "there")
    want = {f.path: repo.read_file("HEAD~3", f.path) for f in repo.manifest("HEAD~3").files}
    assert contents(done.path) == want and done.best is None


def test_a_best_that_no_version_has_is_said(repo: Repository, tmp_path: Path) -> None:
    done = repo.resume("HEAD", to=tmp_path / "there")
    assert _state(done.path)["best_model_checkpoint"] is None
    assert any("checkpoint-9" in w for w in done.warnings)


def test_what_cannot_be_resumed_from_is_said(repo: Repository, tmp_path: Path) -> None:
    write_adapter(tmp_path / "bare")
    repo.commit(tmp_path / "bare", branch="bare", start="", by_hand=False)
    with pytest.raises(NotFound, match="has no training state"):
        repo.resume("bare", to=tmp_path / "x")
    repo.forget("training-state", branch="main")
    with pytest.raises(NotFound, match="was forgotten on"):
        repo.resume("main~1", to=tmp_path / "x")
    assert not (tmp_path / "x").exists()


# -- path
