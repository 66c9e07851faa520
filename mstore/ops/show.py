"""show, ls, cat, and reading tensors: looking into one version without writing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mstore.errors import Corrupt, NotFound, Refused, UsageError
from mstore.objects import MODEL_ROLES
from mstore.ops.log import LogEntry, decorations, entry_of
from mstore.ops.revision import resolve
from mstore.ops.sizes import sizes_of_commit
from mstore.ops.stored import StoredFile, layouts_of
from mstore.store import notes_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from mstore.objects import BlobId, Manifest, ManifestFile, Note, TensorEntry
    from mstore.ops.place import Place
    from mstore.store import Store

MAX_TENSOR_BYTES = 1 << 40


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
    file = file_of(manifest_of(place, revision), path)
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


def read_tensor(place: Place, revision: str, name: str, *, path: str | None = None) -> Tensor:
    """A tensor's content; only the blocks that it lies in are read.

    Args:
        place: where.
        revision: the version.
        name: its name.
        path: its file, where several have a tensor of this name.

    Raises:
        NotFound: no such tensor; near names are listed.
        UsageError: several files have it.
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
    models = [f for f in found if f[0].role in MODEL_ROLES]
    chosen = models or found
    if len(chosen) > 1:
        raise UsageError(
            f"{len(chosen)} files have a tensor {name!r}",
            hint="name one: " + ", ".join(f.path for f, _ in chosen),
        )
    file, tensor = chosen[0]
    return tensor_of(place, file, tensor)


def tensor_of(place: Place, file: ManifestFile, tensor: TensorEntry) -> Tensor:
    """The content of a tensor that a layout names. Raises Corrupt, Refused."""
    if tensor.end > file.size_bytes:
        raise Refused(file.path, f"tensor {tensor.name!r} ends beyond the file")
    content = StoredFile(place.store, file).read(tensor.begin, tensor.size_bytes)
    return Tensor(tensor.dtype, tensor.shape, content)


def plain_file(file: ManifestFile) -> dict[str, Any]:
    """A file for `--json`."""
    return {"path": file.path, "role": file.role, "size_bytes": file.size_bytes}
