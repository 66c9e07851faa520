"""Staged files and those that they replace change places, and back where a step fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mstore.errors import BadPath, StorageFailed
from mstore.fs.temp import TEMPORARY_PREFIX
from mstore.worktree.destination import Destination
from mstore.worktree.staging import discard
from mstore.worktree.swap import (
    absent_folders,
    clear_obstruction,
    find_obstructions,
    move_in,
    move_out,
    put_in_place,
    remove,
    remove_folders,
    roll_back,
    stash_existing,
)
from tests.conftest import contents
from tests.unit.worktree.conftest import Stage


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _shown(destination: Destination) -> dict[str, bytes]:
    """What the folder holds, staging folders aside."""
    return {p: c for p, c in contents(destination.path).items() if not p.startswith(TEMPORARY_PREFIX)}


def test_staged_files_take_their_names(destination: Destination, stage: Stage) -> None:
    _write(destination.path, {"a": b"old"})
    staged = stage({"a": b"new", "deep/er/b": b"new"})
    put_in_place(destination, staged)
    assert _shown(destination) == {"a": b"new", "deep/er/b": b"new"}


def test_no_file_goes_through_a_link_or_over_a_folder(
    destination: Destination, stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (destination.path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadPath):
        put_in_place(destination, stage({"link/b": b"new"}))
    _write(destination.path, {"folder/inside": b"x"})
    with pytest.raises(StorageFailed, match="cannot write") as met:
        put_in_place(destination, stage({"folder": b"new"}))
    assert str(destination.path / "folder") in str(met.value)
    assert list((tmp_path / "elsewhere").iterdir()) == []


OLD = {
    "same": b"0",
    "gone": b"1",
    "deep/gone": b"2",
    "changed": b"3",
    "file": b"4",
    "folder/inside": b"5",
}
NEW = {
    "changed": b"new",
    "new": b"new",
    "file/inside": b"new",
    "folder": b"new",
    "far/away/new": b"new",
}
GO = ("gone", "deep/gone", "file", "folder/inside")


def test_old_files_make_way_for_new_ones_also_where_a_file_becomes_a_folder(
    destination: Destination, stage: Stage
) -> None:
    _write(destination.path, OLD)
    staged = stage(NEW)
    stash_existing(destination, staged, GO)
    put_in_place(destination, staged)
    discard(destination, staged)
    assert _shown(destination) == {"same": b"0", **NEW}


@pytest.mark.parametrize("steps", range(len(NEW) + 1))
def test_wherever_it_stops_all_comes_back(
    destination: Destination, stage: Stage, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    _write(destination.path, OLD)
    (destination.path / "empty").mkdir()
    staged = stage(NEW)
    new = stash_existing(destination, staged, GO)
    assert new == {list(NEW).index(path) for path in ("new", "file/inside", "folder", "far/away/new")}
    right, left = os.rename, steps

    def rename(*arguments: Any, **options: Any) -> None:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left -= 1
        right(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        if steps < len(NEW):
            with pytest.raises(StorageFailed, match="No space left"):
                put_in_place(destination, staged)
        else:
            put_in_place(destination, staged)
    roll_back(destination, staged, GO, new)
    discard(destination, staged)
    assert _shown(destination) == OLD


def test_where_files_have_no_second_name_the_replacement_goes_on(
    destination: Destination, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    _write(destination.path, {"a": b"old"})
    staged = stage({"a": b"new"})
    assert stash_existing(destination, staged, ()) == frozenset()
    put_in_place(destination, staged)
    assert _shown(destination) == {"a": b"new"}


def test_folders_that_a_checkout_would_make_are_known_the_deepest_first(
    destination: Destination,
) -> None:
    _write(destination.path, {"a/x": b"", "file": b""})
    absent = absent_folders(destination, ["a/b/c", "a/y", "d/e/f", "file/g", "top"])
    assert absent == (("a", "b"), ("d", "e"), ("d",), ("file",))
    _write(destination.path, {"d/kept": b""})
    (destination.path / "a/b").mkdir()
    remove_folders(destination, absent)
    assert _shown(destination) == {"a/x": b"", "file": b"", "d/kept": b""}
    assert not (destination.path / "a/b").exists()


@pytest.mark.parametrize(
    ("paths", "known", "ignored", "found"),
    [
        (["a"], ["a"], [], ()),
        (["a"], [], [], ("a",)),
        (["new"], [], [], ()),
        (["a/below"], [], [], ("a",)),
        (["a/below"], ["a"], [], ()),
        (["runs"], [], ["runs/"], ("runs",)),
        (["deep"], [], ["deep/x.tmp", "deeper/y.tmp"], ("deep/x.tmp",)),
        (["deep/x.tmp"], [], ["deep/x.tmp"], ("deep/x.tmp",)),
    ],
)
def test_what_stands_in_the_way_is_told(
    destination: Destination,
    paths: list[str],
    known: list[str],
    ignored: list[str],
    found: tuple[str, ...],
) -> None:
    _write(destination.path, {"a": b"", "runs/log": b"", "deep/x.tmp": b"", "deep/y": b""})
    assert find_obstructions(destination, paths, known, ignored) == found


def test_a_link_in_the_way_is_told_and_not_followed(destination: Destination, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (destination.path / "link").symlink_to(tmp_path / "elsewhere")
    assert find_obstructions(destination, ["link/a/b"], [], []) == ("link",)


def test_a_removed_file_takes_the_folders_along_that_it_leaves_empty(destination: Destination) -> None:
    _write(destination.path, {"a/b/c/file": b"", "a/other": b""})
    remove(destination, "a/b/c/file")
    assert _shown(destination) == {"a/other": b""} and not (destination.path / "a/b").exists()
    remove(destination, "a/absent")
    remove(destination, "absent/file")
    assert (destination.path / "a").is_dir()


@pytest.mark.parametrize("another_disk", [True, False])
def test_a_file_moves_out_and_comes_back(
    destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_disk: bool
) -> None:
    right = os.rename

    def rename(source: Any, target: Any, **options: Any) -> None:
        if another_disk and len(options) == 1:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        right(source, target, **options)

    monkeypatch.setattr(os, "rename", rename)
    content = os.urandom(3 << 20)
    _write(destination.path, {"a/file": content})
    kept = tmp_path / "kept/a/file"
    move_out(destination, "a/file", kept)
    assert kept.read_bytes() == content and _shown(destination) == {}
    _write(destination.path, {"a/file": b"in between"})
    move_in(kept, destination, "a/file")
    assert _shown(destination) == {"a/file": content} and not kept.exists()


def test_neither_links_nor_what_is_absent_is_moved(destination: Destination, tmp_path: Path) -> None:
    (destination.path / "link").symlink_to(tmp_path)
    with pytest.raises(BadPath, match="is a symbolic link"):
        move_out(destination, "link", tmp_path / "kept/link")
    with pytest.raises(StorageFailed):
        move_out(destination, "absent", tmp_path / "kept/absent")
    with pytest.raises(StorageFailed):
        move_in(tmp_path / "absent", destination, "a")


def test_a_folder_that_stands_where_a_file_comes_back_is_moved_aside(
    destination: Destination, stage: Stage
) -> None:
    staged = stage({})
    (destination.path / "a/empty").mkdir(parents=True)
    clear_obstruction(destination, staged, "a")
    assert not (destination.path / "a").exists()
    _write(destination.path, {"b/file": b""})
    clear_obstruction(destination, staged, "b")
    assert _shown(destination) == {"b/file": b""}, "what holds files stays"
