"""The store: objects by id, refs, and what running commands need, over any backend.

Three layers, each of which knows only those below: `PackIndex` (which pack holds what),
`ObjectReader` (bytes by id, out of any copy), `Store` (commits and other objects as values,
identity, refs, temporary roots). Codecs are loaded when a pack is first read: listing
history takes only the catalog.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mstore.errors import UsageError
from mstore.objects import (
    Commit,
    CommitId,
    Kind,
    Layout,
    LayoutId,
    Manifest,
    ManifestId,
    Note,
    NoteId,
    ObjectId,
    Tag,
    TagId,
    object_id,
)
from mstore.store.catalog import Catalog, DatabaseFailed, Location
from mstore.store.identity import WRITE_FEATURES, StoreIdentity, read_identity, with_feature
from mstore.store.local import create_local, open_local
from mstore.store.pack_keys import pack_key
from mstore.store.reader import ObjectReader
from mstore.store.refs import Refs
from mstore.store.temp_roots import temp_root_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mstore.backend import Activity, Backend, Observer

_Value = TypeVar("_Value")


class Store(ObjectReader):
    """An open store.

    Args:
        backend: where its bytes lie. (A folder, as in 0.2: use `Store.at`.)
        catalog: its local index; None keeps one in memory.
        identity: what its store.json says, if that was read already.
        catalog_path, observe: as in 0.2, with a folder: use `Store.at`.

    Raises:
        NoStore: the backend holds none.
        Unsupported: it needs features that this version lacks.
        Corrupt: store.json cannot be read.
    """

    def __init__(
        self,
        backend: Backend | Path | str,
        catalog: Catalog | None = None,
        *,
        identity: StoreIdentity | None = None,
        catalog_path: Callable[[str], Path | None] | None = None,
        observe: Observer | None = None,
    ) -> None:
        if isinstance(backend, str | os.PathLike):
            warnings.warn("Store(path) is now Store.at(path)", DeprecationWarning, stacklevel=2)
            local, identity = open_local(Path(backend), observe=observe)
            catalog = Catalog(catalog_path(identity.id)) if catalog_path is not None else None
            backend = local
        super().__init__(backend, catalog if catalog is not None else Catalog(None))
        self.identity = identity if identity is not None else read_identity(backend)
        if set(self.identity.write) - WRITE_FEATURES:
            backend.read_only = True
        self.refs = Refs(backend)

    @classmethod
    def at(
        cls,
        path: Path,
        *,
        catalog_path: Callable[[str], Path | None] = lambda id: None,
        observe: Observer | None = None,
    ) -> Store:
        """Open the store in a folder.

        Args:
            path: the folder.
            catalog_path: where its catalog lies, given its id; None keeps one in memory.
            observe: is called with each call of the backend; for tests and counts.

        Raises:
            NoStore: there is none at `path`.
            Unsupported: it needs features that this version lacks.
            Corrupt: store.json cannot be read.
        """
        backend, identity = open_local(path, observe=observe)
        return cls(backend, Catalog(catalog_path(identity.id)), identity=identity)

    @classmethod
    def create(cls, path: Path, *, shared: bool = False) -> None:
        """Make an empty store in a folder.

        Raises:
            InvalidInput: there is one, or the folder holds something else.
            StorageFailed: the system failed.
        """
        create_local(path, shared=shared)

    # -- where it is

    @property
    def location(self) -> str:
        """Its location, for messages: a folder's path, or the name of its backend."""
        return self.backend.location

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of this machine that hold it; a scan of a model directory leaves them out."""
        return self.backend.folders

    @property
    def path(self) -> Path:
        """The folder that it lies in.

        Raises:
            UsageError: it lies in none.
        """
        if not self.folders:
            raise UsageError(f"the store {self.location} is not in a folder of this machine")
        return self.folders[0]

    def activity(self) -> Activity | None:
        """Return what other commands are doing here now; None if the store is read-only."""
        return None if self.read_only else self.backend.activity()

    def sweep(self) -> int:
        """Remove temporary files whose owners are dead, and return how many."""
        return self.backend.sweep()

    def close(self) -> None:
        """Close files. The store can still be used."""
        self.backend.close()
        self.catalog.close()

    # -- structured objects

    def commit(self, id: CommitId) -> Commit:
        """Read a commit. Raises NotFound, Corrupt."""
        try:
            body = self.catalog.body(id)
        except DatabaseFailed:
            self.rebuild()
            body = None
        if body is None or object_id(Kind.COMMIT, body) != id:
            body = self.get(id)
        return self._decoded(Commit.decode, body, id)

    def manifest(self, id: ManifestId) -> Manifest:
        """Read a manifest. Raises NotFound, Corrupt."""
        return self._decoded(Manifest.decode, self.get(id), id)

    def layout(self, id: LayoutId) -> Layout:
        """Read a layout. Raises NotFound, Corrupt."""
        return self._decoded(Layout.decode, self.get(id), id)

    def note(self, id: NoteId) -> Note:
        """Read a note. Raises NotFound, Corrupt."""
        return self._decoded(Note.decode, self.get(id), id)

    def tag(self, id: TagId) -> Tag:
        """Read a tag. Raises NotFound, Corrupt."""
        return self._decoded(Tag.decode, self.get(id), id)

    @staticmethod
    def _decoded(decode: Callable[[bytes, str], _Value], body: bytes, id: ObjectId) -> _Value:
        return decode(body, id.label)

    def commits_beginning_with(self, digits: str) -> list[CommitId]:
        """Return the commits whose id begins with some hex digits, after a refresh if none is known."""
        padded = len(digits) % 2
        low = bytes.fromhex(digits + "0" * padded).ljust(32, b"\0")
        high = bytes.fromhex(digits + "f" * padded).ljust(32, b"\xff")
        found = self.catalog.beginning_with(low, high, Kind.COMMIT)
        if not found:
            self.refresh()
            found = self.catalog.beginning_with(low, high, Kind.COMMIT)
        if not found:
            self.undelete(lambda id: isinstance(id, CommitId) and low <= id.raw <= high)
            found = self.catalog.beginning_with(low, high, Kind.COMMIT)
        return [CommitId(raw) for raw in found]

    # -- what running commands need

    @contextlib.contextmanager
    def protecting(self, *ids: ObjectId) -> Iterator[None]:
        """Keep objects, and all that commits among them need, from gc while the context lasts.

        In a read-only store this does nothing.
        """
        if self.read_only:
            yield
            return
        with self.backend.open_temp_roots() as roots:
            roots.add(b"".join(temp_root_record(id) for id in ids))
            yield

    def lacks(self, temporary_roots: Iterable[tuple[ObjectId, int]]) -> list[ObjectId]:
        """Return those of some objects that have no copy on disk of at most the given depth.

        The disk is asked, not the catalog. An object that was registered as a temporary
        root before this call, and is found by it, stays; from the trash it is restored.
        """
        missing = self._not_on_disk(temporary_roots)
        if missing:
            self.refresh()
            missing = self._not_on_disk(missing)
        if missing:
            wanted = {id for id, _ in missing}
            self.undelete(wanted.__contains__)
            missing = self._not_on_disk(missing)
        return [id for id, _ in missing]

    def _not_on_disk(
        self, temporary_roots: Iterable[tuple[ObjectId, int]]
    ) -> list[tuple[ObjectId, int]]:
        there: dict[bytes, bool] = {}

        def is_at(id: ObjectId, at: Location) -> bool:
            # Neither the catalog nor an open file is the disk: a power cut, or gc, may have passed.
            if at.pack not in there:
                there[at.pack] = self.backend.size(pack_key(at.pack)) is not None
            return there[at.pack] and next(self._readers_at(at, id), None) is not None

        return [
            (id, depth)
            for id, depth in temporary_roots
            if not any(at.depth <= depth and is_at(id, at) for at in self._locations(id))
        ]

    def require(self, feature: str, *, reading: bool = False) -> None:
        """Have writers that lack a feature open this store for reading only, from now on.

        Args:
            feature: its name.
            reading: readers that lack it refuse the store, too.
        """
        if feature in (self.identity.read if reading else self.identity.write):
            return
        self.identity = with_feature(self.backend, feature, reading=reading)


__all__ = ["Store"]
