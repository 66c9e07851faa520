"""Two versions of a model directory, which holds the second."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from tests.conftest import write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """`main`: one (with a file that two lacks), two (with one that one lacks)."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    write_model(tmp_path / "out", seed=1, elements=3000)
    (tmp_path / "out/old.txt").write_text("only in one")
    repo.commit(message="one")
    write_model(tmp_path / "out", seed=2, elements=3000)
    (tmp_path / "out/old.txt").unlink()
    (tmp_path / "out/deep").mkdir()
    (tmp_path / "out/deep/new.txt").write_text("only in two")
    repo.commit(message="two")
    return repo
