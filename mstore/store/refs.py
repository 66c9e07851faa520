"""Refs and their reflogs: the only things in a store that change.

Source: docs/format.md sections 7 and 8. A move is: take the lock, compare, put
the record of the move on disk, then the ref. A name is spelled with its
namespace here: `heads/main`, `tags/v1`, `notes/<64 hex>`.
"""

from __future__ import annotations

import contextlib
import json
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_hexdigest

from mstore.errors import (
    Conflict,
    Corrupt,
    DurabilityUnknown,
    InvalidInput,
    NotFound,
    RefMoved,
    StorageFailed,
)
from mstore.frozen import frozen
from mstore.objects import ID_TYPES, Kind, ObjectId, Time, folded
from mstore.store.ref_names import check_ref_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mstore.backend import Backend

_KINDS: Final = {"commit": Kind.COMMIT, "tag": Kind.TAG, "note": Kind.NOTE}
_LINE: Final = re.compile(
    r"mstore-ref-1 ([1-9][0-9]{0,17}) (commit|tag|note) ([0-9a-f]{64}) ([0-9a-f]{16})\n"
)
_MAX_REF_BYTES: Final = 256
_SEGMENT_BYTES: Final = 32 << 10


@frozen(slots=True)
class RefValue:
    """What a ref points to, and how often it has moved."""

    target: ObjectId
    generation: int


@frozen(slots=True)
class Move:
    """Who moves a ref, and why; stands in the reflog."""

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
        """The line as it is stored."""
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
            make = ID_TYPES[_KINDS[fields["kind"]]]
            old, new = (make.parse(fields[k]) if fields[k] else None for k in ("old", "new"))
            move = Move(
                fields["action"],
                fields["message"],
                fields["author"],
                Time(fields["time"], fields["zone"]),
                fields["workspace"],
            )
            return cls(fields["n"], old, new, move)
        except (ValueError, KeyError, TypeError, InvalidInput) as error:
            raise Corrupt(where, f"a record cannot be read: {error}") from error


def _below(folder: str, part: str) -> str:
    return f"{folder}/{part}"


def _encode_ref(value: RefValue) -> bytes:
    body = f"mstore-ref-1 {value.generation} {value.target.kind_name} {value.target.hex}"
    return f"{body} {xxh3_64_hexdigest(body.encode())}\n".encode()


def parse_ref(content: bytes, where: str) -> RefValue:
    """Read a ref's line.

    Raises:
        Corrupt: it is torn, empty, or does not have its checksum.
    """
    hint = "`mstore fsck` shows the value that its reflog has"
    text = content[:_MAX_REF_BYTES].decode("ascii", "replace")
    match = _LINE.fullmatch(text)
    if match is None or len(content) > _MAX_REF_BYTES:
        state = "is empty" if not content.strip(b"\0") else "is torn or damaged"
        raise Corrupt(where, state, hint=hint)
    generation, kind, target, checksum = match.groups()
    if xxh3_64_hexdigest(text[: -len(checksum) - 2].encode()) != checksum:
        raise Corrupt(where, "does not have its checksum", hint=hint)
    return RefValue(ID_TYPES[_KINDS[kind]].parse(target), int(generation))


