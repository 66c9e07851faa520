"""A repository in the current folder, where a run of training saves into `out`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def repo(home: Path) -> Iterator[Repository]:
    """A new repository in the current folder."""
    repo = mstore.init(home)
    yield repo
    repo.close()
