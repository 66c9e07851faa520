"""The files of a version, read out of the store as if they lay on a disk.

Hides that a file is a row of segments of blobs. A range is checked by the sums of
the blocks it lies in; a whole file by the ids of its blobs. Writes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from mstore.errors import Corrupt, NotFound
from mstore.formats import describe
from mstore.objects import MODEL_ROLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mstore.formats import Facts
    from mstore.modeldir.digests import ReadRange
    from mstore.objects import BlobId, Layout, LayoutId, Manifest, ManifestFile
    from mstore.store import Store

_CHUNK_BYTES: Final = 8 << 20
_WINDOW_BYTES: Final = 1 << 20
_WINDOWS_KEPT: Final = 2


class StoredFile:
    """Random access to a file of a version; a `formats.ByteSource`.

    Args:
        store: where its blobs are.
        file: its entry in a manifest.
    """

    def __init__(self, store: Store, file: ManifestFile) -> None:
        self.name = file.path
        self.size_bytes = file.size_bytes
        self._store = store
        # Empty segments hold nothing, and would only make several begin at one byte.
        self._segments = [s for s in file.segments if s.length]
        self._begins = [0, *accumulate(s.length for s in self._segments)]
        self._used: dict[BlobId, int] = {}
        for segment in self._segments:
            end = segment.offset + segment.length
            self._used[segment.blob] = max(end, self._used.get(segment.blob, 0))
        self._windows: OrderedDict[tuple[BlobId, int], bytes] = OrderedDict()

    def read(self, offset: int, size: int, /) -> bytes:
        """Read exactly `size` bytes from `offset`.

        Raises:
            Corrupt: the file ends before, or blocks are damaged.
            NotFound, Unsupported: a blob is not there, or is coded in an unknown way.
        """
        end = offset + size
        if offset < 0 or size < 0 or end > self.size_bytes:
            raise Corrupt(self.name, f"has no bytes {offset} to {end}; it ends at {self.size_bytes}")
        if size == 0:
            return b""
        parts = []
        index = bisect_right(self._begins, offset) - 1
        while offset < end:
            segment, begin = self._segments[index], self._begins[index]
            length = min(end, begin + segment.length) - offset
            parts.append(self._range(segment.blob, segment.offset + offset - begin, length))
            offset += length
            index += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, offset: int, out: memoryview) -> None:
        """Fill `out` with the file's bytes from `offset`, decoded in place.

        Raises:
            Corrupt, NotFound, Unsupported: as `read`.
        """
        end, position = offset + len(out), 0
        if offset < 0 or end > self.size_bytes:
            raise Corrupt(self.name, f"has no bytes {offset} to {end}; it ends at {self.size_bytes}")
        index = bisect_right(self._begins, offset) - 1
        while position < len(out):
            segment, begin = self._segments[index], self._begins[index]
            within = offset + position - begin
            length = min(len(out) - position, segment.length - within)
            part = out[position : position + length]
            if length < _WINDOW_BYTES:
                part[:] = self._range(segment.blob, segment.offset + within, length)
            else:
                self._store.range_into(segment.blob, segment.offset + within, part)
            position += length
            index += 1

    def _range(self, blob: BlobId, offset: int, length: int) -> bytes:
        index = offset // _WINDOW_BYTES
        begin = index * _WINDOW_BYTES
        if offset + length > begin + _WINDOW_BYTES or length == _WINDOW_BYTES:
            return self._store.range(blob, offset, length)
        # Hundreds of small tensors lie in one block; decoding it for each would take seconds.
        window = self._windows.get((blob, index))
        if window is None:
            size = min(_WINDOW_BYTES, self._used[blob] - begin)
            window = self._windows[blob, index] = self._store.range(blob, begin, size)
            while len(self._windows) > _WINDOWS_KEPT:
                self._windows.popitem(last=False)
        return window[offset - begin : offset - begin + length]

    def chunks(self) -> Iterator[bytes]:
        """Read the file in order, a few MiB at a time. Raises as `read` does."""
        for offset in range(0, self.size_bytes, _CHUNK_BYTES):
            yield self.read(offset, min(_CHUNK_BYTES, self.size_bytes - offset))


class StoredFolder:
    """The files of a version by path; a `formats.FolderSource`.

    Args:
        store: where they are.
        manifest: the files.
    """

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self._store = store
        self._manifest = manifest

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all files."""
        return tuple(f.path for f in self._manifest.files)

    def _file(self, path: str) -> ManifestFile:
        file = self._manifest.by_path.get(path)
        if file is None:
            raise NotFound(f"no file {path} in this version")
        return file

    def size_bytes(self, path: str, /) -> int:
        """Return the size of a file in bytes. Raises NotFound."""
        return self._file(path).size_bytes

    def read(self, path: str, /) -> bytes:
        """Read a whole file, each blob checked against its id.

        Raises:
            NotFound, Corrupt, Unsupported.
        """
        segments = self._file(path).segments
        last_use = {s.blob: i for i, s in enumerate(segments)}
        whole: dict[BlobId, bytes] = {}
        parts = []
        for index, segment in enumerate(segments):
            content = whole.get(segment.blob)
            if content is None:
                content = whole[segment.blob] = self._store.get(segment.blob)
            end = segment.offset + segment.length
            if end > len(content):
                raise Corrupt(
                    f"blob {segment.blob.short}", f"ends before byte {end}, which {path} needs"
                )
            is_whole = segment.length == len(content)
            parts.append(content if is_whole else content[segment.offset : end])
            if last_use[segment.blob] == index:
                del whole[segment.blob]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def file(self, path: str) -> StoredFile:
        """Return one file, for ranges of it. Raises NotFound."""
        return StoredFile(self._store, self._file(path))

    @contextmanager
    def open(self, path: str) -> Iterator[ReadRange]:
        """Return one file's `read`, a `modeldir.digests.OpenRange`. Raises NotFound."""
        yield self.file(path).read


def layouts_of(
    store: Store, manifest: Manifest, *, roles: Collection[str] | None = None
) -> dict[str, Layout]:
    """Return the layouts of a version's files, by path.

    Args:
        store: where they are.
        manifest: the version's.
        roles: of the files to look at; None: all. (The layout of an optimizer's
            state has thousands of tensors that most questions do not touch.)

    Raises:
        NotFound, Corrupt, Unsupported.
    """
    loaded: dict[LayoutId, Layout] = {}
    found = {}
    for file in manifest.files:
        if file.layout is None or (roles is not None and file.role not in roles):
            continue
        if file.layout not in loaded:
            loaded[file.layout] = store.layout(file.layout)
        found[file.path] = loaded[file.layout]
    return found


def facts_of_manifest(store: Store, manifest: Manifest) -> Facts:
    """Read the facts of a version from its files (not those that its commit recorded).

    Raises:
        NotFound, Corrupt, Unsupported. Broken JSON gives a warning in the facts.
    """
    layouts = layouts_of(store, manifest, roles=MODEL_ROLES)
    return describe(StoredFolder(store, manifest), layouts)


__all__ = ["StoredFile", "StoredFolder", "facts_of_manifest", "layouts_of"]
