"""A model directory on disk: what is listed, what is refused, what changes meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mstore.errors import BadPath, InvalidInput, NotFound
from mstore.worktree.scan import DiskFolder, OpenFile, checkpoints_in, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out/deep").mkdir(parents=True)
    for name in ("b", "a", "deep/c", "Z", "é"):
        (tmp_path / "out" / name).write_bytes(name.encode())
    return tmp_path / "out"


def test_files_are_listed_by_the_bytes_of_their_paths(folder: Path) -> None:
    found = scan(folder)
    assert found.paths() == ("Z", "a", "b", "deep/c", "é") and found.ignored == ()
    assert found.files[3].shown == str(folder / "deep/c") and found.files[3].stamp.size_bytes == 6
    assert scan(folder) == found


def test_what_is_left_out_is_told(folder: Path, tmp_path: Path) -> None:
    (folder / "deep/x.tmp").write_bytes(b"")
    (folder / "runs").mkdir()
    (folder / "store/inner").mkdir(parents=True)
    (tmp_path / "way").symlink_to(folder / "store")
    found = scan(folder, exclude=(tmp_path / "way",))
    assert found.ignored == ("deep/x.tmp", "runs/", "store/")
    everything = scan(folder, rules=lambda path, is_folder: path == "deep")
    assert everything.ignored == ("deep/",) and "runs/x" not in everything.paths()


def test_there_must_be_a_folder(folder: Path) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        scan(folder / "absent")
    with pytest.raises(InvalidInput, match="is a file"):
        scan(folder / "a")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (os.mkfifo, "is a FIFO"),
        (_socket, "is a socket"),
        (lambda path: path.symlink_to("a"), "is a symbolic link"),
        (lambda path: path.symlink_to("deep"), "is a symbolic link"),
    ],
)
def test_special_files_and_links_are_refused_and_named(
    folder: Path, make: Callable[[Path], object], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # A socket's path must be short.
    make(Path("x"))
    with pytest.raises(InvalidInput, match=rule) as met:
        scan(folder)
    assert met.value.where == str(folder / "x")


def test_a_snapshot_of_a_hub_cache_consists_of_links(tmp_path: Path) -> None:
    cache = tmp_path / "models--ada--model"
    snapshot = cache / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs/123").write_bytes(b"content")
    (snapshot / "config.json").symlink_to("../../blobs/123")
    (file,) = scan(snapshot).files
    assert file.path == "config.json" and file.real == cache / "blobs/123"
    assert DiskFolder(scan(snapshot)).read("config.json") == b"content"
    (tmp_path / "secret").write_bytes(b"")
    (snapshot / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(BadPath, match="is a symbolic link"):
        scan(snapshot)
    (snapshot / "x").unlink()
    (snapshot / "x").symlink_to("../../blobs")
    with pytest.raises(InvalidInput, match="is a link to a folder"):
        scan(snapshot)
    (snapshot / "x").unlink()
    (snapshot / "x").symlink_to("../../blobs/gone")
    with pytest.raises(InvalidInput, match="cannot be read"):
        scan(snapshot)


def test_a_file_is_read_in_ranges(folder: Path) -> None:
    (file,) = (f for f in scan(folder).files if f.path == "deep/c")
    with OpenFile(file) as source:
        assert (source.read(0, 6), source.read(2, 3), source.read(6, 0)) == (b"deep/c", b"ep/", b"")
        assert os.pread(source.descriptor, 1, 0) == b"d"
        source.check_unchanged()
        with pytest.raises(InvalidInput, match="became shorter"):
            source.read(0, 7)
    source.close()


def test_a_file_that_changed_since_it_was_found_is_refused(folder: Path) -> None:
    (file,) = (f for f in scan(folder).files if f.path == "a")
    with OpenFile(file) as source:
        (folder / "new").write_bytes(b"a")
        os.rename(folder / "new", folder / "a")
        with pytest.raises(InvalidInput, match="changed while it was being read") as met:
            source.check_unchanged()
        assert met.value.hint == "commit again once it is written"
        (folder / "a").unlink()
        with pytest.raises(InvalidInput, match="vanished while it was being read"):
            source.check_unchanged()
    with pytest.raises(InvalidInput, match="cannot be read"):
        OpenFile(file)


def test_small_files_are_read_whole_by_path(folder: Path) -> None:
    small = DiskFolder(scan(folder))
    assert small.paths() == scan(folder).paths()
    assert (small.read("é"), small.size_bytes("é")) == ("é".encode(), 2)
    for ask in (small.read, small.size_bytes):
        with pytest.raises(NotFound, match="no file absent"):
            ask("absent")


def test_checkpoints_are_folders_in_the_order_of_steps(tmp_path: Path) -> None:
    for name in ("checkpoint-10", "checkpoint-9", "checkpoint-x", "checkpoint-", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-3").write_bytes(b"")
    assert checkpoints_in(tmp_path) == ("checkpoint-9", "checkpoint-10")
    with pytest.raises(InvalidInput, match="cannot be listed"):
        checkpoints_in(tmp_path / "absent")
