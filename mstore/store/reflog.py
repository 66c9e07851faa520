"""Reflogs: the numbered record of every move of a ref.

Source: docs/format.md section 8. A reflog lies in segments of about 32 KiB, of which only the
last one changes. Hides segments, and records of moves that never happened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_hexdigest

from mstore.errors import Corrupt, InvalidInput, RefMoved
from mstore.frozen import frozen
from mstore.objects import ID_TYPES, Kind, ObjectId, Time
from mstore.objects.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.backend import Backend

KINDS: Final = {"commit": Kind.COMMIT, "tag": Kind.TAG, "note": Kind.NOTE}
_SEGMENT_BYTES: Final = 32 << 10


@frozen(slots=True)
class RefValue:
    """The target of a ref, and how often it has moved."""

    target: ObjectId
    generation: int


@frozen(slots=True)
class Move:
    """The author and the reason of a ref's move, as its reflog records them."""

    action: str
    message: str
    author: str
    time: Time
    workspace: str | None = None


@frozen(slots=True)
class Record:
    """One line of a reflog: the move that gave the ref generation `number`."""

    number: int
    old: ObjectId | None
    new: ObjectId | None
    move: Move

    def line(self) -> bytes:
        """Return the line as it is stored."""
        target = self.new or self.old
        body = json.dumps(
            {
                "n": self.number,
                "old": self.old.hex if self.old else None,
                "new": self.new.hex if self.new else None,
                "kind": target.kind_name if target else "commit",
                "time": self.move.time.ns,
                "zone": self.move.time.zone_minutes,
                "author": self.move.author,
                "workspace": self.move.workspace,
                "action": self.move.action,
                "message": self.move.message,
            },
            separators=(",", ":"),
        ).encode()
        return xxh3_64_hexdigest(body).encode() + b" " + body + b"\n"

    @classmethod
    def parse(cls, line: bytes, where: str) -> Record:
        """Read a line. Raises Corrupt."""
        checksum, _, body = line.partition(b" ")
        if xxh3_64_hexdigest(body).encode() != checksum:
            raise Corrupt(where, "a record does not have its checksum")
        try:
            fields = json.loads(body)
            keys = Keys(fields, where)
            make = ID_TYPES[KINDS[fields["kind"]]]
            old, new = (make.parse(fields[k]) if fields[k] else None for k in ("old", "new"))
            move = Move(
                keys.take("action", str),
                keys.take("message", str),
                keys.take("author", str),
                Time(keys.take("time", int), keys.take("zone", int)),
                keys.take("workspace", str) if fields["workspace"] is not None else None,
            )
            number = keys.take("n", int)
            if number < 1:
                raise ValueError("numbers begin at 1")
            return cls(number, old, new, move)
        except (ValueError, KeyError, TypeError, RecursionError, InvalidInput) as error:
            raise Corrupt(where, f"a record cannot be read: {error}") from error


class Reflogs:
    """The reflogs of a store.

    Args:
        backend: where they lie.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def _append(self, name: str, current: RefValue | None, new: ObjectId | None, move: Move) -> int:
        """Put the record of a move into the reflog, and return its number."""
        key, content = self._last_segment(name)
        # Each with its line feed, which the last may have lost.
        lines = [line + b"\n" for line in (content or b"").splitlines()]
        try:
            last = Record.parse(lines[-1][:-1], key).number if lines else self._beyond(name)
        except Corrupt:
            # A damaged tail must not stop work; fsck names it. Numbers go on beyond it.
            last = self._beyond(name)
            key, content, lines = self._next_segment(key), None, []
        if current is not None and last > current.generation and lines:
            # A move that never happened: its record is replaced.
            lines.pop()
            last = current.generation
        number = max(last, current.generation if current else 0) + 1
        record = Record(number, current.target if current else None, new, move)
        if sum(map(len, lines)) > _SEGMENT_BYTES:
            key, content, lines = self._next_segment(key), None, []
        if not self._backend.compare_and_swap(key, content, b"".join([*lines, record.line()])):
            raise RefMoved(name)
        return number

    def _beyond(self, name: str) -> int:
        """Return a number that no record has passed, those that cannot be read included."""
        records, unreadable = self.log_readable(name)
        return max((record.number for record in records), default=0) + unreadable

    def _segments(self, name: str) -> list[str]:
        prefix = f"logs/{name}/~"
        return sorted(
            e.key
            for e in self._backend.list(f"logs/{name}")
            if e.key.startswith(prefix) and e.key[len(prefix) :].isdigit()
        )

    def _last_segment(self, name: str) -> tuple[str, bytes | None]:
        keys = self._segments(name)
        if not keys:
            return f"logs/{name}/~00000001", None
        return keys[-1], self._backend.get(keys[-1])

    @staticmethod
    def _next_segment(key: str) -> str:
        stem, _, number = key.rpartition("~")
        return f"{stem}~{int(number) + 1:08d}"

    def log_even_unfinished(self, name: str) -> tuple[Record, ...]:
        """Return all records in a reflog, the latest first. Raises Corrupt."""
        return tuple(reversed([Record.parse(line, key) for key, line in self._lines(name)]))

    def log_readable(self, name: str) -> tuple[tuple[Record, ...], int]:
        """Return the records of a reflog that can be read, the latest first, and count the others."""
        records, unreadable = [], 0
        for key, line in self._lines(name):
            try:
                records.append(Record.parse(line, key))
            except Corrupt:
                unreadable += 1
        return tuple(reversed(records)), unreadable

    def _lines(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield the lines of a reflog, the oldest first, each with the key of its segment."""
        for key in self._segments(name):
            for line in self._backend.get(key).splitlines():
                yield key, line

    def repair_reflog(self, name: str) -> tuple[int, int]:
        """Cut records that cannot be read out of a reflog.

        A segment that is changed is kept whole under `quarantine/`.

        Returns:
            How many records stay, and how many were cut.
        """
        kept = cut = 0
        with self._backend.lock("refs"):
            for key in self._segments(name):
                content = self._backend.get(key)
                good = []
                for line in content.splitlines(keepends=True):
                    try:
                        Record.parse(line.rstrip(b"\n"), key)
                    except Corrupt:
                        cut += 1
                    else:
                        good.append(line.rstrip(b"\n") + b"\n")
                kept += len(good)
                repaired = b"".join(good)
                if repaired != content:
                    self._quarantine(key, content)
                    self._backend.compare_and_swap(key, content, repaired)
        return kept, cut

    def _quarantine(self, key: str, content: bytes) -> None:
        number = 1
        while not self._backend.compare_and_swap(f"quarantine/{key}.{number}", None, content):
            number += 1

    def logged(self, namespace: str) -> tuple[str, ...]:
        """Return the names in a namespace that have a reflog, deleted refs included."""
        prefix = f"logs/{namespace}/"
        names = {
            e.key.removeprefix(prefix).rpartition("/~")[0] for e in self._backend.list(prefix[:-1])
        }
        return tuple(sorted(n for n in names if n))
