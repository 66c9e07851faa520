"""The catalog: a local index of a store, made from it and deletable at any time.

Object → packs, bodies of commits, and what is costly to compute of a commit.
Hides sqlite3. It is never the truth: a row that points to nothing makes the
store look again, and a damaged file is deleted and rebuilt. It never
waits for the disk, for the same reason.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from mstore.frozen import frozen
from mstore.objects import BlobId, Commit, CommitId, Kind, ObjectId, WeightsId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

VERSION: Final = 6
_SCHEMA: Final = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE packs (number INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, size INTEGER NOT NULL);
CREATE TABLE objects (
    id BLOB NOT NULL, kind INTEGER NOT NULL, pack INTEGER NOT NULL, frame INTEGER NOT NULL,
    offset INTEGER NOT NULL, depth INTEGER NOT NULL, raw_size INTEGER NOT NULL,
    PRIMARY KEY (id, pack, frame)
) WITHOUT ROWID;
CREATE TABLE sketches (
    band BLOB NOT NULL, pack INTEGER NOT NULL, id BLOB NOT NULL, sketch BLOB NOT NULL,
    PRIMARY KEY (band, pack, id)
) WITHOUT ROWID;
CREATE TABLE commits (id BLOB PRIMARY KEY, time INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE parents (
    child BLOB NOT NULL, parent BLOB NOT NULL, PRIMARY KEY (child, parent)
) WITHOUT ROWID;
CREATE TABLE weights (weights BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (weights, id)) WITHOUT ROWID;
CREATE TABLE sizes (
    id BLOB PRIMARY KEY, tensors INTEGER NOT NULL, size INTEGER NOT NULL, added INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE folders (name TEXT PRIMARY KEY, stamp INTEGER NOT NULL) WITHOUT ROWID;
"""
_ALIKE: Final = 64
# A folder changed this recently may change again without a new stamp.
_STAMP_GRAIN_NS: Final = 2_000_000_000


@frozen(slots=True)
class Location:
    """One copy of an object: its pack's name, the frame's index and first byte in it, its depth."""

    pack: bytes
    frame: int
    offset: int
    depth: int
    raw_size: int


@frozen(slots=True)
class CommitSizes:
    """The sizes of a commit: tensors, bytes, and bytes of blobs that no parent has."""

    tensors: int
    size_bytes: int
    added_bytes: int


@frozen(slots=True)
class IndexedPack:
    """The catalog's record of a pack.

    Args:
        name: the pack's name.
        size_bytes: its size.
        objects: (id, frame index, first byte, depth, raw size) of each frame.
        commits: the commits in it, with their encoded bodies.
        sketches: (id, sketch, keys to find it by) of each blob that has one.
    """

    name: bytes
    size_bytes: int
    objects: tuple[tuple[ObjectId, int, int, int, int], ...]
    commits: tuple[tuple[CommitId, Commit, bytes], ...]
    sketches: tuple[tuple[BlobId, bytes, tuple[bytes, ...]], ...] = ()


