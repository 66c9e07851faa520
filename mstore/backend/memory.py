"""A backend in memory, for tests and for trying things out. Nothing survives the process."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from mstore.backend.base import Entry, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


class _MemoryUpload:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._content = bytearray()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *exc: object) -> None:
        self._content = bytearray()

    def write(self, content: Buffer) -> None:
        self._content += memoryview(content).cast("B")

    def sync(self) -> None:
        """Nothing to do."""

    def publish(self, key: str) -> bool:
        with self._backend.guard:
            if key in self._backend.kept:
                return False
            self._backend.kept[key] = bytes(self._content)
            self._backend.moves += 1
            return True


class MemoryBackend:
    """Bytes by key in a dict."""

    def __init__(self) -> None:
        self.read_only = False
        self.kept: dict[str, bytes] = {}
        self.guard = threading.RLock()
        self.moves = 0

    def get(self, key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        content = self.kept[key]
        begin = max(0, len(content) + offset) if offset < 0 else offset
        return content[begin:] if size is None else content[begin : begin + size]

    def put_new(self) -> Upload:
        return _MemoryUpload(self)

    def swap(self, key: str, expected: bytes | None, content: bytes | None) -> bool:
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

    def delete(self, key: str) -> None:
        with self.guard:
            self.kept.pop(key, None)
            self.moves += 1

    def hold(self, name: str, *, shared: bool = False) -> contextlib.AbstractContextManager[None]:
        @contextlib.contextmanager
        def held() -> Iterator[None]:
            with self.guard:
                yield

        return held()

    def stamp(self, prefix: str) -> int | None:
        return self.moves
