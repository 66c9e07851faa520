"""A model directory with one version of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from tests.conftest import write_model


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """One version of a small model, with metrics and metadata."""
    repo = mstore.init(tmp_path)
    write_model(tmp_path / "out", seed=1, elements=3000)
    repo.commit(tmp_path / "out", message="one", metrics={"loss": 2.0}, metadata={"lr": 0.1})
    return repo
