"""Temporary files and folders: the owner's stay, a dead owner's are swept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mstore.fs.temp import FOLDER_FLAGS, TemporaryFile, remove_own, sweep_folder
from mstore.worktree.destination import TEMPORARY_PREFIX
from mstore.worktree.staging import make_staging, sweep_staging

AGO_S = 3600


def _older(path: Path) -> None:
    old = path.stat().st_mtime - AGO_S
    os.utime(path, (old, old))


def test_a_temporary_file_is_its_owners_until_it_is_removed(tmp_path: Path) -> None:
    file = TemporaryFile(tmp_path, "a.tmp", 0o600)
    os.write(file.descriptor, b"x")
    assert sweep_folder(tmp_path) == 0 and file.path.read_bytes() == b"x"
    file.remove()
    assert list(tmp_path.iterdir()) == [] and file.descriptor == -1
    file.remove()  # Twice is as good as once.


def test_a_released_file_keeps_its_new_name(tmp_path: Path) -> None:
    file = TemporaryFile(tmp_path, "a.tmp", 0o600)
    os.rename(file.path, tmp_path / "a")
    file.release()
    remove_own()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_an_interrupted_process_owns_goes(tmp_path: Path) -> None:
    file = TemporaryFile(tmp_path, "a.tmp", 0o600)
    remove_own()
    assert list(tmp_path.iterdir()) == []
    os.write(file.descriptor, b"a thread that is still at work writes into nothing else")
    file.release()


def test_a_forked_process_leaves_its_parents_files(tmp_path: Path) -> None:
    file = TemporaryFile(tmp_path, "a.tmp", 0o600)
    child = os.fork()
    if child == 0:
        file.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert file.path.exists()
    file.remove()


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        TemporaryFile(tmp_path / "absent", "a.tmp", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_takes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    for name in ("dead.tmp", "dead.lean", "young.new", "old.new", "data.pack"):
        (tmp_path / name).write_bytes(b"x")
    _older(tmp_path / "old.new")
    held = TemporaryFile(tmp_path, "held.tmp", 0o600)
    assert sweep_folder(tmp_path) == 3
    assert {p.name for p in tmp_path.iterdir()} == {"young.new", "data.pack", "held.tmp"}
    held.remove()
    assert sweep_folder(tmp_path / "absent") == 0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the folder that staging folders lie in."""
    descriptor = os.open(tmp_path, FOLDER_FLAGS)
    yield descriptor
    os.close(descriptor)


def test_a_staging_folder_in_use_is_left_alone(tmp_path: Path, folder: int) -> None:
    name = f"{TEMPORARY_PREFIX}one"
    descriptor = make_staging(name, folder)
    (tmp_path / name / "0").write_bytes(b"x")
    sweep_staging(folder)
    assert (tmp_path / name / "0").exists()
    os.close(descriptor)
    sweep_staging(folder)
    assert not (tmp_path / name).exists()


def test_an_empty_staging_folder_may_be_about_to_be_locked(tmp_path: Path, folder: int) -> None:
    young, old = tmp_path / f"{TEMPORARY_PREFIX}young", tmp_path / f"{TEMPORARY_PREFIX}old"
    for path in (young, old):
        path.mkdir()
    _older(old)
    sweep_staging(folder)
    assert young.is_dir() and not old.exists()


def test_files_and_links_are_swept_by_age_and_never_followed(tmp_path: Path, folder: int) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"x")
    young, old = tmp_path / f"{TEMPORARY_PREFIX}young", tmp_path / f"{TEMPORARY_PREFIX}old"
    young.write_bytes(b"")
    old.write_bytes(b"")
    _older(old)
    link = tmp_path / f"{TEMPORARY_PREFIX}link"
    link.symlink_to(kept)
    sweep_staging(folder)
    assert young.exists() and not old.exists() and link.is_symlink()
    assert (kept / "file").exists()


def test_a_name_that_is_taken_is_refused(folder: int) -> None:
    name = f"{TEMPORARY_PREFIX}one"
    os.close(make_staging(name, folder))
    with pytest.raises(FileExistsError):
        make_staging(name, folder)
