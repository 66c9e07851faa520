"""An open folder that files are written into: no link is followed, no path is two things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mstore.errors import BadPath, StorageFailed
from mstore.objects import ManifestFile
from mstore.worktree.destination import Destination, check_paths


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    (tmp_path / "out").mkdir()
    with Destination(tmp_path / "out") as destination:
        yield destination


def _files(*paths: str) -> list[ManifestFile]:
    return [ManifestFile(path, "other", 0, ()) for path in paths]


def test_folders_below_are_made_on_the_way_or_missed(destination: Destination) -> None:
    with pytest.raises(FileNotFoundError), destination.folder(["a", "b"]):
        pass
    with destination.folder(["a", "b"], create=True) as folder:
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    assert (destination.path / "a/b/file").exists()
    with destination.folder(["a", "b"]) as folder:
        assert os.listdir(folder) == ["file"]
    with destination.folder([]) as folder:
        assert os.listdir(folder) == ["a"]


@pytest.mark.parametrize("create", [True, False])
def test_no_step_is_a_link_or_a_file(destination: Destination, tmp_path: Path, create: bool) -> None:
    (tmp_path / "elsewhere/b").mkdir(parents=True)
    (destination.path / "link").symlink_to(tmp_path / "elsewhere")
    (destination.path / "file").write_bytes(b"")
    for step in ("link", "file"):
        with pytest.raises(BadPath) as met, destination.folder([step, "b"], create=create):
            pass
        assert met.value.where == str(destination.path / step / "b")
    assert list((tmp_path / "elsewhere/b").iterdir()) == []


def test_the_folder_itself_is_there_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(BadPath):
            Destination(tmp_path / name)
    with pytest.raises(StorageFailed):
        Destination(tmp_path / "absent")


def test_a_folder_that_is_swapped_for_a_link_is_still_the_one_that_was_opened(
    destination: Destination, tmp_path: Path
) -> None:
    os.rename(destination.path, tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with destination.folder(["a"], create=True):
        pass
    assert (tmp_path / "moved/a").is_dir() and list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("insensitive", [True, False])
def test_a_disk_that_ignores_case_is_told_from_one_that_does_not(
    destination: Destination, monkeypatch: pytest.MonkeyPatch, insensitive: bool
) -> None:
    right = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if insensitive and isinstance(path, str) and path.endswith("Ab"):
            path = path.replace("Ab", "aB")
        return right(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert destination.is_case_insensitive() is insensitive
    assert os.listdir(destination.path) == []


@pytest.mark.parametrize("paths", [("../x",), ("/x",), ("a//b",), ("a\x00b",), (".mstore/x",)])
def test_paths_that_must_not_be_written_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(BadPath):
        check_paths(_files(*paths))


def test_a_path_is_a_file_or_a_folder() -> None:
    check_paths(_files("a", "b/c", "b/d"))
    with pytest.raises(BadPath, match="is both a file and a folder") as met:
        check_paths(_files("a/b/c", "a/b"))
    assert met.value.where == "path 'a/b'"


@pytest.mark.parametrize("paths", [("a", "A"), ("d/x", "D/y"), ("straße", "STRASSE")])
def test_names_that_collide_are_refused_on_a_disk_that_ignores_case(
    destination: Destination, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...]
) -> None:
    check_paths(_files(*paths))
    monkeypatch.setattr(Destination, "is_case_insensitive", lambda self: False)
    check_paths(_files(*paths), destination)
    monkeypatch.setattr(Destination, "is_case_insensitive", lambda self: True)
    with pytest.raises(BadPath, match="on this disk, which ignores case"):
        check_paths(_files(*paths), destination)
