"""The repository that a training commits to: given, named, found, or made."""

from __future__ import annotations

from pathlib import Path

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import InvalidInput
from mstore.hf.devices import store_folder
from mstore.hf.discovery import find_repository


def test_one_that_is_given_is_taken(repo: Repository, home: Path) -> None:
    assert find_repository(repo, "out") is repo
    found = find_repository(str(repo.store.path), "out")
    assert found.workspace is None
    assert store_folder(find_repository(home, "out")) == str(home)


def test_one_is_found_from_here_or_from_the_output_folder(
    repo: Repository, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_folder(find_repository(None, "out")) == str(home)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store_folder(find_repository(None, str(home / "out"))) == str(home)
    assert not (tmp_path / "elsewhere/.mstore").exists()


def test_the_environment_comes_before_the_folder(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = mstore.init(tmp_path / "other")
    monkeypatch.setenv("MSTORE_WORKSPACE", str(tmp_path / "other"))
    assert store_folder(find_repository(None, "out")) == store_folder(other)


def test_where_there_is_none_one_is_made_and_the_log_says_so(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert store_folder(find_repository(None, "out")) == str(home)
    assert f"made a new store in {home}" in caplog.text
    assert store_folder(find_repository(home / "new/deep", "out")) == str(home / "new/deep")
    caplog.clear()
    find_repository(home / "new/deep", "out")
    assert caplog.text == ""


def test_a_store_that_another_job_makes_at_this_moment_is_opened(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = mstore.init

    def faster(path: str) -> Repository:
        right(path).close()
        return right(path)

    monkeypatch.setattr(mstore, "init", faster)
    assert store_folder(find_repository(None, "out")) == str(home)


def test_no_store_is_made_in_a_model_directory(home: Path) -> None:
    (home / "config.json").write_text("{}")
    with pytest.raises(InvalidInput, match="looks like a model directory"):
        find_repository(None, "out")
