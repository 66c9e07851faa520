"""Packs: frames in, one immutable file out; and the way back.

Source: docs/format.md section 6. Hides every offset in a pack. Knows no
catalog and no refs. Blocks are read one at a time, so memory never depends on
the size of an object.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from xxhash import xxh3_64_intdigest

from mstore.codec import (
    BLOCK_HEADER_SIZE,
    BLOCK_LOG2,
    SKETCH_SIZE_BYTES,
    Block,
    BlockHeader,
    Codec,
    encode_block,
)
from mstore.errors import BadEncoding, Corrupt, MStoreError, Unsupported
from mstore.objects import (
    ObjectId,
    decode,
    encode,
    pack_name,
)
from mstore.store.frame import FRAME_MAGIC, FRAME_START, SUM, Frame, FrameHead
from mstore.store.frame_reader import FrameReader
from mstore.store.pack_keys import pack_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Buffer

    from mstore.backend import Backend, Upload

MAGIC: Final = b"MSTOREP1"
END_MAGIC: Final = b"MSTOREF1"
_TRAILER: Final = struct.Struct("<QQ8s")
_TAIL_BYTES: Final = 1 << 16
_SCAN_BYTES: Final = 1 << 20
_FRAME_FRONT_BYTES: Final = 256  # start, head and first block header, as a rule
_MAX_HEAD_BYTES: Final = 4096
MAX_FOOTER_BYTES: Final = 256 << 20


def _checked_frame(fields: Any, where: str) -> Frame:
    if type(fields) is not list or len(fields) < 3:
        raise Corrupt(where, "a footer entry has fewer than three fields")
    offset, head, table = fields[:3]
    if type(offset) is not int or type(table) is not bytes or not len(MAGIC) <= offset < 1 << 62:
        raise Corrupt(where, "a footer entry has a field of the wrong type")
    sketch = fields[3] if len(fields) > 3 else None
    if type(sketch) is not bytes or len(sketch) != SKETCH_SIZE_BYTES:
        sketch = None  # A newer writer's, and no more than a hint.
    frame = Frame(offset, FrameHead.from_list(head, where), table, sketch)
    if len(table) != frame.head.block_count * BLOCK_HEADER_SIZE:
        raise Corrupt(where, f"{frame.head.id.short}: its block table does not fit its size")
    return frame


class PackWriter:
    """Writes one pack, front to back.

    Args:
        upload: where the bytes go. The caller leaves its context.
        replaces: the name of a damaged pack whose frames are copied. The footer records
            it, so that the new pack has another name than the old one.
    """

    def __init__(self, upload: Upload, *, replaces: bytes | None = None) -> None:
        self._upload = upload
        self._replaces = replaces
        self._position = 0
        self._frames: list[list[Any]] = []
        self._write(MAGIC)

    def _write(self, content: Buffer) -> None:
        self._upload.write(content)
        self._position += memoryview(content).nbytes

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        return self._position

    def add(self, head: FrameHead, blocks: Iterable[Block], sketch: bytes | None = None) -> int:
        """Write a frame; blocks are taken one at a time.

        Args:
            head: its head.
            blocks: all of its blocks, in order.
            sketch: by which the blob is recognised as nearly equal to another.

        Returns:
            The bytes that it takes.
        """
        offset, encoded = self._position, encode(head.to_list())
        self._write(
            FRAME_START.pack(FRAME_MAGIC, len(encoded)) + encoded + SUM.pack(xxh3_64_intdigest(encoded))
        )
        table = []
        for block in blocks:
            packed = block.header.packed()
            table.append(packed)
            self._write(packed)
            if block.header.stored_size:
                self._write(block.stored)
        entry = [offset, head.to_list(), b"".join(table)]
        self._frames.append(entry if sketch is None else [*entry, sketch])
        return self._position - offset

    def add_bytes(self, id: ObjectId, content: bytes) -> int:
        """Write a small object whole: structured ones, and blobs that are text."""
        return self.add(*encode_small(id, content))

    def seal(self) -> bytes:
        """Write footer and trailer, and return the pack's name; publish it under `pack_key(name)`.

        The footer is decoded again before it is written, so that a defect of the
        encoder is met here and not at the first checkout.

        Returns:
            The pack's name.
        """
        fields: dict[str, Any] = {"frames": self._frames}
        if self._replaces is not None:
            fields["replaces"] = self._replaces
        footer = encode(fields)
        name = pack_name(footer)
        parse_footer(footer, name, "the footer just made")
        self._write(footer)
        self._write(_TRAILER.pack(len(footer), xxh3_64_intdigest(footer), END_MAGIC))
        return name


def encode_small(id: ObjectId, content: bytes) -> tuple[FrameHead, list[Block]]:
    """Encode an object that is in memory, its elements being bytes of text, as a frame."""
    head = FrameHead(id, len(content), Codec.PLANES, 1, BLOCK_LOG2, 0, None)
    view = memoryview(content)
    blocks = [
        encode_block(view[i : i + (1 << BLOCK_LOG2)], width=1, is_float=False)
        for i in range(0, len(content), 1 << BLOCK_LOG2)
    ]
    return head, blocks


def parse_footer(footer: bytes, name: bytes | None, where: str) -> tuple[Frame, ...]:
    """Read the frames of a pack from its footer.

    Raises:
        Corrupt: the footer does not hash to `name`, or is not well-formed.
        Unsupported: it holds what this version does not know.
    """
    if name is not None and pack_name(footer) != name:
        raise Corrupt(where, "its footer does not hash to its name")
    try:
        fields = decode(footer, where)
    except BadEncoding as error:
        raise Corrupt(where, error.rule) from error
    if type(fields) is not dict or type(fields.get("frames")) is not list:
        raise Corrupt(where, "its footer lists no frames")
    for key in fields:
        if key[:1].isupper():
            raise Unsupported(f"{where}: critical footer field {key!r}", hint="use a newer mstore")
    return tuple(_checked_frame(f, where) for f in fields["frames"])


def read_footer(
    backend: Backend, name: bytes, *, key: str | None = None
) -> tuple[int, tuple[Frame, ...]]:
    """Read the size of a pack and its frames, from its tail.

    Args:
        backend: where it lies.
        name: its name.
        key: its key, where that is not `pack_key(name)`.

    Raises:
        KeyError: there is no such pack.
        Corrupt: the tail is not that of the pack of this name.
    """
    key = key or pack_key(name)
    where = f"pack {name.hex()[:12]}"
    tail = backend.get(key, offset=-_TAIL_BYTES)
    if len(tail) < _TRAILER.size:
        raise Corrupt(where, "is too short to be a pack")
    size, checksum, magic = _TRAILER.unpack_from(tail, len(tail) - _TRAILER.size)
    if magic != END_MAGIC:
        raise Corrupt(where, "does not end in a trailer: it was cut short, or damaged")
    if size + _TRAILER.size > len(tail):
        if size > MAX_FOOTER_BYTES:
            raise Corrupt(where, f"its trailer claims a footer of {size} bytes")
        tail = backend.get(key, offset=-(size + _TRAILER.size))
        if len(tail) != size + _TRAILER.size:
            raise Corrupt(where, "its trailer claims a footer larger than the pack")
    footer = tail[len(tail) - _TRAILER.size - size : len(tail) - _TRAILER.size]
    if xxh3_64_intdigest(footer) != checksum:
        raise Corrupt(where, "its footer does not have its checksum")
    frames = parse_footer(footer, name, where)
    end = frames[-1].block_offsets[-1] if frames else len(MAGIC)
    return end + size + _TRAILER.size, frames


def read_frame(backend: Backend, name: bytes, offset: int) -> Frame:
    """Read the frame that begins at an offset of a pack, without the pack's footer.

    A footer grows with the frames of its pack; this reads the front of one frame, and
    the header of each of its blocks but the first. The frame has no sketch.

    Raises:
        KeyError: there is no such pack.
        Corrupt, Unsupported: no frame that can be read begins there.
    """
    key, where = pack_key(name), f"pack {name.hex()[:12]}, frame at {offset}"
    front = backend.get(key, offset=offset, size=_FRAME_FRONT_BYTES)

    def take(begin: int, size: int) -> bytes:
        if begin + size <= offset + len(front):
            return front[begin - offset : begin - offset + size]
        found = backend.get(key, offset=begin, size=size)
        if len(found) != size:
            raise Corrupt(where, "ends beyond the end of the pack")
        return found

    magic, head_size = FRAME_START.unpack(take(offset, FRAME_START.size))
    if magic != FRAME_MAGIC or head_size > _MAX_HEAD_BYTES:
        raise Corrupt(where, "does not begin with a frame's magic")
    position = offset + FRAME_START.size
    encoded = take(position, head_size)
    (checksum,) = SUM.unpack(take(position + head_size, SUM.size))
    if xxh3_64_intdigest(encoded) != checksum:
        raise Corrupt(where, "its head does not have its checksum")
    position += head_size + SUM.size
    try:
        head = FrameHead.from_list(decode(encoded, where), where)
        table = []
        for _ in range(head.block_count):
            packed = take(position, BLOCK_HEADER_SIZE)
            (header,) = BlockHeader.unpack_all(packed)
            table.append(packed)
            position += BLOCK_HEADER_SIZE + header.stored_size
    except (BadEncoding, ValueError) as error:
        raise Corrupt(where, str(error)) from error
    return Frame(offset, head, b"".join(table))


def scan_frames(backend: Backend, name: bytes) -> Iterator[Frame]:
    """Yield the frames of a pack whose tail is lost or damaged, found from its front.

    Where a frame cannot be read, the next one is looked for by its magic.
    """
    key = pack_key(name)
    size, position = backend.size(key) or 0, len(MAGIC)
    while position < size:
        frame = _whole_frame_at(backend, name, position)
        if frame is not None:
            yield frame
            position = frame.block_offsets[-1]
            continue
        position += 1
        while position < size:
            window = backend.get(key, offset=position, size=_SCAN_BYTES)
            found = window.find(FRAME_MAGIC)
            if found >= 0:
                position += found
                break
            position += max(1, len(window) - len(FRAME_MAGIC) + 1)


def _whole_frame_at(backend: Backend, name: bytes, offset: int) -> Frame | None:
    """Read the frame that begins at an offset, and check its blocks; None if there is no whole one."""
    try:
        frame = read_frame(backend, name, offset)
        reader = FrameReader(backend, name, frame)
        for index in range(len(frame.blocks)):
            reader.stored_block(index)
    except MStoreError:
        return None
    return frame
