"""Cut files into blobs. This is policy, not format: readers never rely on it.

A tensor of 4 KiB or more is a blob of its own, so that it is found again
wherever it is next time. What lies between, and smaller tensors, share one
blob a file: a LoRA's optimizer.pt would otherwise give 2,243 new blobs a save,
most of them zip headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mstore.formats.dtypes import codec_element
from mstore.objects import BlobId, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mstore.objects import Layout, TensorEntry

MIN_TENSOR_BYTES: Final = 4096
MAX_MIXED_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """Stretches of a file that become one blob.

    Args:
        pieces: (offset, length) in the file, in file order; their concatenation
            is the blob. Lengths are positive.
        width: bytes in an element, for the codec: 1, 2, 4 or 8.
        is_float: elements are sign-magnitude floats of 2, 4 or 8 bytes.
        name: the tensor's name, or None for anything else.
    """

    pieces: tuple[tuple[int, int], ...]
    width: int = 1
    is_float: bool = False
    name: str | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes of the blob."""
        return sum(length for _, length in self.pieces)


def _tensor_cuts(size_bytes: int, tensors: Sequence[TensorEntry]) -> list[Cut]:
    """Make one cut for each tensor that is large enough; those that share bytes become one."""
    large = [t for t in tensors if t.size_bytes >= MIN_TENSOR_BYTES and t.end <= size_bytes]
    large.sort(key=lambda t: (t.begin, -t.end))
    cuts: list[Cut] = []
    i = 0
    while i < len(large):
        first = large[i]
        end = first.end
        i += 1
        while i < len(large) and large[i].begin < end:
            end = max(end, large[i].end)
            i += 1
        width, is_float = codec_element(first.dtype)
        cuts.append(Cut(((first.begin, end - first.begin),), width, is_float, first.name))
    return cuts


def cut(size_bytes: int, layout: Layout | None) -> tuple[Cut, ...]:
    """Cut a file.

    Args:
        size_bytes: the file's size.
        layout: its tensors, or None: then it is one blob.

    Returns:
        Cuts by the place of their first piece. All pieces together cover the
        file exactly once; an empty file has none.
    """
    if layout is None:
        return (Cut(((0, size_bytes),)),) if size_bytes else ()
    cuts = _tensor_cuts(size_bytes, layout.tensors)
    bounds = [0]
    for made in cuts:
        (begin, length) = made.pieces[0]
        bounds += (begin, begin + length)
    bounds.append(size_bytes)
    mixed: list[tuple[int, int]] = []
    mixed_bytes = 0
    for begin, end in zip(bounds[::2], bounds[1::2], strict=True):
        if end - begin > MAX_MIXED_BYTES:
            cuts.append(Cut(((begin, end - begin),)))
        elif end > begin:
            mixed.append((begin, end - begin))
            mixed_bytes += end - begin
            if mixed_bytes > MAX_MIXED_BYTES:
                cuts.append(Cut(tuple(mixed)))
                mixed, mixed_bytes = [], 0
    if mixed:
        cuts.append(Cut(tuple(mixed)))
    return tuple(sorted(cuts, key=lambda c: c.pieces[0]))


def segments_of(
    size_bytes: int, cuts: Sequence[Cut], blob_ids: Sequence[BlobId]
) -> tuple[Segment, ...]:
    """Make the manifest's segments of a file that was cut.

    Args:
        size_bytes: the file's size.
        cuts: what `cut` returned.
        blob_ids: the blob of each cut, in the same order.

    Returns:
        Segments in file order; neighbours that continue one blob are one.

    Raises:
        ValueError: the cuts do not cover the file exactly once.
    """
    placed = []
    for made, blob in zip(cuts, blob_ids, strict=True):
        offset = 0
        for begin, length in made.pieces:
            placed.append((begin, length, offset, blob))
            offset += length
    placed.sort(key=lambda p: p[0])
    position = 0
    segments: list[Segment] = []
    for begin, length, offset, blob in placed:
        if begin != position:
            raise ValueError(f"cuts do not meet at byte {position}")
        position += length
        last = segments[-1] if segments else None
        if last is not None and last.blob == blob and last.offset + last.length == offset:
            segments[-1] = Segment(blob, last.offset, last.length + length)
        else:
            segments.append(Segment(blob, offset, length))
    if position != size_bytes:
        raise ValueError(f"cuts end at byte {position} of {size_bytes}")
    return tuple(segments)
