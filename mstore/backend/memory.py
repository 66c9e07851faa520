"""A backend in memory, for tests and for trying things out. Nothing survives the process."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from mstore.backend.base import Activity, Entry, TempRoots, Upload
from mstore.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Buffer


class _MemoryUpload:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._content = bytearray()
        backend.uploads.append(self._content)

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *exc: object) -> None:
        self._backend.uploads[:] = [c for c in self._backend.uploads if c is not self._content]
        self._content = bytearray()

    def write(self, content: Buffer) -> None:
        self._content += memoryview(content).cast("B")

    def sync(self) -> None:
        """Do nothing: memory needs no sync."""

    def publish(self, key: str) -> bool:
        with self._backend.guard:
            if key in self._backend.kept:
                return False
            self._backend.kept[key] = bytes(self._content)
            self._backend.moves += 1
            return True


class _MemoryTempRoots:
    def __init__(self) -> None:
        self.records = b""

    def add(self, record: bytes) -> None:
        self.records += record


class MemoryBackend:
    """Bytes by key in a dict."""

    def __init__(self) -> None:
        self.location = "memory"
        self.folders: tuple[Path, ...] = ()
        self.read_only = False
        self.kept: dict[str, bytes] = {}
        self.uploads: list[bytearray] = []
        self.guard = threading.RLock()
        self.moves = 0
        self._locks: dict[str, threading.RLock] = {}
        self._taken: list[str] = []
        self._temp_roots: list[_MemoryTempRoots] = []

    def get(self, key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        content = self.kept[key]
        begin = max(0, len(content) + offset) if offset < 0 else offset
        return content[begin:] if size is None else content[begin : begin + size]

    def put_new(self) -> Upload:
        return _MemoryUpload(self)

    def compare_and_swap(self, key: str, expected: bytes | None, content: bytes | None) -> bool:
        with self.guard:
            if self.kept.get(key) != expected:
                return False
            if content is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = content
            self.moves += 1
            return True

    def list(self, prefix: str) -> Iterator[Entry]:
        with self.guard:
            found = [Entry(k, len(v)) for k, v in self.kept.items() if k.startswith(f"{prefix}/")]
        yield from found

    def size(self, key: str) -> int | None:
        content = self.kept.get(key)
        return None if content is None else len(content)

    def delete(self, *keys: str) -> None:
        with self.guard:
            for key in keys:
                self.kept.pop(key, None)
            self.moves += 1

    def rename(self, moves: Mapping[str, str]) -> set[str]:
        with self.guard:
            there = {old for old in moves if old in self.kept}
            for old in there:
                self.kept[moves[old]] = self.kept.pop(old)
            self.moves += 1
            return there

    def lock(self, name: str, *, wait: bool = True) -> contextlib.AbstractContextManager[None]:
        @contextlib.contextmanager
        def held() -> Iterator[None]:
            lock = self._locks.setdefault(name, threading.RLock())
            if not lock.acquire(blocking=wait):
                raise Conflict(f"another thread holds the lock {name!r}")
            self._taken.append(name)
            try:
                yield
            finally:
                self._taken.remove(name)
                lock.release()

        return held()

    @contextlib.contextmanager
    def open_temp_roots(self) -> Iterator[TempRoots]:
        roots = _MemoryTempRoots()
        self._temp_roots.append(roots)
        try:
            yield roots
        finally:
            self._temp_roots.remove(roots)

    def temporary_roots(self) -> Iterator[bytes]:
        yield from [roots.records for roots in self._temp_roots]

    def change_token(self, prefix: str) -> int | None:
        return self.moves

    def sweep(self) -> int:
        """Remove nothing: memory ends with its owner."""
        return 0

    def activity(self) -> Activity:
        return Activity(
            tuple(dict.fromkeys(self._taken)),
            len(self._temp_roots),
            sum(len(content) for content in self.uploads),
            (),
        )

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        """Do nothing: no file is open."""
