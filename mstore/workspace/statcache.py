"""The stat cache: a file's manifest entry by its stamp.

An entry is used only if the stamp is the same and was already older than the
clock's grain when the file was read: a file that is written again within one
tick of the file system's clock keeps its times (git calls this "racily clean").
The cache may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

from mstore.errors import MStoreError
from mstore.objects import ManifestFile, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mstore.worktree.scan import ScannedFile

VERSION: Final = 1
# FAT keeps times to 2 s, some network file systems to 1 s.
GRAIN_NS: Final = 2_000_000_000


class StatCache:
    """Manifest entries by file.

    Args:
        path: its file.
        store_id: of the store that the entries are about; another store's are dropped.
    """

    def __init__(self, path: Path, store_id: str) -> None:
        self._path = path
        self._store_id = store_id
        self._connection: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect(str(self._path))
            except (sqlite3.Error, OSError):
                with contextlib.suppress(OSError):
                    os.unlink(self._path)
                try:
                    self._connection = self._connect(str(self._path))
                except (sqlite3.Error, OSError):
                    self._connection = self._connect(":memory:")
        return self._connection

    def _connect(self, path: str) -> sqlite3.Connection:
        if path != ":memory:":
            os.makedirs(os.path.dirname(path), exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS files (version INTEGER, store TEXT, real TEXT, path TEXT,"
            " size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, device INTEGER,"
            " read_at INTEGER, entry BLOB, PRIMARY KEY (store, real, path))"
        )
        return connection

    def find(self, files: Iterable[ScannedFile]) -> Mapping[str, ManifestFile]:
        """Return the entries, by path, of the files that have not changed since they were read."""
        found: dict[str, ManifestFile] = {}
        try:
            connection = self._open()
            for file in files:
                row = connection.execute(
                    "SELECT size, mtime, ctime, inode, device, read_at, entry FROM files"
                    " WHERE store = ? AND real = ? AND path = ? AND version = ?",
                    (self._store_id, str(file.real), file.path, VERSION),
                ).fetchone()
                if row is None or tuple(row[:5]) != astuple(file.stamp):
                    continue
                if row[5] - max(file.stamp.mtime_ns, file.stamp.ctime_ns) < GRAIN_NS:
                    continue
                with contextlib.suppress(MStoreError):
                    found[file.path] = ManifestFile.from_map(decode(row[6], "stat cache"), "stat cache")
        except sqlite3.Error:
            self._drop()
        return found

    def keep(self, entries: Iterable[tuple[ScannedFile, ManifestFile]], *, read_at_ns: int) -> None:
        """Record the entries of files whose reading began at `read_at_ns`."""
        if read_at_ns > time.time_ns():
            return
        try:
            self._open().executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        VERSION,
                        self._store_id,
                        str(file.real),
                        file.path,
                        *astuple(file.stamp),
                        read_at_ns,
                        encode(entry.to_map()),
                    )
                    for file, entry in entries
                ],
            )
        except sqlite3.Error:
            self._drop()

    def _drop(self) -> None:
        """Delete a damaged cache; the next use makes a new one."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
