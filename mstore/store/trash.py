"""The trash: where a soft-deleted pack lies for a day before it is purged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mstore.errors import Corrupt, Unsupported
from mstore.frozen import frozen
from mstore.store.pack_keys import name_of_trash_key, pack_key, trash_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mstore.backend import Backend
    from mstore.objects import ObjectId


@frozen(slots=True)
class TrashedPack:
    """A pack in the trash: its key, its size, and when it came there, in seconds since 1970."""

    key: str
    size_bytes: int
    since_s: int


def packs_in_trash(backend: Backend) -> dict[bytes, TrashedPack]:
    """Return the packs in the trash, by name."""
    found = {}
    for entry in backend.list("trash"):
        known = name_of_trash_key(entry.key)
        if known is not None:
            found[known[0]] = TrashedPack(entry.key, entry.size_bytes, known[1])
    return found


def move_to_trash(backend: Backend, names: Iterable[bytes]) -> None:
    """Move packs to the trash."""
    now = int(time.time())
    backend.rename({pack_key(name): trash_key(name, now) for name in names})


def fetch_wanted(backend: Backend, wanted: Callable[[ObjectId], bool]) -> None:
    """Move the packs that hold `wanted` objects out of the trash; damaged ones stay there."""
    from mstore.store.pack import read_footer

    moves = {}
    for name, trashed in packs_in_trash(backend).items():
        try:
            _, frames = read_footer(backend, name, key=trashed.key)
        except (KeyError, Corrupt, Unsupported):
            continue
        if any(wanted(frame.head.id) for frame in frames):
            moves[trashed.key] = pack_key(name)
    if moves:
        backend.rename(moves)


def fetch_packs(backend: Backend, names: Iterable[bytes]) -> None:
    """Move packs out of the trash."""
    trash = packs_in_trash(backend)
    backend.rename({trash[name].key: pack_key(name) for name in names if name in trash})
