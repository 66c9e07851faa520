"""Tensors of a version: their names, their bytes, some of their rows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.errors import InvalidInput, NotFound, UsageError
from mstore.history.show import manifest_of
from mstore.modeldir.stored_tree import StoredFile, layouts_of
from mstore.objects import MODEL_ROLES
from mstore.text import near_hint, near_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from mstore.context import Context
    from mstore.objects import CommitId, ManifestFile, TensorEntry


_STRETCH_BYTES: Final = 8 << 20  # a whole number of blocks


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


def tensors(context: Context, id: CommitId) -> tuple[TensorRef, ...]:
    """Yield the tensors of a version, by file and place in it."""
    manifest = manifest_of(context, id)
    layouts = layouts_of(context.store, manifest)
    return tuple(
        TensorRef(file.path, t.name, t.dtype, t.shape, t.size_bytes, file.role)
        for file in manifest.files
        if file.path in layouts
        for t in layouts[file.path].tensors
    )


def read_tensor(
    context: Context,
    id: CommitId,
    name: str,
    *,
    path: str | None = None,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """Read a tensor's content, and only the blocks that it lies in.

    Args:
        context: the store, and the workspace if there is one.
        id: the version.
        name: its name.
        path: its file, where several have a tensor of this name.
        rows: only these of its first dimension, `(begin, end)`; of them only the
            blocks are read.

    Raises:
        NotFound: no such tensor; near names are listed.
        UsageError: several files have it, or it has no such rows.
        Corrupt: its bytes are damaged.
    """
    manifest = manifest_of(context, id)
    layouts = layouts_of(context.store, manifest)
    found: list[tuple[ManifestFile, TensorEntry]] = [
        (file, t)
        for file in manifest.files
        if file.path in layouts and path in (None, file.path)
        for t in layouts[file.path].tensors
        if t.name == name
    ]
    if not found:
        names = {t.name for layout in layouts.values() for t in layout.tensors}
        hint = near_hint(near_names(name, sorted(names)))
        raise NotFound(f"no tensor {name!r} in this version", hint=hint)
    chosen = [f for f in found if f[0].role in MODEL_ROLES] or found
    if len(chosen) > 1:
        raise UsageError(
            f"{len(chosen)} files have a tensor {name!r}",
            hint="name one: " + ", ".join(f.path for f, _ in chosen),
        )
    file, tensor = chosen[0]
    if tensor.end > file.size_bytes:
        raise InvalidInput(file.path, f"tensor {name!r} ends beyond the file")
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
    StoredFile(context.store, file).read_into(begin, memoryview(content))
    return Tensor(tensor.dtype, shape, content)


def fill_tensors(
    context: Context,
    id: CommitId,
    wanted: Sequence[tuple[TensorRef, memoryview]],
    *,
    threads: int | None = None,
) -> None:
    """Decode tensors into memory that the caller has, on all cores.

    Args:
        context: the store, and the workspace if there is one.
        id: the version.
        wanted: tensors, each with as many writable bytes as it has.
        threads: default: as many as there are cores.

    Raises:
        NotFound, Corrupt.
    """
    from concurrent.futures import ThreadPoolExecutor

    from mstore.fs.allocator import keep_freed_memory, take_pages

    keep_freed_memory()
    manifest = manifest_of(context, id)
    begins: dict[str, dict[str, int]] = {}
    for path, layout in layouts_of(context.store, manifest).items():
        begins[path] = {t.name: t.begin for t in layout.tensors}
    stretches: list[tuple[str, int, memoryview]] = []
    for ref, out in wanted:
        begin = begins[ref.path][ref.name]
        for offset in range(0, len(out), _STRETCH_BYTES):
            stretches.append((ref.path, begin + offset, out[offset : offset + _STRETCH_BYTES]))

    def fill(stretch: tuple[str, int, memoryview]) -> None:
        path, begin, out = stretch
        take_pages(out)
        StoredFile(context.store, manifest.by_path[path]).read_into(begin, out)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1, "mstore") as pool:
        list(pool.map(fill, stretches))
