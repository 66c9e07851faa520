"""One suite over every backend: what a store relies on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstore.backend import Activity, Backend, LocalBackend, MemoryBackend
from mstore.errors import Conflict, Corrupt
from tests.proofs.race.interleave import Scheduler, SteppingBackend


def _local(folder: Path, **options: Any) -> LocalBackend:
    for name in ("tmp", "locks", "refs", "packs/00", "trash"):
        (folder / name).mkdir(parents=True)
    return LocalBackend(folder, **options)


class _Free(Scheduler):
    """Lets every thread go on as it likes; its locks are locks of threads."""

    def __init__(self) -> None:
        super().__init__()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def take(self, name: str) -> bool:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        return lock.acquire()

    def give(self, name: str) -> None:
        self._locks[name].release()


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": _local,
    "shared": lambda folder: _local(folder, shared=True),
    "observed": lambda folder: _local(folder, observe=lambda call, key: None),
    "memory": lambda folder: MemoryBackend(),
    "stepping": lambda folder: SteppingBackend({}, _Free()),
}
"""Every backend there is; a new one needs a line here and nothing else."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return BACKENDS[request.param](tmp_path)


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


def test_size_and_rename(backend: Backend) -> None:
    _put(backend, "packs/00/a", b"123")
    assert backend.size("packs/00/a") == 3 and backend.size("packs/00/b") is None
    moved = backend.rename({"packs/00/a": "trash/a", "packs/00/gone": "trash/gone"})
    assert moved == {"packs/00/a"}
    assert backend.size("packs/00/a") is None and backend.get("trash/a") == b"123"


def test_temporary_roots_are_seen_while_their_context_lasts(backend: Backend) -> None:
    with backend.open_temp_roots() as mine, backend.open_temp_roots() as other:
        mine.add(b"one")
        mine.add(b"two")
        other.add(b"three")
        assert sorted(backend.temporary_roots()) == [b"onetwo", b"three"]
    assert list(backend.temporary_roots()) == []


def test_close_and_go_on(backend: Backend) -> None:
    _put(backend, "packs/00/a", b"123")
    assert backend.get("packs/00/a") == b"123"
    for _ in range(2):
        backend.close()
    assert backend.get("packs/00/a") == b"123"
    assert _put(backend, "packs/00/b", b"4")


def test_activity(backend: Backend) -> None:
    assert backend.activity() == Activity((), 0, 0, ())
    with backend.open_temp_roots() as roots, backend.put_new() as upload:
        roots.add(b"x" * 34)
        upload.write(b"y" * (2 << 20))
        upload.sync()
        found = backend.activity()
        assert (found.running, found.writing_bytes, found.left) == (1, 2 << 20, ())
    assert backend.activity() == Activity((), 0, 0, ())


def test_activity_names_locks_of_others(backend: Backend) -> None:
    if isinstance(backend, SteppingBackend):
        pytest.skip("its locks are the scheduler's")
    taken, free = threading.Event(), threading.Event()

    def hold() -> None:
        with backend.lock("gc"):
            taken.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        assert backend.activity().held == ("gc",)
        with pytest.raises(Conflict), backend.lock("gc", wait=False):
            pass
    finally:
        free.set()
        thread.join()
    assert backend.activity().held == ()


def test_sweep_leaves_what_is_alive(backend: Backend) -> None:
    with backend.open_temp_roots() as roots, backend.put_new() as upload:
        roots.add(b"root")
        upload.write(b"alive")
        assert backend.sweep() == 0
        assert list(backend.temporary_roots()) == [b"root"]
        assert upload.publish("packs/00/a")
    assert backend.get("packs/00/a") == b"alive"


def test_what_it_says_of_itself(backend: Backend) -> None:
    assert backend.location and not backend.read_only
    assert all(folder.is_dir() for folder in backend.folders)
    free = backend.free_bytes()
    assert free is None or free > 0


# -- local alone


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return _local(tmp_path)


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
    from mstore.backend import upload as module
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
