"""The index of a store's packs: the catalog kept in step with them, and the trash.

Hides when folders are listed again, how a damaged catalog is rebuilt, and packs that move
meanwhile: one that is removed during a read has its objects elsewhere.
A damaged pack is listed with its reason, and the rest stays readable.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from mstore.errors import BadEncoding, Corrupt, NotFound, Unsupported
from mstore.objects import BlobId, Commit, CommitId, ObjectId
from mstore.store.catalog import Catalog, DatabaseFailed, IndexedPack, Location
from mstore.store.pack_keys import PACK_FOLDERS, name_of_key
from mstore.store.trash import fetch_packs, fetch_wanted, move_to_trash, packs_in_trash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mstore.backend import Backend
    from mstore.store.frame import Frame
    from mstore.store.trash import TrashedPack

_FOOTERS_KEPT: Final = 64
_INDEXED_AT_ONCE: Final = 64
_REFRESH_TRIES: Final = 10


class PackIndex(ABC):
    """Packs, and which objects they hold.

    Args:
        backend: where the packs lie.
        catalog: the local index.

    Attributes:
        damaged: packs that cannot be read, each with the reason.
    """

    def __init__(self, backend: Backend, catalog: Catalog) -> None:
        self.backend = backend
        self.catalog = catalog
        self.damaged: dict[bytes, Corrupt | Unsupported] = {}
        self._footers: OrderedDict[bytes, tuple[Frame, ...]] = OrderedDict()
        self._guard = threading.RLock()
        self._rebuilt = False

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.backend.read_only

    @abstractmethod
    def _object_in(self, pack: bytes, frame: Frame) -> bytes:
        """Read the object in a frame, its delta base resolved. Raises Corrupt, NotFound."""

    # -- catalog

    def refresh(self) -> None:
        """Add new packs and drop those that are gone; lists only folders that changed."""
        with self._guard:
            try:
                self._refresh()
            except DatabaseFailed:
                self.rebuild()

    def rebuild(self) -> None:
        """Rebuild the catalog from all packs."""
        with self._guard:
            self.catalog.reset()
            self._footers.clear()
            try:
                self._refresh()
            except DatabaseFailed:
                # A full disk, most likely: gc must work there.
                self.catalog.reset(in_memory=True)
                self._refresh()

    def _refresh(self) -> None:
        # A pack that is removed during a read has its objects elsewhere by now.
        for _ in range(_REFRESH_TRIES):
            if self._look_again():
                return

    def _look_again(self) -> bool:
        """Update the catalog; False if packs moved meanwhile."""
        stamps = self._change_tokens()
        stale = self.catalog.stale_folders(stamps)
        if not stale:
            return True
        known = self.catalog.packs()
        prefixes = {bytes.fromhex(folder.removeprefix("packs/")) for folder, _ in stale}
        there: dict[bytes, int] = {}
        for folder, _ in stale:
            for entry in self.backend.list(folder):
                name = name_of_key(entry.key)
                if name is not None:
                    there[name] = entry.size_bytes
        gone = [name for name in known if name[:1] in prefixes and name not in there]
        new = [name for name in sorted(there) if name not in known]
        complete = True
        # A few at a time: what is known stays known where this is killed.
        for begin in range(0, len(new), _INDEXED_AT_ONCE):
            names = new[begin : begin + _INDEXED_AT_ONCE]
            packs = {name: self._indexed(name) for name in names}
            self.catalog.add(pack for pack in packs.values() if pack is not None)
            complete &= all(packs[name] is not None or name in self.damaged for name in names)
        # After that: the commits of a rewritten pack are not read again.
        if gone:
            self.catalog.drop(gone)
        if not complete:
            return False
        # It may have been restored in a folder that was listed before.
        if gone and self._change_tokens() != stamps:
            return False
        if not self.damaged:
            self.catalog.note_folders(stale)
        return True

    def _change_tokens(self) -> list[tuple[str, int | None]]:
        return [(folder, self.backend.change_token(folder)) for folder in PACK_FOLDERS]

    def _indexed(self, name: bytes) -> IndexedPack | None:
        from mstore.store.pack import read_footer

        try:
            size, frames = read_footer(self.backend, name)
            return self._index_of(name, size, frames)
        except KeyError:
            return None  # It was removed during the read.
        except (Corrupt, Unsupported) as error:
            self.damaged[name] = error
            return None

    def _index_of(self, name: bytes, size: int, frames: tuple[Frame, ...]) -> IndexedPack:
        commits = []
        for frame in frames:
            if isinstance(frame.head.id, CommitId):
                try:
                    body = self.catalog.body(frame.head.id)
                    if body is None:
                        body = self._object_in(name, frame)
                    commit = Commit.decode(body)
                except (Corrupt, BadEncoding, NotFound):
                    continue
                commits.append((frame.head.id, commit, body))
        objects = tuple(
            (f.head.id, i, f.offset, f.head.depth, f.head.raw_size) for i, f in enumerate(frames)
        )
        return IndexedPack(name, size, objects, tuple(commits), _sketches(frames))

    def index_pack(self, name: bytes) -> None:
        """Add a pack that was just published."""
        with self._guard:
            try:
                pack = self._indexed(name)
                if pack is not None:
                    self.catalog.add([pack])
                elif name in self.damaged:
                    raise self.damaged[name]
                else:
                    self.refresh()  # It was removed: its objects are elsewhere.
            except DatabaseFailed:
                self.rebuild()

    def footer(self, name: bytes) -> tuple[Frame, ...]:
        """Return the frames of a pack.

        Raises:
            KeyError: there is no such pack.
            Corrupt, Unsupported: it cannot be read.
        """
        with self._guard:
            frames = self._footers.get(name)
            if frames is not None:
                self._footers.move_to_end(name)
                return frames
        from mstore.store.pack import read_footer

        _, frames = read_footer(self.backend, name)
        with self._guard:
            self._footers[name] = frames
            while len(self._footers) > _FOOTERS_KEPT:
                self._footers.popitem(last=False)
        return frames

    # -- finding

    def _locations(self, id: ObjectId) -> tuple[Location, ...]:
        with self._guard:
            try:
                return self.catalog.find(id)
            except DatabaseFailed:
                self.rebuild()
                return self.catalog.find(id)

    def has(self, id: ObjectId) -> bool:
        """Return whether the store is known to hold an object (`refresh` first to be up to date)."""
        with self._guard:
            return self.catalog.has(id)

    def size_of(self, id: ObjectId) -> int | None:
        """Return the raw size of an object, as its frame's head says; None if it is not there."""
        locations = self._locations(id)
        return locations[0].raw_size if locations else None

    def pack_names(self) -> list[bytes]:
        """Return the names of all packs on disk."""
        names = (name_of_key(entry.key) for entry in self.backend.list("packs"))
        return sorted(name for name in names if name is not None)

    def stored_bytes(self) -> int:
        """Return the bytes of all packs on disk."""
        return sum(entry.size_bytes for entry in self.backend.list("packs"))

    # -- the trash

    def soft_delete(self, names: Iterable[bytes]) -> None:
        """Move packs to the trash; `undelete` can restore them."""
        move_to_trash(self.backend, names)
        self.refresh()

    def trash(self) -> dict[bytes, TrashedPack]:
        """Return the packs in the trash, by name."""
        return packs_in_trash(self.backend)

    def undelete(self, wanted: Callable[[ObjectId], bool]) -> None:
        """Move the packs that hold `wanted` objects out of the trash.

        The packs are listed again in any case: another process may have moved one out of
        the trash just before.
        """
        if not self.read_only:
            self._fetch(wanted)
        self.refresh()

    def _fetch(self, wanted: Callable[[ObjectId], bool]) -> None:
        fetch_wanted(self.backend, wanted)

    def undelete_packs(self, names: Iterable[bytes]) -> None:
        """Move packs out of the trash."""
        fetch_packs(self.backend, names)
        self.refresh()


def _sketches(frames: tuple[Frame, ...]) -> tuple[tuple[BlobId, bytes, tuple[bytes, ...]], ...]:
    sketched = [(f.head, f.head.id, f.sketch) for f in frames if f.sketch is not None]
    if not sketched:
        return ()
    from mstore.codec import bands_of

    return tuple(
        (id, sketch, bands_of(sketch, head.raw_size, head.width))
        for head, id, sketch in sketched
        if isinstance(id, BlobId)
    )