class Refs:
    """The refs of a store.

    Args:
        backend: where they lie.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def read(self, name: str) -> RefValue | None:
        """The value of a ref, or None if there is none. Raises Corrupt."""
        try:
            content = self._backend.get(f"refs/{name}", size=_MAX_REF_BYTES + 1)
        except KeyError:
            return None
        return parse_ref(content, f"refs/{name}")

    def all(self, namespace: str) -> Mapping[str, RefValue]:
        """Refs of a namespace (`heads`, `tags`, `notes`) by name without it.

        A damaged ref is left out; `damaged` and fsck name it.
        """
        found = {}
        for name in self.names(namespace):
            try:
                value = self.read(f"{namespace}/{name}")
            except Corrupt:
                continue
            if value is not None:
                found[name] = value
        return found

    def names(self, namespace: str) -> Iterator[str]:
        """Names in a namespace, sorted, damaged ones included."""
        prefix = f"refs/{namespace}"
        yield from sorted(e.key.removeprefix(prefix + "/") for e in self._backend.list(prefix))

    def damaged(self, namespace: str) -> Mapping[str, Corrupt]:
        """What is wrong with each damaged ref of a namespace."""
        wrong = {}
        for name in self.names(namespace):
            try:
                self.read(f"{namespace}/{name}")
            except Corrupt as error:
                wrong[name] = error
        return wrong

    # -- moving

    def move(
        self,
        name: str,
        new: ObjectId | None,
        move: Move,
        *,
        expected: ObjectId | None = None,
        force: bool = False,
    ) -> RefValue | None:
        """Point a ref elsewhere, or remove it (`new` None), if it still is where the caller saw it.

        Args:
            name: with its namespace.
            new: the new target.
            move: who and why.
            expected: the target that the caller knows; None: there must be no such ref.
            force: do not compare, and replace a damaged ref too.

        Raises:
            RefMoved: the ref has another value.
            Conflict: the name collides with another ref.
            InvalidInput: the name is not allowed.
        """
        namespace, _, short_name = name.partition("/")
        if namespace != "notes":
            check_ref_name(short_name)
        if self._backend.read_only:
            raise StorageFailed(f"cannot move {short_name}: the store is read-only")
        with self._backend.lock("refs"):
            content = self._content(name)
            try:
                current = parse_ref(content, f"refs/{name}") if content is not None else None
            except Corrupt:
                if not force:
                    raise
                current = None
            if not force and (current.target if current else None) != expected:
                raise RefMoved(short_name)
            if content is None and new is None:
                return None
            if content is None and namespace != "notes":
                self._check_collisions(namespace, short_name)
            try:
                number = self._append(name, current, new, move)
            except DurabilityUnknown as error:
                # A record that may not last is none: the ref stays where it is.
                raise StorageFailed(
                    f"cannot move {short_name}: {error.message}", errno=error.errno, hint=error.hint
                ) from error
            value = RefValue(new, number) if new is not None else None
            encoded = _encode_ref(value) if value is not None else None
            if not self._backend.compare_and_swap(f"refs/{name}", content, encoded):
                raise RefMoved(short_name)
            return value

    def record_refused(self, name: str, id: ObjectId, move: Move) -> None:
        """Note an object that a ref was not pointed to, so that gc leaves it for a while.

        Args:
            name: the ref that somebody else had moved.
            id: what it was to point to.
            move: who and why.
        """
        with self._backend.lock("refs"):
            self._append(f"refused/{name}", None, id, move)

    def check_new(self, name: str) -> None:
        """Refuse a name that cannot become a ref beside those that exist.

        Raises:
            InvalidInput: the name is not allowed.
            Conflict: it collides with another.
        """
        namespace, _, short_name = name.partition("/")
        check_ref_name(short_name)
        self._check_collisions(namespace, short_name)

    def _content(self, name: str) -> bytes | None:
        try:
            return self._backend.get(f"refs/{name}")
        except KeyError:
            return None

    def _check_collisions(self, namespace: str, name: str) -> None:
        own = folded(name)
        for other in self.names(namespace):
            that = folded(other)
            for one, two in zip(
                accumulate(name.split("/"), _below), accumulate(other.split("/"), _below), strict=False
            ):
                if one != two and folded(one) == folded(two):
                    raise Conflict(
                        f"{name!r} differs from {other!r} only in case or Unicode form, in {one!r}"
                    )
            if that == own and other != name:
                raise Conflict(f"{name!r} differs from {other!r} only in case or Unicode form")
            if own.startswith(that + "/") or that.startswith(own + "/"):
                raise Conflict(f"{name!r} cannot exist beside {other!r}: one would be a folder")

    def _append(self, name: str, current: RefValue | None, new: ObjectId | None, move: Move) -> int:
        """Put the record of a move into the reflog; gives its number."""
        key, content = self._last_segment(name)
        lines = (content or b"").splitlines(keepends=True)
        try:
            last = Record.parse(lines[-1].rstrip(b"\n"), key).number if lines else 0
        except Corrupt:
            # A damaged tail must not stop work; fsck names it. Numbers go on beyond it.
            last = (current.generation if current else 0) + len(lines)
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

    # -- reflog

    def log(self, name: str) -> tuple[Record, ...]:
        """Moves of a ref, the latest first. Records of moves that never happened are left out.

        Raises:
            NotFound: the ref has no reflog.
            Corrupt: a record is damaged.
        """
        records = self.log_even_unfinished(name)
        if not records:
            raise NotFound(f"{name.partition('/')[2]!r} has no reflog")
        value = self.read(name)
        if value is None:
            return records
        return tuple(r for r in records if r.number <= value.generation)

    def log_even_unfinished(self, name: str) -> tuple[Record, ...]:
        """All records in a reflog, the latest first. Raises Corrupt."""
        records = []
        for key in self._segments(name):
            for line in self._backend.get(key).splitlines():
                records.append(Record.parse(line, key))
        return tuple(reversed(records))

    def log_readable(self, name: str) -> tuple[Record, ...]:
        """Give the records of a reflog that can be read, the latest first."""
        records = []
        for key in self._segments(name):
            for line in self._backend.get(key).splitlines():
                with contextlib.suppress(Corrupt):
                    records.append(Record.parse(line, key))
        return tuple(reversed(records))

    def count_readable(self, name: str) -> tuple[int, int]:
        """Count the records of a reflog that can be read, and those that cannot."""
        lines = sum(len(self._backend.get(key).splitlines()) for key in self._segments(name))
        readable = len(self.log_readable(name))
        return readable, lines - readable

    def repair_reflog(self, name: str) -> tuple[int, int]:
        """Cut records that cannot be read out of a reflog; how many stay, how many go.

        A segment that is changed is kept whole under `quarantine/`.
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
                    self._set_aside(key, content)
                    self._backend.compare_and_swap(key, content, repaired)
        return kept, cut

    def _set_aside(self, key: str, content: bytes) -> None:
        number = 1
        while not self._backend.compare_and_swap(f"quarantine/{key}.{number}", None, content):
            number += 1

    def logged(self, namespace: str) -> tuple[str, ...]:
        """Names in a namespace that have a reflog, deleted refs included."""
        prefix = f"logs/{namespace}/"
        names = {
            e.key.removeprefix(prefix).rpartition("/~")[0] for e in self._backend.list(prefix[:-1])
        }
        return tuple(sorted(n for n in names if n))
