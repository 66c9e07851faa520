"""Versions with metrics on two branches."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Five steps on main, two on `other`, which begins at the third."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    losses = (3.0, 2.0, 1.0, math.nan, 1.5)
    for step, loss in enumerate(losses, 1):
        commit_step(repo, tmp_path, step, {"eval_loss": loss, "rewards/accuracies": step / 10})
    for step, loss in ((4, 0.5), (6, 0.7)):
        start = "HEAD~2" if step == 4 else None
        commit_step(repo, tmp_path, step, {"eval_loss": loss, "acc": loss}, branch="other", start=start)
    return repo


def commit_step(
    repo: Repository, root: Path, step: int, metrics: dict[str, float], **options: Any
) -> None:
    """Commit an adapter as training left it at a step, with a learning rate."""
    folder = write_adapter(root / "out", rank=4 if step < 4 else 8, seed=step)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    lr = {"lr": 2e-4, "note": "base'line" if step == 1 else "tuned"}
    repo.commit(folder, message=f"s{step}", metrics=metrics, metadata=lr, **options)
