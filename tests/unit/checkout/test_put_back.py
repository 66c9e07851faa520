"""Files of a folder become what they were before a checkout, and no other file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.checkout.put_back import check_unchanged, files_put_back
from mstore.errors import Conflict, Dirty, StorageFailed
from mstore.objects import CommitId
from tests.conftest import contents

TOUCHED = ("config.json", "deep/new.txt", "model.safetensors", "old.txt")


@pytest.fixture
def ids(repo: Repository) -> tuple[CommitId, CommitId]:
    """The version before, and the one that the folder holds."""
    return repo.resolve("main~1"), repo.resolve("main")


def test_what_was_written_goes_and_what_was_removed_comes_back(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    (tmp_path / "out/mine.txt").write_text("not touched")
    with files_put_back(repo.context, tmp_path / "out", *ids, TOUCHED):
        pass
    found = contents(tmp_path / "out")
    assert found.pop("mine.txt") == b"not touched"
    assert found == {f.path: repo.read_file(ids[0], f.path) for f in repo.manifest(ids[0]).files}


def test_where_the_body_fails_the_files_are_as_they_were(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    before = contents(tmp_path / "out")
    with (
        pytest.raises(StorageFailed, match="no room"),
        files_put_back(repo.context, tmp_path / "out", *ids, TOUCHED),
    ):
        assert contents(tmp_path / "out") != before
        raise StorageFailed("no room")
    assert contents(tmp_path / "out") == before


def test_files_that_were_changed_since_are_not_lost(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    (tmp_path / "out/config.json").write_text("mine")
    put_back = files_put_back(repo.context, tmp_path / "out", *ids, TOUCHED)
    with pytest.raises(Dirty, match="was changed since") as met, put_back:
        pass
    assert met.value.paths == ("config.json",) and (tmp_path / "out/config.json").read_text() == "mine"
    with pytest.raises(Dirty):
        check_unchanged(repo.context, tmp_path / "out", ids[1], TOUCHED)
    check_unchanged(repo.context, tmp_path / "out", ids[1], ("deep/new.txt",))


def test_one_that_is_back_already_is_no_change(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    """An undo that was killed had brought it back."""
    (tmp_path / "out/config.json").write_bytes(repo.read_file(ids[0], "config.json"))
    with files_put_back(repo.context, tmp_path / "out", *ids, TOUCHED):
        pass
    assert "old.txt" in contents(tmp_path / "out")


def test_before_the_first_version_there_was_nothing(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    with files_put_back(repo.context, tmp_path / "out", None, ids[1], ("config.json",)):
        pass
    assert set(contents(tmp_path / "out")) == {"model.safetensors", "tokenizer.json", "deep/new.txt"}


def test_a_folder_that_is_gone_is_said(
    repo: Repository, ids: tuple[CommitId, CommitId], tmp_path: Path
) -> None:
    with (
        pytest.raises(Conflict, match="is gone"),
        files_put_back(repo.context, tmp_path / "x", *ids, TOUCHED),
    ):
        pass
