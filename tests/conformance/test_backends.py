"""One suite over every backend: what a store relies on."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mstore.backend import Backend, LocalBackend, MemoryBackend
from mstore.errors import Corrupt


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    for folder in ("tmp", "locks", "refs", "packs/00"):
        (tmp_path / folder).mkdir(parents=True)
    return LocalBackend(tmp_path)


def _put(backend: Backend, key: str, content: bytes) -> bool:
    with backend.put_new() as upload:
        upload.write(content)
        return upload.publish(key)


def test_get_ranges(backend: Backend) -> None:
    assert _put(backend, "packs/00/a", b"0123456789")
    assert backend.get("packs/00/a") == b"0123456789"
    assert backend.get("packs/00/a", offset=3, size=2) == b"34"
    assert backend.get("packs/00/a", offset=-3) == b"789"
    assert backend.get("packs/00/a", offset=-300) == b"0123456789"
    assert backend.get("packs/00/a", offset=8, size=10) == b"89"
    assert backend.get("packs/00/a", offset=20, size=1) == b""
    with pytest.raises(KeyError):
        backend.get("packs/00/b")


def test_put_new_never_replaces(backend: Backend) -> None:
    assert _put(backend, "packs/00/a", b"first")
    assert not _put(backend, "packs/00/a", b"second")
    assert backend.get("packs/00/a") == b"first"


def test_nothing_is_visible_before_publish(backend: Backend) -> None:
    with backend.put_new() as upload:
        upload.write(b"x" * (3 << 20))
        upload.sync()
        assert list(backend.list("packs")) == []
    assert list(backend.list("packs")) == []
    with pytest.raises(KeyError):
        backend.get("packs/00/a")


def test_an_upload_in_many_parts(backend: Backend) -> None:
    parts = [os.urandom(n) for n in (0, 1, 70_000, 3, 2 << 20, 5)]
    with backend.put_new() as upload:
        for part in parts:
            upload.write(memoryview(part))
        upload.publish("packs/00/a")
    assert backend.get("packs/00/a") == b"".join(parts)


def test_swap_compares(backend: Backend) -> None:
    assert backend.compare_and_swap("refs/heads/a", None, b"1")
    assert not backend.compare_and_swap("refs/heads/a", None, b"2")
    assert not backend.compare_and_swap("refs/heads/a", b"0", b"2")
    assert backend.compare_and_swap("refs/heads/a", b"1", b"2")
    assert backend.get("refs/heads/a") == b"2"
    assert not backend.compare_and_swap("refs/heads/a", b"1", None)
    assert backend.compare_and_swap("refs/heads/a", b"2", None)
    with pytest.raises(KeyError):
        backend.get("refs/heads/a")


def test_swap_has_one_winner(backend: Backend) -> None:
    backend.compare_and_swap("refs/heads/a", None, b"0")
    won: list[int] = []
    barrier = threading.Barrier(8)

    def attempt(number: int) -> None:
        barrier.wait()
        if backend.compare_and_swap("refs/heads/a", b"0", b"%d" % (number + 1)):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert backend.get("refs/heads/a") == b"%d" % (won[0] + 1)


def test_hold_excludes_and_nests(backend: Backend) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with backend.lock("refs"), backend.lock("refs"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 80


def test_list_and_delete(backend: Backend) -> None:
    _put(backend, "packs/00/a", b"12")
    backend.compare_and_swap("refs/heads/x/y", None, b"1")
    assert [(e.key, e.size_bytes) for e in backend.list("packs")] == [("packs/00/a", 2)]
    assert [e.key for e in backend.list("refs")] == ["refs/heads/x/y"]
    assert list(backend.list("nothing")) == []
    backend.delete("packs/00/a")
    backend.delete("packs/00/a")
    assert list(backend.list("packs")) == []


def test_a_stamp_changes_with_its_folder(backend: Backend) -> None:
    before = backend.change_token("packs/00")
    _put(backend, "packs/00/a", b"1")
    assert backend.change_token("packs/00") != before


# -- local alone


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    for folder in ("tmp", "locks", "refs", "packs/00"):
        (tmp_path / folder).mkdir(parents=True)
    return LocalBackend(tmp_path)


def test_a_link_is_never_read_or_listed(local: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "packs/00/a").symlink_to(tmp_path / "secret")
    with pytest.raises(Corrupt, match="symbolic link"):
        local.get("packs/00/a")
    with pytest.raises(Corrupt, match="symbolic link"):
        list(local.list("packs"))


def test_descriptors_stay_few(local: LocalBackend) -> None:
    for i in range(60):
        (local.root / f"packs/00/{i}").write_bytes(b"%d" % i)
    for i in range(60):
        assert local.get(f"packs/00/{i}") == b"%d" % i
    links = (os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if _exists(n))
    assert sum(link.startswith(str(local.root)) for link in links) <= 33
    local.close()


def _exists(number: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{number}")


def test_sweep_spares_what_is_being_written(local: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "tmp/dead.tmp").write_bytes(b"left by a process that was killed")
    with local.put_new() as upload:
        upload.write(b"alive")
        upload.sync()
        assert local.sweep() == 1
        assert upload.publish("packs/00/a")
    assert local.get("packs/00/a") == b"alive"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_failed_fsync_poisons_the_upload(
    local: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mstore.backend import local as module
    from mstore.errors import StorageFailed

    calls: list[int] = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "fsync_file", failing)
    with local.put_new() as upload:
        upload.write(b"x")
        with pytest.raises(StorageFailed, match="Input/output"):
            upload.publish("packs/00/a")
        with pytest.raises(StorageFailed, match="earlier write"):
            upload.publish("packs/00/a")
    assert len(calls) == 1, "an fsync that failed is not tried again"
    with pytest.raises(KeyError):
        local.get("packs/00/a")


def test_order_of_calls_in_a_publication(tmp_path: Path) -> None:
    for folder in ("tmp", "locks", "packs/00"):
        (tmp_path / folder).mkdir(parents=True)
    calls: list[Any] = []
    recording = LocalBackend(tmp_path, observe=lambda call, key: calls.append(call))
    _put(recording, "packs/00/a", b"x")
    assert calls == ["write", "fsync", "link", "fsync-folder"]
    calls.clear()
    recording.compare_and_swap("refs", None, b"x")
    assert calls == ["lock", "open", "write", "fsync", "rename", "fsync-folder"]
