"""In which order a checkout syncs, renames and removes, and whose staging folder it sweeps."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

import mstore
from mstore.api.repository import Repository
from mstore.errors import Conflict, StorageFailed
from mstore.worktree.destination import TEMPORARY_PREFIX
from mstore.worktree.staging import make_staging, sweep_staging
from tests.conftest import contents, write_model

Event = tuple[str, int]


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """Two versions with a file in a folder; the folder holds the second."""
    repo = mstore.init(tmp_path, model_dir=tmp_path / "out")
    for seed in range(2):
        write_model(tmp_path / "out", seed=seed)
        (tmp_path / "out/deep/er").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out/deep/er/notes.json").write_text(f'{{"seed": {seed}}}')
        repo.commit(message=f"version {seed}")
    return repo


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """What is asked of the disk, in order: the call, and the inode concerned."""
    found: list[Event] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink

    def seen_fsync(descriptor: int) -> None:
        found.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def seen_rename(source: Any, target: Any, **at: Any) -> None:
        inode = os.stat(source, dir_fd=at.get("src_dir_fd"), follow_symlinks=False).st_ino
        rename(source, target, **at)
        found.append(("rename", inode))

    def seen_unlink(path: Any, **at: Any) -> None:
        inode = os.stat(path, dir_fd=at.get("dir_fd"), follow_symlinks=False).st_ino
        unlink(path, **at)
        found.append(("unlink", inode))

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    monkeypatch.setattr(os, "unlink", seen_unlink)
    return found


def _last(events: list[Event], event: Event) -> int:
    return len(events) - 1 - events[::-1].index(event)


@pytest.mark.parametrize("where", ["in place", "elsewhere"])
def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(
    repo: Repository, tmp_path: Path, events: list[Event], where: str
) -> None:
    """Else a power cut leaves names of files that are empty."""
    folder = tmp_path / ("out" if where == "in place" else "new")
    before = {p: p.stat().st_ino for p in folder.rglob("*") if p.is_file()}
    repo.checkout("HEAD~1", to=None if where == "in place" else folder)
    files = [p for p in folder.rglob("*") if p.is_file()]
    written = [p for p in files if p.stat().st_ino != before.get(p)]
    assert {p.name for p in written} >= {"notes.json", "model.safetensors"}
    for path in written:
        inode = path.stat().st_ino
        assert ("fsync", inode) in events, f"{path} is not synced"
        if where == "in place":
            assert events.index(("fsync", inode)) < events.index(("rename", inode))
            for above in (path.parent, path.parent.parent):
                if above.is_relative_to(folder):
                    synced = _last(events, ("fsync", above.stat().st_ino))
                    assert synced > events.index(("rename", inode))


def test_copies_on_another_disk_are_synced_before_the_original_goes(
    repo: Repository, tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out/deep/er/notes.json").write_text('{"seed": "mine"}')
    before = contents(tmp_path / "out")
    rename = os.rename

    def across(source: Any, target: Any, **at: Any) -> None:
        if ("undo" in Path(source).parts) != ("undo" in Path(target).parts):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, **at)

    monkeypatch.setattr(os, "rename", across)
    original = (tmp_path / "out/deep/er/notes.json").stat().st_ino
    repo.checkout("HEAD~1", force=True)
    (copy,) = (tmp_path / ".mstore").rglob("notes.json")
    inode = copy.stat().st_ino
    assert events.index(("fsync", inode)) < events.index(("unlink", original))
    events.clear()
    repo.undo()
    assert contents(tmp_path / "out") == before and not copy.exists()
    back = (tmp_path / "out/deep/er/notes.json").stat().st_ino
    synced = events.index(("fsync", back))
    assert synced < events.index(("rename", back)) < events.index(("unlink", inode))


def test_a_new_folder_that_cannot_get_its_name_is_no_conflict(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def failing(source: Any, target: Any, **at: Any) -> None:
        if Path(target).name == "new":
            raise OSError(number, os.strerror(number))
        rename(source, target, **at)

    monkeypatch.setattr(os, "rename", failing)
    for number, error in ((errno.EIO, StorageFailed), (errno.ENOTEMPTY, Conflict)):
        with pytest.raises(error, match=re.escape(os.strerror(number))):
            repo.checkout("HEAD~1", to=tmp_path / "new")
        assert {p.name for p in tmp_path.iterdir()} == {"out", ".mstore"}


def test_a_running_checkouts_staging_folder_is_not_swept(tmp_path: Path) -> None:
    """Its owner's lock says that it lives; that of a killed one goes."""
    folder = os.open(tmp_path, os.O_RDONLY)
    name = f"{TEMPORARY_PREFIX}0"
    held = make_staging(name, folder)
    (tmp_path / name / "0").write_text("staged")
    sweep_staging(folder)
    assert (tmp_path / name / "0").exists()
    os.close(held)
    sweep_staging(folder)
    assert not (tmp_path / name).exists()
    os.close(folder)
