"""The interface between a store and its bytes.

Keys are `/`-separated text, checked by the layers above. Reads of a key that
is not there raise KeyError; every failure of the system becomes StorageFailed.
A wrapper (recording, faulty, cached) is itself a backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mstore.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer


@frozen(slots=True)
class Entry:
    """A key that exists, and how many bytes it holds."""

    key: str
    size_bytes: int


Observer = Callable[[str, str], None]
"""Is called with each system call that matters for durability or cost: (call, key or path)."""


@frozen(slots=True)
class Activity:
    """The activity in a store at this moment.

    Args:
        held: locks that a process holds.
        running: commands that have temporary roots.
        writing_bytes: bytes that they have written and not yet published.
        left: files of commands that are dead; the next writer sweeps them.
    """

    held: tuple[str, ...]
    running: int
    writing_bytes: int
    left: tuple[Entry, ...]


class Upload(Protocol):
    """A new object that is being written; nothing is visible before `publish`.

    Leaving the context without `publish` drops it. After an error nothing can
    be published: a failed write or fsync poisons the upload.
    """

    def __enter__(self) -> Upload: ...

    def __exit__(self, *exc: object) -> None: ...

    def write(self, content: Buffer) -> None:
        """Append bytes."""

    def sync(self) -> None:
        """Begin to make written bytes durable; `publish` need not do it again."""

    def publish(self, key: str) -> bool:
        """Make the bytes durable under `key`, never replacing.

        Returns:
            True if they were published, False if the key was there already.
        """


class TempRoots(Protocol):
    """Objects that a live process needs and gc must keep; gone when the process exits."""

    def add(self, record: bytes) -> None:
        """Add a record. Once this returns, `temporary_roots` yields it in every process."""


class Backend(Protocol):
    """Bytes by key.

    Attributes:
        location: where it is, for people and error messages: a folder's path, `memory`.
        folders: folders of this machine that it keeps its bytes in; no scan enters them.
        read_only: nothing can be written. A store that needs unknown features sets it.
    """

    location: str
    folders: tuple[Path, ...]
    read_only: bool

    def get(self, key: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """Read bytes `offset:offset+size` of a key; a negative offset counts from the end.

        Fewer bytes are returned where the key holds fewer.

        Raises:
            KeyError: the key does not exist.
            StorageFailed: the system failed.
        """

    def put_new(self) -> Upload:
        """Begin an upload."""

    def compare_and_swap(self, key: str, expected: bytes | None, content: bytes | None) -> bool:
        """Replace the whole value of a small key if it is still `expected`.

        Args:
            expected: the value known; None: the key must not exist.
            content: the new value; None: the key is removed.

        Returns:
            Whether it was replaced. If so, it is durable.
        """

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield all keys below a folder `prefix` (no trailing slash), in no order."""

    def size(self, key: str) -> int | None:
        """Return the number of bytes that a key holds; None if there is no such key."""

    def delete(self, *keys: str) -> None:
        """Remove keys; absent ones are ignored. Not durable: a power cut may restore them."""

    def rename(self, moves: Mapping[str, str]) -> set[str]:
        """Rename keys whose bytes never change, durably.

        Args:
            moves: old key → new key. A new key that exists holds the same bytes.

        Returns:
            The old keys that were there.
        """

    def lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold the lock `name` while the context lasts.

        It is a kernel lock on local disks. Where only `compare_and_swap` can decide (object
        storage), the context does nothing: callers must stay correct then,
        though a reflog may hold a record of a move that lost.

        Raises:
            Conflict: another process holds it, and the caller does not `wait`.
        """

    def open_temp_roots(self) -> AbstractContextManager[TempRoots]:
        """Open a record of temporary roots; it ends with the context or the process."""

    def temporary_roots(self) -> Iterator[bytes]:
        """Yield the records of all live processes, one item for each `open_temp_roots`."""

    def change_token(self, prefix: str) -> int | None:
        """Return a number that differs after a key directly below `prefix` came or went, or None."""

    def sweep(self) -> int:
        """Remove what dead processes left unpublished, and return how many files."""

    def activity(self) -> Activity:
        """Return what other commands are doing here now, and what dead ones left."""

    def free_bytes(self) -> int | None:
        """Return how many more bytes fit; None if that is not known."""

    def close(self) -> None:
        """Close files that no read uses. The backend can still be used."""
