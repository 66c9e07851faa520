"""The identities of a model directory's tensors: their digests, and its weights ids.

Hides when a digest is a blob's id already, so that no byte is read for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from mstore.objects import (
    BlobId,
    WeightsId,
    blob_id,
    hasher_of_blob,
    holds_tensors,
    tensor_blobs,
    weights_id_of,
)

if TYPE_CHECKING:
    from mstore.objects import Layout, ManifestFile, TensorEntry

ReadRange = Callable[[int, int], bytes]
"""Reads (offset, size) of a file."""

OpenRange = Callable[[str], AbstractContextManager[ReadRange]]
"""Opens a file by path."""

_HASH_CHUNK_BYTES: Final = 4 << 20


def tensor_digests(entry: ManifestFile, layout: Layout, open_file: OpenRange) -> list[BlobId]:
    """Compute BLAKE3-256 of each tensor's bytes, in the layout's order; only small tensors are read."""
    blobs = tensor_blobs(entry, layout)
    # A mixed blob that consists of one tensor alone would be found too, and rightly.
    if len(blobs) == len(layout.tensors):
        return [blobs[i] for i in range(len(layout.tensors))]
    with open_file(entry.path) as read:
        return [blobs.get(i) or _digest(t, read) for i, t in enumerate(layout.tensors)]


def _digest(tensor: TensorEntry, read: ReadRange) -> BlobId:
    if tensor.size_bytes <= _HASH_CHUNK_BYTES:
        return blob_id(read(tensor.begin, tensor.size_bytes))
    hasher = hasher_of_blob()
    for begin in range(tensor.begin, tensor.end, _HASH_CHUNK_BYTES):
        hasher.update(read(begin, min(_HASH_CHUNK_BYTES, tensor.end - begin)))
    return BlobId(hasher.digest())


def weights_of(
    entries: Mapping[str, ManifestFile], layouts: Mapping[str, Layout], open_file: OpenRange
) -> dict[str, WeightsId]:
    """Compute the weights id of each folder (docs/format.md 5.7)."""
    rows: dict[str, list[tuple[str, str, tuple[int, ...], BlobId]]] = {}
    for path, entry in entries.items():
        if not holds_tensors(entry.role, path):
            continue
        folder, _, name = path.rpartition("/")
        layout = layouts.get(path)
        if layout is not None:
            digests = tensor_digests(entry, layout, open_file)
            rows.setdefault(folder, []).extend(
                (t.name, t.dtype, t.shape, d) for t, d in zip(layout.tensors, digests, strict=True)
            )
        elif entry.size_bytes:
            # Weights of a form that is not read: the file is one tensor of bytes.
            digest = entry.segments[0].blob
            rows.setdefault(folder, []).append((name, "opaque", (entry.size_bytes,), digest))
    return {folder: weights_id_of(tensors) for folder, tensors in rows.items()}
