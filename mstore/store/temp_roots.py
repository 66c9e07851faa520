"""Temporary roots: objects that a live process needs, and gc must keep.

On disk a record lies in a `.lean` file, which vanishes with its process (feature `leans-1`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mstore.objects import ID_TYPES, Kind, ObjectId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mstore.backend import Backend


_LEAN_BYTES: Final = 34


def temp_root_record(id: ObjectId, depth: int = 255) -> bytes:
    """Encode a temporary root: an object that is needed in a copy of at most this depth."""
    return bytes((int(id.kind), depth)) + id.raw


def temporary_roots_of(backend: Backend) -> Iterator[tuple[ObjectId, int]]:
    """Yield the temporary roots of all live processes: objects, and the depth that a copy may have."""
    for records in backend.temporary_roots():
        for begin in range(0, len(records) - _LEAN_BYTES + 1, _LEAN_BYTES):
            kind, depth = records[begin], records[begin + 1]
            if kind in ID_TYPES:
                yield ID_TYPES[Kind(kind)](records[begin + 2 : begin + _LEAN_BYTES]), depth
