"""The store: objects by id, wherever they lie.

Hides packs, the catalog and which copy of an object is read. A full read ends
in the check of the object's id; a read of a range in the checksums of its
blocks. A damaged pack is set aside with its reason and the rest stays readable.
Codecs are loaded when a pack is first read: listing history takes only the
catalog.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from mstore.errors import (
    BadEncoding,
    Corrupt,
    NotFound,
    Unsupported,
    UsageError,
)
from mstore.frozen import frozen
from mstore.objects import (
    BlobId,
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
    hasher_of_blob,
    object_id,
)
from mstore.store.catalog import Catalog, DatabaseFailed, IndexedPack, Location
from mstore.store.identity import WRITE_FEATURES, StoreIdentity, read_identity, with_feature
from mstore.store.local import create_local, open_local
from mstore.store.refs import Refs
from mstore.store.temp_roots import temp_root_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from mstore.backend import Activity, Backend, Observer
    from mstore.store.frame import Frame
    from mstore.store.frame_reader import BaseRange, FrameReader

_Value = TypeVar("_Value")

_PACK_FOLDERS: Final = tuple(f"packs/{i:02x}" for i in range(256))
_FOOTERS_KEPT: Final = 64
_INDEXED_AT_ONCE: Final = 64
_ALONE_BYTES: Final = 4 << 20  # Frames of objects up to this size are read without the footer.
_BASE_BLOCKS_KEPT: Final = 2
_REFRESH_TRIES: Final = 10


@frozen(slots=True)
class TrashedPack:
    """A pack in the trash: its key, its size, and when it came there, in seconds since 1970."""

    key: str
    size_bytes: int
    since_s: int


class Store:
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
            self.backend: Backend = local
        else:
            self.backend = backend
        self.identity = identity if identity is not None else read_identity(self.backend)
        if set(self.identity.write) - WRITE_FEATURES:
            self.backend.read_only = True
        self.catalog = catalog if catalog is not None else Catalog(None)
        self.refs = Refs(self.backend)
        self._footers: OrderedDict[bytes, tuple[Frame, ...]] = OrderedDict()
        self._guard = threading.RLock()
        self._rebuilt = False
        self.damaged: dict[bytes, Corrupt | Unsupported] = {}

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
        """Where it is, for people: a folder's path, or what its backend calls itself."""
        return self.backend.location

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of this machine that hold it; a scan of a model directory leaves them out."""
        return self.backend.folders

    @property
    def path(self) -> Path:
        """The folder that it lies in, where it lies in one.

        Raises:
            UsageError: it lies in none.
        """
        if not self.folders:
            raise UsageError(f"the store {self.location} lies in no folder of this machine")
        return self.folders[0]

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.backend.read_only

    def activity(self) -> Activity | None:
        """What other commands do here at this moment; None where nobody can write."""
        return None if self.read_only else self.backend.activity()

    def sweep(self) -> int:
        """Remove temporary files whose owners are dead; how many went."""
        return self.backend.sweep()

    def close(self) -> None:
        """Close files. The store can still be used."""
        self.backend.close()
        self.catalog.close()

    # -- catalog

    def refresh(self) -> None:
        """Take in packs that came, forget those that went. Looks only at folders that changed."""
        with self._guard:
            try:
                self._refresh()
            except DatabaseFailed:
                self.rebuild()

    def rebuild(self) -> None:
        """Make the catalog anew."""
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
        # A pack that goes while it is being read went because what it held is elsewhere by now.
        for _ in range(_REFRESH_TRIES):
            if self._look_again():
                return

    def _look_again(self) -> bool:
        """Bring the catalog up to date; False where packs moved meanwhile."""
        stamps = self._change_tokens()
        stale = self.catalog.stale_folders(stamps)
        if not stale:
            return True
        from mstore.store.pack_keys import name_of_key

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
        # After that: the commits of a pack that was written anew are not read again.
        if gone:
            self.catalog.drop(gone)
        if not complete:
            return False
        # What went may have come back in a folder that was looked at before.
        if gone and self._change_tokens() != stamps:
            return False
        if not self.damaged:
            self.catalog.note_folders(stale)
        return True

    def _change_tokens(self) -> list[tuple[str, int | None]]:
        return [(folder, self.backend.change_token(folder)) for folder in _PACK_FOLDERS]

    def _indexed(self, name: bytes) -> IndexedPack | None:
        from mstore.store.pack import read_footer

        try:
            size, frames = read_footer(self.backend, name)
            return self._index_of(name, size, frames)
        except KeyError:
            return None  # It went while it was being read.
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
                        body = self._read_whole(self.reader_of(name, frame), frame.head.id)
                    commit = Commit.decode(body)
                except (Corrupt, BadEncoding, NotFound):
                    continue
                commits.append((frame.head.id, commit, body))
        objects = tuple(
            (f.head.id, i, f.offset, f.head.depth, f.head.raw_size) for i, f in enumerate(frames)
        )
        return IndexedPack(name, size, objects, tuple(commits), _sketches(frames))

    def index_pack(self, name: bytes) -> None:
        """Index a pack that was just published."""
        with self._guard:
            try:
                pack = self._indexed(name)
                if pack is not None:
                    self.catalog.add([pack])
                elif name in self.damaged:
                    raise self.damaged[name]
                else:
                    self.refresh()  # Whoever took it away already has put what it holds elsewhere.
            except DatabaseFailed:
                self.rebuild()

    def footer(self, name: bytes) -> tuple[Frame, ...]:
        """Frames of a pack.

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
        """Whether the store is known to hold an object (call `refresh` first to be up to date)."""
        with self._guard:
            return self.catalog.has(id)

    def link_of(self, id: ObjectId) -> tuple[int | None, ObjectId | None]:
        """Depth and delta base of the shallowest copy that is known of an object.

        The catalog answers for what is stored whole; a footer is read for the rest.
        """
        locations = self._locations(id)
        if not locations or locations[0].depth == 0:
            return (locations[0].depth if locations else None), None
        for reader in self.copies(id):
            return reader.frame.head.depth, reader.frame.head.base
        return None, None

    def size_of(self, id: ObjectId) -> int | None:
        """Raw bytes of an object, as its frame's head says, or None if it is not there."""
        locations = self._locations(id)
        return locations[0].raw_size if locations else None

    def find_similar(self, sketch: bytes, size_bytes: int, width: int) -> BlobId | None:
        """The blob of this size and element width whose sketch agrees most, if it does enough."""
        from mstore.codec import bands_of, most_alike

        try:
            with self._guard:
                near = self.catalog.sketched(bands_of(sketch, size_bytes, width))
        except DatabaseFailed:
            return None  # Whoever needs the catalog itself makes it anew.
        return most_alike(sketch, near)

    def base_range(self, id: ObjectId, depth: int) -> BaseRange:
        """A reader of ranges of a delta base, out of copies of less than `depth`.

        Safe in several threads. Raises (when it is called) Corrupt, NotFound.
        """
        return _BaseReader(self, id, depth).range

    def copies(
        self, id: ObjectId, *, below_depth: int = 1 << 30, known_only: bool = False
    ) -> Iterator[FrameReader]:
        """All copies of an object that can be opened, the shallowest first.

        Whoever asks for more than the catalog knows makes it look at the packs,
        then at the trash, and is made anew once where the object is in neither;
        after that the object is not there. A copy may be given twice, by its own
        head and by the footer.

        Args:
            id: of the object.
            below_depth: depth that a copy must not have, nor any greater.
            known_only: do not look for more than the catalog knows.
        """
        tried: set[tuple[bytes, int]] = set()
        for attempt in range(4):
            known = [at for at in self._locations(id) if at.depth < below_depth]
            for location in known:
                if (location.pack, location.frame) in tried:
                    continue
                tried.add((location.pack, location.frame))
                yield from self._readers_at(location, id)
                if self.backend.size(_pack_key(location.pack)) is None:
                    tried.discard((location.pack, location.frame))  # It may come back.
            if known_only:
                return
            if attempt == 0:
                self.refresh()
            elif attempt == 1 or known:
                self.undelete(lambda i: i == id)
            elif self._rebuilt:
                return
            else:
                self._rebuilt = True
                self.rebuild()

    def _readers_at(self, at: Location, id: ObjectId) -> Iterator[FrameReader]:
        """Readers of the copy at a place: by its own head, and if that will not do, by the footer."""
        frame = self._frame_alone(at, id)
        if frame is not None:
            yield self.reader_of(at.pack, frame)
        try:
            frames = self.footer(at.pack)
        except KeyError:
            return
        except (Corrupt, Unsupported) as error:
            self.damaged[at.pack] = error
            return
        if at.frame < len(frames) and frames[at.frame].head.id == id:
            yield self.reader_of(at.pack, frames[at.frame])

    def _frame_alone(self, at: Location, id: ObjectId) -> Frame | None:
        """A frame by its own head; None where the footer is at hand, or is the better way."""
        from mstore.store.pack import read_frame

        if at.pack in self._footers or at.raw_size > _ALONE_BYTES:
            return None
        try:
            frame = read_frame(self.backend, at.pack, at.offset)
        except (KeyError, Corrupt, Unsupported):
            return None
        head = frame.head
        return frame if (head.id, head.raw_size, head.depth) == (id, at.raw_size, at.depth) else None

    def reader_of(self, pack: bytes, frame: Frame) -> FrameReader:
        """A reader of one frame of a pack, its delta base resolved."""
        from mstore.store.frame_reader import FrameReader

        base = frame.head.base
        if base is None:
            return FrameReader(self.backend, pack, frame)
        return FrameReader(self.backend, pack, frame, _BaseReader(self, base, frame.head.depth).range)

    def _missing(self, id: ObjectId) -> NotFound | Corrupt:
        name = id.kind_name
        if self.damaged:
            packs = ", ".join(n.hex()[:12] for n in self.damaged)
            return Corrupt(f"{name} {id.short}", f"is not in any readable pack; damaged: {packs}")
        return NotFound(f"{name} {id.hex} is not in the store")

    # -- reading

    def stream(self, id: ObjectId) -> Iterator[Buffer]:
        """Raw bytes of an object in order; the last step is the check of its id.

        A block that is damaged in one copy is taken from the next.

        Raises:
            NotFound, Corrupt, Unsupported.
        """
        hasher = hasher_of_blob() if isinstance(id, BlobId) else None
        whole = bytearray() if hasher is None else None
        position, size, failure = 0, -1, None
        for reader in self.copies(id):
            head = reader.frame.head
            size = head.raw_size
            try:
                while position < size:
                    index = position >> head.block_log2
                    raw = memoryview(reader.block(index)).cast("B")
                    part = raw[position - (index << head.block_log2) :]
                    if hasher is not None:
                        hasher.update(part)
                    elif whole is not None:
                        whole += part
                    position += len(part)
                    yield part
            except (Corrupt, Unsupported, NotFound, KeyError) as error:
                failure = failure or error
                continue
            break
        if position != size:
            if isinstance(failure, KeyError) or failure is None:
                raise self._missing(id)
            raise failure
        found = hasher.digest() if hasher is not None else object_id(id.kind, bytes(whole or b"")).raw
        if found != id.raw:
            raise Corrupt(f"{id.kind_name} {id.hex}", "its content does not hash to its id")

    def _read_whole(self, reader: FrameReader, id: ObjectId) -> bytes:
        content = b"".join(reader.blocks())
        if object_id(id.kind, content) != id:
            raise Corrupt(f"{id.kind_name} {id.hex}", "its content does not hash to its id")
        return content

    def _from_any_copy(self, id: ObjectId, read: Callable[[FrameReader], _Value]) -> _Value:
        """What the first undamaged copy of an object gives; the first failure if none does."""
        failure: Exception | None = None
        for reader in self.copies(id):
            try:
                return read(reader)
            except (Corrupt, Unsupported, NotFound) as error:
                failure = failure or error
            except KeyError:
                continue
        raise failure if failure is not None else self._missing(id)

    def get(self, id: ObjectId) -> bytes:
        """All bytes of an object, checked against its id.

        Raises:
            NotFound, Corrupt, Unsupported.
        """
        return self._from_any_copy(id, lambda reader: self._read_whole(reader, id))

    def range(self, id: BlobId, offset: int, size: int) -> bytes:
        """Bytes of a blob, checked by the sums of their blocks.

        Raises:
            NotFound, Corrupt (also where the blob is shorter), Unsupported.
        """

        def read(reader: FrameReader) -> bytes:
            content = reader.range(offset, size)
            if len(content) != size:
                raise Corrupt(f"blob {id.short}", f"is shorter than {offset + size} bytes")
            return content

        return self._from_any_copy(id, read)

    def range_into(self, id: BlobId, offset: int, out: memoryview) -> None:
        """Fill `out` with bytes of a blob from `offset`, checked by the sums of their blocks.

        Raises:
            NotFound, Corrupt (also where the blob is shorter), Unsupported.
        """
        self._from_any_copy(id, lambda reader: reader.read_into(offset, out))

    # -- structured objects

    def commit(self, id: CommitId) -> Commit:
        """A commit. Raises NotFound, Corrupt."""
        try:
            body = self.catalog.body(id)
        except DatabaseFailed:
            self.rebuild()
            body = None
        if body is None or object_id(Kind.COMMIT, body) != id:
            body = self.get(id)
        return self._decoded(Commit.decode, body, id)

    def manifest(self, id: ManifestId) -> Manifest:
        """A manifest. Raises NotFound, Corrupt."""
        return self._decoded(Manifest.decode, self.get(id), id)

    def layout(self, id: LayoutId) -> Layout:
        """A layout. Raises NotFound, Corrupt."""
        return self._decoded(Layout.decode, self.get(id), id)

    def note(self, id: NoteId) -> Note:
        """A note. Raises NotFound, Corrupt."""
        return self._decoded(Note.decode, self.get(id), id)

    def tag(self, id: TagId) -> Tag:
        """A tag. Raises NotFound, Corrupt."""
        return self._decoded(Tag.decode, self.get(id), id)

    @staticmethod
    def _decoded(decode: Callable[[bytes, str], _Value], body: bytes, id: ObjectId) -> _Value:
        return decode(body, id.label)

    def commits_beginning_with(self, digits: str) -> list[CommitId]:
        """Commits whose id begins with some hex digits, brought up to date if none does."""
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

    def pack_names(self) -> list[bytes]:
        """Names of all packs on disk."""
        from mstore.store.pack_keys import name_of_key

        names = (name_of_key(entry.key) for entry in self.backend.list("packs"))
        return sorted(name for name in names if name is not None)

    def stored_bytes(self) -> int:
        """Bytes of all packs on disk."""
        return sum(entry.size_bytes for entry in self.backend.list("packs"))

    # -- what is leant on, and what is put away

    @contextlib.contextmanager
    def protecting(self, *ids: ObjectId) -> Iterator[None]:
        """Keep objects, and all that commits among them need, from being removed meanwhile.

        Nothing is kept in a store that cannot be written: there, nobody removes anything either.
        """
        if self.read_only:
            yield
            return
        with self.backend.open_temp_roots() as roots:
            roots.add(b"".join(temp_root_record(id) for id in ids))
            yield

    def lacks(self, temporary_roots: Iterable[tuple[ObjectId, int]]) -> list[ObjectId]:
        """Of objects, those without a copy on disk of at most some depth.

        The disk is asked, not the catalog: what was told to `roots` before this
        call, and is found by it, stays. What lies in the trash is brought back.
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
                there[at.pack] = self.backend.size(_pack_key(at.pack)) is not None
            return there[at.pack] and next(self._readers_at(at, id), None) is not None

        return [
            (id, depth)
            for id, depth in temporary_roots
            if not any(at.depth <= depth and is_at(id, at) for at in self._locations(id))
        ]

    def soft_delete(self, names: Iterable[bytes]) -> None:
        """Move packs to the trash, from where `undelete` fetches them."""
        from mstore.store.pack_keys import trash_key

        now = int(time.time())
        self.backend.rename({_pack_key(name): trash_key(name, now) for name in names})
        self.refresh()

    def trash(self) -> dict[bytes, TrashedPack]:
        """Packs in the trash, by name."""
        from mstore.store.pack_keys import name_of_trash_key

        found = {}
        for entry in self.backend.list("trash"):
            known = name_of_trash_key(entry.key)
            if known is not None:
                found[known[0]] = TrashedPack(entry.key, entry.size_bytes, known[1])
        return found

    def undelete(self, wanted: Callable[[ObjectId], bool]) -> None:
        """Fetch from the trash the packs that hold `wanted` objects.

        The packs are looked at again whether there were any or not: what somebody
        else fetched just before this look at the trash is known after it too.
        """
        if not self.read_only:
            self._fetch(wanted)
        self.refresh()

    def _fetch(self, wanted: Callable[[ObjectId], bool]) -> None:
        from mstore.store.pack import read_footer

        moves = {}
        for name, trashed in self.trash().items():
            try:
                _, frames = read_footer(self.backend, name, key=trashed.key)
            except (KeyError, Corrupt, Unsupported):
                continue
            if any(wanted(frame.head.id) for frame in frames):
                moves[trashed.key] = _pack_key(name)
        if moves:
            self.backend.rename(moves)

    def undelete_packs(self, names: Iterable[bytes]) -> None:
        """Fetch packs from the trash."""
        trash = self.trash()
        self.backend.rename({trash[n].key: _pack_key(n) for n in names if n in trash})
        self.refresh()

    def require(self, feature: str, *, reading: bool = False) -> None:
        """Have writers that lack a feature open this store for reading only, from now on.

        Args:
            feature: its name.
            reading: whoever lacks it is to refuse the store altogether.
        """
        if feature in (self.identity.read if reading else self.identity.write):
            return
        self.identity = with_feature(self.backend, feature, reading=reading)


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


def _pack_key(name: bytes) -> str:
    from mstore.store.pack_keys import pack_key

    return pack_key(name)


class _BaseReader:
    """Ranges of a delta base, out of copies shallower than the delta."""

    def __init__(self, store: Store, id: ObjectId, depth: int) -> None:
        self._store = store
        self._id = id
        self._depth = depth
        self._reader: FrameReader | None = None
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._guard = threading.Lock()

    def _open(self) -> FrameReader:
        if self._reader is None:
            self._reader = next(self._store.copies(self._id, below_depth=self._depth), None)
        if self._reader is None:
            raise Corrupt(
                self._id.label,
                f"no copy of depth below {self._depth}, which a delta needs",
            )
        return self._reader

    def range(self, offset: int, size: int) -> bytes:
        for _ in range(_REFRESH_TRIES):
            try:
                return self._read(self._open(), offset, size)
            except KeyError:
                # Its pack went while it was being read: what that held is elsewhere by now.
                self._store.refresh()
                with self._guard:
                    self._reader = None
                    self._recent.clear()
        raise NotFound(f"{self._id.kind_name} {self._id.hex} is not in the store")

    def _read(self, reader: FrameReader, offset: int, size: int) -> bytes:
        head = reader.frame.head
        end = min(offset + size, head.raw_size)
        if offset >= end:
            return b""
        parts = []
        for index in range(offset >> head.block_log2, ((end - 1) >> head.block_log2) + 1):
            start = index << head.block_log2
            parts.append(self._block(reader, index)[max(0, offset - start) : end - start])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, reader: FrameReader, index: int) -> bytes:
        # A few are kept: neighbours of an offset that is not aligned share one.
        block = self._recent.get(index)
        if block is None:
            block = bytes(reader.block(index))
            with self._guard:
                self._recent[index] = block
                while len(self._recent) > _BASE_BLOCKS_KEPT:
                    self._recent.popitem(last=False)
        return block


__all__ = [
    "Store",
    "TrashedPack",
]
