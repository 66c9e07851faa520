"""A store in a folder of this machine: made whole, or finished where it was interrupted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mstore.errors import InvalidInput, NoStore, StorageFailed
from mstore.store.identity import read_identity
from mstore.store.local import create_local, open_local


def test_a_new_store_is_empty_and_opens(tmp_path: Path) -> None:
    create_local(tmp_path / "a/store")
    backend, identity = open_local(tmp_path / "a/store")
    assert read_identity(backend) == identity and not identity.shared
    assert list(backend.list("packs/00")) == [] and list(backend.list("refs")) == []
    with pytest.raises(InvalidInput, match="is a store already"):
        create_local(tmp_path / "a/store")


def test_a_shared_one_is_its_groups_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        create_local(tmp_path / "store", shared=True)
    finally:
        os.umask(before)
    for path in (tmp_path / "store").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o060 == 0o060, path
    assert open_local(tmp_path / "store")[1].shared


def test_what_an_interrupted_init_left_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mstore.store.local.create_identity", killed)
        with pytest.raises(KeyboardInterrupt):
            create_local(tmp_path / "store")
    with pytest.raises(NoStore):
        open_local(tmp_path / "store")
    create_local(tmp_path / "store")
    open_local(tmp_path / "store")


@pytest.mark.parametrize("path", ["file", "packs/00/file", "locks/deep/file", "other/"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, path: str) -> None:
    found = tmp_path / "store" / path
    if path.endswith("/"):
        found.mkdir(parents=True)
    else:
        found.parent.mkdir(parents=True)
        found.write_bytes(b"x")
    with pytest.raises(InvalidInput, match="is not empty"):
        create_local(tmp_path / "store")
    assert found.exists() and not (tmp_path / "store/store.json").exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed, match="cannot make a store at"):
        create_local(tmp_path / "file/store")


def test_calls_are_observed(tmp_path: Path) -> None:
    create_local(tmp_path / "store")
    calls: list[str] = []
    backend, _ = open_local(tmp_path / "store", observe=lambda call, key: calls.append(call))
    backend.compare_and_swap("refs/heads/x", None, b"1")
    assert calls
