"""A version is written beside where it goes, then renamed there, or nothing is left."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mstore.api.repository import Repository
from mstore.checkout.beside import byte_progress, write_beside
from mstore.errors import BadPath, Conflict, DurabilityUnknown, NotFound, StorageFailed
from mstore.fs.failures import UnconfirmedChange
from mstore.objects import Manifest, ManifestFile, Segment, blob_id
from tests.conftest import contents


def test_a_new_folder_appears_whole(repo: Repository, tmp_path: Path) -> None:
    manifest = repo.manifest("main")
    told: list[tuple[str, int, int]] = []
    write_beside(repo.store, manifest, tmp_path / "a/b/new", lambda *step: told.append(step))
    assert contents(tmp_path / "a/b/new") == contents(tmp_path / "out")
    assert [p.name for p in (tmp_path / "a/b").iterdir()] == ["new"]
    assert told[-1] == ("writing", manifest.size_bytes, manifest.size_bytes)


def test_what_came_into_being_meanwhile_is_left_alone(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "parent/new").mkdir(parents=True)
    (tmp_path / "parent/new/mine").write_text("x")
    with pytest.raises(Conflict, match="another program made"):
        write_beside(repo.store, repo.manifest("main"), tmp_path / "parent/new", None)
    (tmp_path / "parent/file").write_text("x")
    with pytest.raises(Conflict):
        write_beside(repo.store, repo.manifest("main"), tmp_path / "parent/file", None)
    assert contents(tmp_path / "parent") == {"new/mine": b"x", "file": b"x"}


def test_a_failure_leaves_nothing(repo: Repository, tmp_path: Path) -> None:
    lost = ManifestFile("lost", "other", 4, (Segment(blob_id(b"lost"), 0, 4),))
    (tmp_path / "parent").mkdir()
    with pytest.raises(NotFound):
        write_beside(repo.store, Manifest((lost,)), tmp_path / "parent/new", None)
    with pytest.raises(BadPath):
        bad = ManifestFile("../up", "other", 0, ())
        write_beside(repo.store, Manifest((bad,)), tmp_path / "parent/new", None)
    assert list((tmp_path / "parent").iterdir()) == []


def test_a_folder_that_is_not_confirmed_is_there(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise UnconfirmedChange(errno.EIO, "Input/output error")

    monkeypatch.setattr("mstore.checkout.beside.confirm_folder", refused)
    with pytest.raises(DurabilityUnknown, match="new was written"):
        write_beside(repo.store, repo.manifest("main"), tmp_path / "new", None)
    assert contents(tmp_path / "new") == contents(tmp_path / "out")


def test_what_cannot_be_written_to_is_said(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="cannot write in"):
        write_beside(repo.store, repo.manifest("main"), tmp_path / "file/new", None)


def test_bytes_are_added_up_for_whoever_asks() -> None:
    files = (ManifestFile("a", "other", 3, ()), ManifestFile("b", "other", 4, ()))
    told: list[tuple[str, int, int]] = []
    advance = byte_progress(files, lambda *step: told.append(step))
    assert advance is not None and byte_progress(files, None) is None
    advance(3)
    advance(4)
    assert told == [("writing", 3, 7), ("writing", 7, 7)]
