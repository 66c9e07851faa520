"""show, ls, cat, and reading tensors: looking into one version without writing it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mstore.errors import Corrupt, NotFound, Refused, UsageError
from mstore.history.log import LogEntry, decorations, entry_of
from mstore.history.query.resolve import resolve
from mstore.history.sizes import sizes_of_commit
from mstore.modeldir.stored_tree import StoredFile, layouts_of
from mstore.objects import MODEL_ROLES
from mstore.store import forgotten_since, notes_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from mstore.context import Place
    from mstore.objects import BlobId, Manifest, ManifestFile, Note, TensorEntry
    from mstore.store import Store

_STRETCH_BYTES: Final = 8 << 20  # a whole number of blocks


@dataclass(frozen=True)
class Shown:
    """A version in full."""

    entry: LogEntry
    manifest: Manifest
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor of a version.

    Args:
        path: its file.
        name: its name in the file.
        dtype: safetensors' spelling.
        shape: elements by dimension.
        size_bytes: its size.
        role: of its file.
    """

    path: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    role: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's content, without any library: dtype, shape and a buffer (C order, little-endian)."""

    dtype: str
    shape: tuple[int, ...]
    buffer: Buffer

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}, {list(self.shape)}, {memoryview(self.buffer).nbytes} bytes)"


def show(place: Place, revision: str) -> Shown:
    """A version in full. Raises RevisionNotFound, Ambiguous, Corrupt."""
    id = resolve(place, revision).id
    commit = place.store.commit(id)
    entry = entry_of(place, id, commit, decorations(place).get(id, ()))
    sizes_of_commit(place.store, id, commit)
    return Shown(entry, place.store.manifest(commit.manifest), notes_on(place.store, id))


def manifest_of(place: Place, revision: str) -> Manifest:
    """The manifest of a version. Raises RevisionNotFound, Ambiguous, Corrupt."""
    return place.store.manifest(place.store.commit(resolve(place, revision).id).manifest)


def file_of(manifest: Manifest, path: str) -> ManifestFile:
    """A file of a version. Raises NotFound, with near names."""
    file = manifest.by_path.get(path)
    if file is None:
        import difflib

        near = difflib.get_close_matches(path, manifest.by_path, n=3)
        raise NotFound(
            f"no file {path!r} in this version",
            hint="near it: " + ", ".join(near) if near else "`mstore ls REV` lists its files",
        )
    return file


def cat(place: Place, revision: str, path: str) -> Iterator[Buffer]:
    """Bytes of a file in a version, in order, each blob checked against its id at its end.

    Raises:
        NotFound: there is no such file.
        Corrupt: a blob is damaged; what came before it has been given already.
    """
    id = resolve(place, revision).id
    commit = place.store.commit(id)
    file = file_of(place.store.manifest(commit.manifest), path)
    for role, time in forgotten_since(place.store, id):
        if role == file.role:
            raise NotFound(
                f"{path} of {id.short} was forgotten on {time.iso()[:10]}, with its other {role}"
            )
    return _streamed(place.store, file)


def _streamed(store: Store, file: ManifestFile) -> Iterator[Buffer]:
    uses: dict[BlobId, int] = {}
    for segment in file.segments:
        uses[segment.blob] = uses.get(segment.blob, 0) + 1
    mixed: dict[BlobId, bytes] = {}
    for segment in file.segments:
        if uses[segment.blob] == 1 and segment.offset == 0:
            left = segment.length
            # To its end, even where less is due: the check of the id comes last.
            for part in store.stream(segment.blob):
                view = memoryview(part).cast("B")[:left]
                left -= len(view)
                if len(view):
                    yield view
            if left:
                raise Corrupt(
                    f"blob {segment.blob.short}", f"is {left} bytes shorter than {file.path} needs"
                )
            continue
        # Bytes between tensors: one blob, a few MiB at most, used in many places.
        if segment.blob not in mixed:
            mixed[segment.blob] = store.get(segment.blob)
        content = mixed[segment.blob][segment.offset : segment.offset + segment.length]
        if len(content) != segment.length:
            raise Corrupt(f"blob {segment.blob.short}", f"ends before what {file.path} needs of it")
        yield content


