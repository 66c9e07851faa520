"""Writing so that it outlasts a power cut: the order of calls, and what a failure leaves."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from array import array
from pathlib import Path

import pytest

from mstore.fs.durable import (
    fsync_file,
    make_folder,
    replace_file,
    replacement,
    start_writing,
    write_all,
)
from mstore.fs.failures import UnconfirmedChange


def _refused(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_file_is_replaced_in_an_order_that_a_crash_cannot_split(tmp_path: Path) -> None:
    target = tmp_path / "HEAD"
    target.write_bytes(b"old")
    calls: list[str] = []

    def observe(call: str) -> None:
        calls.append(call)
        assert target.read_bytes() == (b"new" if call == "fsync-folder" else b"old")

    replace_file(target, b"new", observe=observe)
    assert calls == ["write", "fsync", "rename", "fsync-folder"]
    assert [p.name for p in tmp_path.iterdir()] == ["HEAD"]


def test_without_durability_nothing_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _refused)
    replace_file(tmp_path / "journal", b"x", durable=False)
    assert (tmp_path / "journal").read_bytes() == b"x"


def test_a_replacement_that_is_not_put_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "HEAD"
    target.write_bytes(b"old")
    with replacement(target, b"new"):
        assert len(list(tmp_path.iterdir())) == 2, "its bytes lie ready"
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["HEAD"]


def test_a_failed_sync_leaves_the_old_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "HEAD"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", _refused)
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["HEAD"]


def test_a_folder_that_is_not_confirmed_is_a_change_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "HEAD"
    monkeypatch.setattr("mstore.fs.durable.fsync_folder", _refused)
    with pytest.raises(UnconfirmedChange):
        replace_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["HEAD"]


def test_a_temporary_file_may_lie_elsewhere_and_its_mode_is_given(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "masked", b"", folder=tmp_path / "tmp", mode=0o666)
        replace_file(tmp_path / "exact", b"", folder=tmp_path / "tmp", mode=0o664, exact_mode=True)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("masked", "exact")]
    assert modes == [0o600, 0o664]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_folders_are_made_down_from_the_first_that_is_missing(tmp_path: Path) -> None:
    synced: list[int] = []
    make_folder(tmp_path / "a/b/c", observe=lambda: synced.append(1))
    assert (tmp_path / "a/b/c").is_dir() and len(synced) == 3
    make_folder(tmp_path / "a/b/c", observe=lambda: synced.append(1))
    assert len(synced) == 3, "what is there is not synced again"


def test_a_shared_folder_is_its_groups_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a/b", shared=True)
    finally:
        os.umask(before)
    for folder in (tmp_path / "a", tmp_path / "a/b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o2775


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        make_folder(tmp_path / "file/below")


def test_all_is_written_whatever_the_system_takes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, part: write(fd, memoryview(part)[:3]))
    descriptor = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    try:
        write_all(descriptor, array("I", [1, 2, 3]))
    finally:
        os.close(descriptor)
    assert (tmp_path / "x").read_bytes() == array("I", [1, 2, 3]).tobytes()


def test_advice_that_is_refused_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fadvise", _refused, raising=False)
    with open(tmp_path / "x", "wb") as file:
        file.write(b"abc")
        file.flush()
        start_writing(file.fileno(), 0, 3)
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_a_full_sync_that_a_file_system_lacks_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(os, "fsync", synced.append)
    full: list[int] = []
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, how: full.append(how))
    fsync_file(7)
    assert (full, synced) == ([51], [])
    monkeypatch.setattr(fcntl, "fcntl", _refused)
    fsync_file(7)
    assert synced == [7]
