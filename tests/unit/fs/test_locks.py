"""Kernel locks on files: who may do something, and whether an owner is alive."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mstore.fs.locks import create_locked, is_abandoned, locks_work, open_lock, take_lock


def test_here_locks_work(tmp_path: Path) -> None:
    assert locks_work(tmp_path)
    assert not locks_work(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def _locked(path: Path, **options: bool) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    assert take_lock(descriptor, wait=False, **options)
    return descriptor


def test_one_lock_keeps_others_out_until_it_is_closed(tmp_path: Path) -> None:
    one = _locked(tmp_path / "lock")
    other = os.open(tmp_path / "lock", os.O_RDWR)
    try:
        assert not take_lock(other, wait=False)
        assert not take_lock(other, wait=False, shared=True)
        os.close(one)
        assert take_lock(other, wait=False)
    finally:
        os.close(other)


def test_shared_locks_stand_beside_each_other(tmp_path: Path) -> None:
    one = _locked(tmp_path / "lock", shared=True)
    other = _locked(tmp_path / "lock", shared=True)
    third = os.open(tmp_path / "lock", os.O_RDWR)
    try:
        assert not take_lock(third, wait=False)
    finally:
        for descriptor in (one, other, third):
            os.close(descriptor)


def test_a_permanent_lock_file_is_opened_again_and_is_no_link(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        os.close(open_lock(tmp_path / "mine"))
        os.close(open_lock(tmp_path / "shared", mode=0o664, exact_mode=True))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o664
    inode = (tmp_path / "mine").stat().st_ino
    os.close(open_lock(tmp_path / "mine"))
    assert (tmp_path / "mine").stat().st_ino == inode
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError):
        open_lock(tmp_path / "link")


def test_a_new_file_is_locked_when_it_has_its_name(tmp_path: Path) -> None:
    descriptor = create_locked(tmp_path, "a.tmp", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tmp"]
    assert not is_abandoned(tmp_path / "a.tmp", and_remove=True)
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert (tmp_path / "a.tmp").read_bytes() == b"x"
    assert is_abandoned(tmp_path / "a.tmp")
    assert is_abandoned(tmp_path / "a.tmp", and_remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_that_cannot_be_named_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="No space left"):
        create_locked(tmp_path, "a.tmp", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_of_ours_is_not_abandoned(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert not is_abandoned(tmp_path / "link", and_remove=True)
    assert not is_abandoned(tmp_path / "absent")
    assert (tmp_path / "target").exists() and (tmp_path / "link").is_symlink()


def test_the_kernel_ends_the_lock_of_a_process_that_died(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        create_locked(tmp_path, "a.tmp", 0o600)
        os._exit(0)
    os.waitpid(child, 0)
    assert is_abandoned(tmp_path / "a.tmp")
