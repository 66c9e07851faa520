"""The tensors of a file that are blobs by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mstore.objects.ids import BlobId
    from mstore.objects.layout import Layout
    from mstore.objects.manifest import ManifestFile


def tensor_blobs(file: ManifestFile, layout: Layout) -> dict[int, BlobId]:
    """Find the tensors that are a whole blob by themselves.

    Args:
        file: a file of a manifest.
        layout: its tensors.

    Returns:
        The blob of each such tensor, by the tensor's index in the layout.
    """
    starts: dict[int, tuple[int, BlobId]] = {}
    known_sizes: dict[BlobId, int] = {}
    position = 0
    for segment in file.segments:
        end = segment.offset + segment.length
        known_sizes[segment.blob] = max(known_sizes.get(segment.blob, 0), end)
        if segment.offset == 0:
            starts[position] = (segment.length, segment.blob)
        position += segment.length
    blobs = {}
    for index, tensor in enumerate(layout.tensors):
        length, blob = starts.get(tensor.begin, (-1, None))
        if blob is not None and length == tensor.size_bytes == known_sizes[blob]:
            blobs[index] = blob
    return blobs