class Catalog:
    """A catalog; its file is opened on first use.

    Args:
        path: its file, or None for one in memory (a store that cannot be written beside).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        """The database, opened on first use."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> sqlite3.Connection:
        for attempt in range(2):
            try:
                return self._connect(self._path)
            except (sqlite3.Error, OSError):
                if attempt == 0 and self._path is not None:
                    self._discard(self._path)
        # Neither readable nor replaceable (a read-only folder, say): work without a file.
        return self._connect(None)

    @staticmethod
    def _discard(path: Path) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{path}{suffix}")

    @staticmethod
    def _connect(path: Path | None) -> sqlite3.Connection:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = OFF")
        # On disk, though not synced: a process killed in a transaction leaves a sound catalog.
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA temp_store = MEMORY")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                for (table,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                ).fetchall():
                    connection.execute(f"DROP TABLE {table}")
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
            connection.execute("COMMIT")
        connection.execute("SELECT number FROM packs LIMIT 1")
        return connection

    def reset(self, *, in_memory: bool = False) -> None:
        """Delete everything; the next refresh reads all packs again.

        Args:
            in_memory: from now on do without a file.
        """
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._opened = None
        if self._path is not None:
            self._discard(self._path)
            in_memory |= self._path.exists()  # What cannot be removed cannot be rebuilt.
        if in_memory:
            self._path = None

    def close(self) -> None:
        """Close the file; the next use opens it."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # -- packs

    def stale_folders(self, stamps: Iterable[tuple[str, int | None]]) -> list[tuple[str, int | None]]:
        """Return those of some folders that changed since they were listed."""
        known = dict(self._connection.execute("SELECT name, stamp FROM folders").fetchall())
        return [(name, stamp) for name, stamp in stamps if stamp is None or known.get(name) != stamp]

    def note_folders(self, stamps: Iterable[tuple[str, int | None]]) -> None:
        """Record folders that were listed, unless they changed just now."""
        edge = time.time_ns() - _STAMP_GRAIN_NS
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO folders VALUES (?, ?)",
                [(n, s) for n, s in stamps if s is not None and s < edge],
            )

    def packs(self) -> set[bytes]:
        """Return the names of all packs known."""
        return {name for (name,) in self._connection.execute("SELECT name FROM packs")}

    def add(self, packs: Iterable[IndexedPack]) -> None:
        """Add packs."""
        with self._transaction() as connection:
            for pack in packs:
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO packs (name, size) VALUES (?, ?)",
                    (pack.name, pack.size_bytes),
                )
                if not cursor.rowcount:
                    continue
                number = cursor.lastrowid
                connection.executemany(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [(id.raw, int(id.kind), number, *rest) for id, *rest in pack.objects],
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO sketches VALUES (?, ?, ?, ?)",
                    [
                        (band, number, blob.raw, sketch)
                        for blob, sketch, bands in pack.sketches
                        for band in bands
                    ],
                )
                for commit_id, commit, body in pack.commits:
                    connection.execute(
                        "INSERT OR IGNORE INTO commits VALUES (?, ?, ?)",
                        (commit_id.raw, commit.time.ns, body),
                    )
                    connection.executemany(
                        "INSERT OR IGNORE INTO parents VALUES (?, ?)",
                        [(commit_id.raw, parent.raw) for parent in commit.parents],
                    )
                    connection.executemany(
                        "INSERT OR IGNORE INTO weights VALUES (?, ?)",
                        [(weights.raw, commit_id.raw) for weights in commit.weights.values()],
                    )

    def drop(self, names: Iterable[bytes]) -> None:
        """Remove packs that are gone, and the commits that only they held."""
        with self._transaction() as connection:
            for name in names:
                for table in ("objects", "sketches"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE pack = (SELECT number FROM packs WHERE name = ?)",
                        (name,),
                    )
                connection.execute("DELETE FROM packs WHERE name = ?", (name,))
            for table, key in (("commits", "id"), ("weights", "id"), ("parents", "child")):
                connection.execute(f"DELETE FROM {table} WHERE {key} NOT IN (SELECT id FROM objects)")

    # -- objects

    def find(self, id: ObjectId) -> tuple[Location, ...]:
        """Return all copies of an object, the shallowest first."""
        rows = self._connection.execute(
            "SELECT p.name, o.frame, o.offset, o.depth, o.raw_size FROM objects o"
            " JOIN packs p ON p.number = o.pack"
            " WHERE o.id = ? AND o.kind = ? ORDER BY o.depth",
            (id.raw, int(id.kind)),
        )
        return tuple(Location(*row) for row in rows)

    def has(self, id: ObjectId) -> bool:
        """Return whether some pack is known to hold an object."""
        return (
            self._connection.execute(
                "SELECT 1 FROM objects WHERE id = ? AND kind = ? LIMIT 1", (id.raw, int(id.kind))
            ).fetchone()
            is not None
        )

    def beginning_with(self, low: bytes, high: bytes, kind: Kind) -> list[bytes]:
        """Return the raw ids of a kind between two bounds, both included."""
        rows = self._connection.execute(
            "SELECT DISTINCT id FROM objects WHERE id BETWEEN ? AND ? AND kind = ?",
            (low, high, int(kind)),
        )
        return [raw for (raw,) in rows]

    def sketched(self, bands: Sequence[bytes]) -> dict[BlobId, bytes]:
        """Return a few sketches that share a key with the given ones, the latest packs' first."""
        marks = ", ".join("?" for _ in bands)
        rows = self._connection.execute(
            f"SELECT DISTINCT id, sketch FROM sketches WHERE band IN ({marks})"
            f" ORDER BY pack DESC, id LIMIT {_ALIKE}",
            bands,
        )
        return {BlobId(id): sketch for id, sketch in rows}

    # -- commits

    def body(self, id: CommitId) -> bytes | None:
        """Return the encoded bytes of a commit, or None."""
        row = self._connection.execute("SELECT body FROM commits WHERE id = ?", (id.raw,)).fetchone()
        return None if row is None else bytes(row[0])

    def with_weights(self, weights: WeightsId) -> tuple[CommitId, ...]:
        """Return the commits of a model of this identity, the oldest first."""
        rows = self._connection.execute(
            "SELECT w.id FROM weights w JOIN commits c ON c.id = w.id WHERE w.weights = ?"
            " ORDER BY c.time, c.id",
            (weights.raw,),
        )
        return tuple(CommitId(raw) for (raw,) in rows)

    def reachable(self, tips: Iterable[CommitId]) -> int:
        """Count the commits that the tips reach, themselves included."""
        tips = list(tips)
        if not tips:
            return 0
        marks = ", ".join("(?)" for _ in tips)
        (count,) = self._connection.execute(
            f"WITH RECURSIVE reached(id) AS (VALUES {marks} UNION"
            " SELECT p.parent FROM parents p JOIN reached r ON p.child = r.id)"
            " SELECT count(*) FROM reached",
            [tip.raw for tip in tips],
        ).fetchone()
        return int(count)

    def sizes(self, id: CommitId) -> CommitSizes | None:
        """Return the sizes recorded for a commit, or None."""
        row = self._connection.execute(
            "SELECT tensors, size, added FROM sizes WHERE id = ?", (id.raw,)
        ).fetchone()
        return None if row is None else CommitSizes(*row)

    def note_sizes(self, id: CommitId, sizes: CommitSizes) -> None:
        """Record a commit's sizes."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(
                "INSERT OR REPLACE INTO sizes VALUES (?, ?, ?, ?)",
                (id.raw, sizes.tensors, sizes.size_bytes, sizes.added_bytes),
            )


DatabaseFailed: Final = sqlite3.DatabaseError