def tensors(place: Place, revision: str) -> tuple[TensorRef, ...]:
    """Tensors of a version, by file and place in it."""
    manifest = manifest_of(place, revision)
    layouts = layouts_of(place.store, manifest)
    return tuple(
        TensorRef(file.path, t.name, t.dtype, t.shape, t.size_bytes, file.role)
        for file in manifest.files
        if file.path in layouts
        for t in layouts[file.path].tensors
    )


def read_tensor(
    place: Place,
    revision: str,
    name: str,
    *,
    path: str | None = None,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """A tensor's content; only the blocks that it lies in are read.

    Args:
        place: where.
        revision: the version.
        name: its name.
        path: its file, where several have a tensor of this name.
        rows: only these of its first dimension, `(begin, end)`; of them only the
            blocks are read.

    Raises:
        NotFound: no such tensor; near names are listed.
        UsageError: several files have it, or it has no such rows.
        Corrupt: its bytes are damaged.
    """
    manifest = manifest_of(place, revision)
    layouts = layouts_of(place.store, manifest)
    found: list[tuple[ManifestFile, TensorEntry]] = [
        (file, t)
        for file in manifest.files
        if file.path in layouts and path in (None, file.path)
        for t in layouts[file.path].tensors
        if t.name == name
    ]
    if not found:
        import difflib

        names = {t.name for layout in layouts.values() for t in layout.tensors}
        near = difflib.get_close_matches(name, names, n=3)
        raise NotFound(
            f"no tensor {name!r} in this version", hint="near it: " + ", ".join(near) if near else None
        )
    chosen = [f for f in found if f[0].role in MODEL_ROLES] or found
    if len(chosen) > 1:
        raise UsageError(
            f"{len(chosen)} files have a tensor {name!r}",
            hint="name one: " + ", ".join(f.path for f, _ in chosen),
        )
    file, tensor = chosen[0]
    if tensor.end > file.size_bytes:
        raise Refused(file.path, f"tensor {name!r} ends beyond the file")
    begin, end, shape = tensor.begin, tensor.end, tensor.shape
    if rows is not None:
        if not shape or not 0 <= rows[0] <= rows[1] <= shape[0]:
            raise UsageError(
                f"tensor {name!r} of shape {list(shape)} has no rows {rows[0]} to {rows[1]}"
            )
        row_bytes = tensor.size_bytes // shape[0] if shape[0] else 0
        begin, end = begin + rows[0] * row_bytes, begin + rows[1] * row_bytes
        shape = (rows[1] - rows[0], *shape[1:])
    content = bytearray(end - begin)
    StoredFile(place.store, file).read_into(begin, memoryview(content))
    return Tensor(tensor.dtype, shape, content)


def fill_tensors(
    place: Place,
    revision: str,
    wanted: Sequence[tuple[TensorRef, memoryview]],
    *,
    threads: int | None = None,
) -> None:
    """Decode tensors into memory that the caller has, on all cores.

    Args:
        place: where.
        revision: the version.
        wanted: tensors, each with as many writable bytes as it has.
        threads: default: as many as there are cores.

    Raises:
        NotFound, Corrupt.
    """
    from concurrent.futures import ThreadPoolExecutor

    from mstore.fs.allocator import keep_freed_memory, take_pages

    keep_freed_memory()
    manifest = manifest_of(place, revision)
    begins: dict[str, dict[str, int]] = {}
    for path, layout in layouts_of(place.store, manifest).items():
        begins[path] = {t.name: t.begin for t in layout.tensors}
    stretches: list[tuple[str, int, memoryview]] = []
    for ref, out in wanted:
        begin = begins[ref.path][ref.name]
        for offset in range(0, len(out), _STRETCH_BYTES):
            stretches.append((ref.path, begin + offset, out[offset : offset + _STRETCH_BYTES]))

    def fill(stretch: tuple[str, int, memoryview]) -> None:
        path, begin, out = stretch
        take_pages(out)
        StoredFile(place.store, manifest.by_path[path]).read_into(begin, out)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1, "mstore") as pool:
        list(pool.map(fill, stretches))


def plain_file(file: ManifestFile) -> dict[str, Any]:
    """A file for `--json`."""
    return {"path": file.path, "role": file.role, "size_bytes": file.size_bytes}
