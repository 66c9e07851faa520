"""What is still there of a version: its files, less those that were forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.modeldir.visible import visible_manifest, what_is_forgotten
from tests.conftest import write_adapter


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions with training state."""
    repo = mstore.init(tmp_path)
    for step in (1, 2):
        write_adapter(tmp_path / "out", seed=step)
        (tmp_path / "out/optimizer.pt").write_bytes(bytes([step]) * 1500)
        repo.commit(tmp_path / "out", message=f"step {step}")
    return repo


def test_a_version_is_whole_until_something_is_forgotten(repo: Repository) -> None:
    store, id = repo.store, repo.resolve("main~1")
    commit = store.commit(id)
    assert visible_manifest(store, id, commit) == store.manifest(commit.manifest)
    assert what_is_forgotten(store, id, commit) == []


def test_what_was_forgotten_is_left_out_and_said(repo: Repository) -> None:
    store, id = repo.store, repo.resolve("main~1")
    repo.forget("training-state", branch="main")
    commit = store.commit(id)
    assert "optimizer.pt" in store.manifest(commit.manifest).by_path
    assert set(visible_manifest(store, id, commit).by_path) == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    (said,) = what_is_forgotten(store, id, commit)
    when = r"was forgotten on \d{4}-\d\d-\d\d: 1 file \(1\.5 kB\) left out"
    assert re.fullmatch(f"the training-state of {id.short} {when}", said)
