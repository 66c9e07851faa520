"""Refs: with their reflogs, the only things in a store that change.

Source: docs/format.md section 7. A move is: take the lock, compare, put
the record of the move on disk, then the ref. A name is spelled with its
namespace here: `heads/main`, `tags/v1`, `notes/<64 hex>`.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_hexdigest

from mstore.errors import (
    Conflict,
    Corrupt,
    DurabilityUnknown,
    NotFound,
    RefMoved,
    StorageFailed,
)
from mstore.objects import ID_TYPES, ObjectId, folded
from mstore.store.ref_names import check_ref_name
from mstore.store.reflog import KINDS, Move, Record, Reflogs, RefValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_LINE: Final = re.compile(
    r"mstore-ref-1 ([1-9][0-9]{0,17}) (commit|tag|note) ([0-9a-f]{64}) ([0-9a-f]{16})\n"
)
_MAX_REF_BYTES: Final = 256


def _below(folder: str, part: str) -> str:
    return f"{folder}/{part}"


def _encode_ref(value: RefValue) -> bytes:
    body = f"mstore-ref-1 {value.generation} {value.target.kind_name} {value.target.hex}"
    return f"{body} {xxh3_64_hexdigest(body.encode())}\n".encode()


def parse_ref(content: bytes, where: str) -> RefValue:
    """Parse the content of a ref.

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
    return RefValue(ID_TYPES[KINDS[kind]].parse(target), int(generation))


class Refs(Reflogs):
    """The refs of a store.

    Args:
        backend: where they lie.
    """

    def read(self, name: str) -> RefValue | None:
        """Read the value of a ref; None if there is no such ref. Raises Corrupt."""
        try:
            content = self._backend.get(f"refs/{name}", size=_MAX_REF_BYTES + 1)
        except KeyError:
            return None
        return parse_ref(content, f"refs/{name}")

    def all(self, namespace: str) -> Mapping[str, RefValue]:
        """Read the refs of a namespace (`heads`, `tags`, `notes`), by name without it.

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
        """Yield the names in a namespace, sorted, damaged ones included."""
        prefix = f"refs/{namespace}"
        yield from sorted(e.key.removeprefix(prefix + "/") for e in self._backend.list(prefix))

    def damaged(self, namespace: str) -> Mapping[str, Corrupt]:
        """Return the damaged refs of a namespace, each with its error."""
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
        """Move a ref, or remove it (`new` None), if its target is still the expected one.

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
        """Record a move that was refused, so that gc keeps its object for a while.

        Args:
            name: the ref that another process had moved.
            id: the target that it was to get.
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

    # -- reflog

    def log(self, name: str) -> tuple[Record, ...]:
        """Read the moves of a ref, the latest first, without those that never happened.

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
