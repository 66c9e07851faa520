"""Packs: frames in, one immutable file out; and the way back.

Source: docs/format.md section 6. Hides every offset in a pack. Knows no
catalog and no refs. Blocks are read one at a time, so memory never depends on
the size of an object.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from xxhash import xxh3_64_intdigest

from mstore.codec import (
    BLOCK_HEADER_SIZE,
    BLOCK_LOG2,
    SKETCH_SIZE_BYTES,
    WIDTHS,
    Block,
    BlockHeader,
    Codec,
    base_size_of,
    check_mode,
    decode_block,
    encode_block,
)
from mstore.errors import BadEncoding, Corrupt, MStoreError, Unsupported
from mstore.objects import (
    ID_TYPES,
    BlobId,
    Kind,
    ObjectId,
    decode,
    encode,
    hasher_of_blob,
    object_id,
    pack_name,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from mstore.backend import Backend, Upload

MAGIC: Final = b"MSTOREP1"
END_MAGIC: Final = b"MSTOREF1"
FRAME_MAGIC: Final = b"FRM1"
_TRAILER: Final = struct.Struct("<QQ8s")
_FRAME_START: Final = struct.Struct("<4sI")
_SUM: Final = struct.Struct("<Q")
_TAIL_BYTES: Final = 1 << 16
_TRASH_KEY: Final = re.compile(r"trash/([0-9]{1,12})-([0-9a-f]{64})\.pack")
_SCAN_BYTES: Final = 1 << 20
_FRAME_FRONT_BYTES: Final = 256  # start, head and first block header, as a rule
_MAX_HEAD_BYTES: Final = 4096
MAX_DEPTH: Final = 255
MAX_FOOTER_BYTES: Final = 256 << 20


def pack_key(name: bytes) -> str:
    """Where a pack lies, by its name of 32 bytes."""
    return f"packs/{name[:1].hex()}/{name.hex()}.pack"


def name_of_key(key: str) -> bytes | None:
    """The name of the pack at a key, or None if the key is no pack's."""
    folder, _, file = key.removeprefix("packs/").partition("/")
    stem = file.removesuffix(".pack")
    if len(stem) != 64 or not file.endswith(".pack") or stem[:2] != folder:
        return None
    try:
        return bytes.fromhex(stem) if stem == stem.lower() else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class FrameHead:
    """What a frame says of its object.

    Args:
        id: the object, kind included.
        raw_size: bytes of the object.
        codec: number of a codec.
        width: bytes an element.
        block_log2: log2 of the raw bytes in each block but the last.
        depth: 0 without a delta base, else one more than the base copy's.
        base: the delta base, or None.
    """

    id: ObjectId
    raw_size: int
    codec: int
    width: int
    block_log2: int
    depth: int
    base: ObjectId | None

    def plain(self) -> list[Any]:
        """The array of the format."""
        return [
            int(self.id.kind),
            self.id.raw,
            self.raw_size,
            int(self.codec),
            self.width,
            self.block_log2,
            self.depth,
            self.base.raw if self.base is not None else None,
        ]

    @classmethod
    def from_plain(cls, plain: Any, where: str) -> FrameHead:
        """Read a head; a base is of the same kind as its object.

        Raises:
            Corrupt: a field is out of its range.
        """
        if type(plain) is not list or len(plain) < 8:
            raise Corrupt(where, "a frame head has fewer than eight fields")
        kind, raw_id, raw_size, codec, width, log2, depth, base = plain[:8]
        numbers = (kind, raw_size, codec, width, log2, depth)
        if any(type(n) is not int or n < 0 for n in numbers):
            raise Corrupt(where, "a frame head has a field that is no size")
        if kind not in ID_TYPES:
            raise Unsupported(f"{where}: objects of the unknown kind {kind}", hint="use a newer mstore")
        if any(b is not None and (type(b) is not bytes or len(b) != 32) for b in (raw_id or b"", base)):
            raise Corrupt(where, "a frame head has something else where an id is due")
        if width not in WIDTHS or not 12 <= log2 <= 26 or depth > MAX_DEPTH or raw_size >= 1 << 62:
            raise Corrupt(where, "a frame head has a field out of range")
        if (depth == 0) != (base is None) or base == raw_id:
            raise Corrupt(where, "a frame's depth and delta base contradict each other")
        make = ID_TYPES[Kind(kind)]
        return cls(
            make(raw_id), raw_size, codec, width, log2, depth, make(base) if base is not None else None
        )

    @property
    def block_count(self) -> int:
        """Blocks that the frame must have."""
        return -(-self.raw_size >> self.block_log2) if self.raw_size else 0

    def block_raw_size(self, index: int) -> int:
        """Raw bytes of block `index`."""
        return min(1 << self.block_log2, self.raw_size - (index << self.block_log2))


@dataclass(frozen=True)
class Frame:
    """A frame as the footer lists it.

    Args:
        offset: first byte of the frame in its pack.
        head: its head.
        table: the concatenated block headers.
        sketch: by which the blob is recognised as nearly equal to another, or None.
    """

    offset: int
    head: FrameHead
    table: bytes = field(repr=False)
    sketch: bytes | None = field(default=None, repr=False)

    @cached_property
    def _headers(self) -> tuple[BlockHeader, ...]:
        return BlockHeader.unpack_all(self.table)

    @property
    def blocks(self) -> tuple[BlockHeader, ...]:
        """Headers of all blocks."""
        return self._headers

    @cached_property
    def block_offsets(self) -> tuple[int, ...]:
        """First stored byte of each block in the pack, and the frame's end as the last item."""
        position = self.offset + _FRAME_START.size + len(encode(self.head.plain())) + _SUM.size
        offsets = []
        for header in self._headers:
            position += BLOCK_HEADER_SIZE
            offsets.append(position)
            position += header.stored_size
        return (*offsets, position)

    @property
    def stored_size(self) -> int:
        """Bytes that the frame takes in the pack."""
        return self.block_offsets[-1] - self.offset


def _checked_frame(plain: Any, where: str) -> Frame:
    if type(plain) is not list or len(plain) < 3:
        raise Corrupt(where, "a footer entry has fewer than three fields")
    offset, head, table = plain[:3]
    if type(offset) is not int or type(table) is not bytes or not len(MAGIC) <= offset < 1 << 62:
        raise Corrupt(where, "a footer entry has a field of the wrong type")
    sketch = plain[3] if len(plain) > 3 else None
    if type(sketch) is not bytes or len(sketch) != SKETCH_SIZE_BYTES:
        sketch = None  # A newer writer's, and no more than a hint.
    frame = Frame(offset, FrameHead.from_plain(head, where), table, sketch)
    if len(table) != frame.head.block_count * BLOCK_HEADER_SIZE:
        raise Corrupt(where, f"{frame.head.id.short}: its block table does not fit its size")
    return frame


class PackWriter:
    """Writes one pack, front to back.

    Args:
        upload: where the bytes go. The caller leaves its context.
        replaces: the name of a damaged pack whose frames come again. It stands in the
            footer, so that the new pack has another name than the old one.
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
        offset, encoded = self._position, encode(head.plain())
        self._write(
            _FRAME_START.pack(FRAME_MAGIC, len(encoded))
            + encoded
            + _SUM.pack(xxh3_64_intdigest(encoded))
        )
        table = []
        for block in blocks:
            packed = block.header.packed()
            table.append(packed)
            self._write(packed)
            if block.header.stored_size:
                self._write(block.stored)
        entry = [offset, head.plain(), b"".join(table)]
        self._frames.append(entry if sketch is None else [*entry, sketch])
        return self._position - offset

    def add_bytes(self, id: ObjectId, content: bytes) -> int:
        """Write a small object whole: structured ones, and blobs that are text."""
        return self.add(*encode_small(id, content))

    def seal(self) -> bytes:
        """Write footer and trailer; what is left is to publish under `pack_key(name)`.

        The footer is decoded again before it is written, so that a defect of the
        encoder is met here and not at the first checkout.

        Returns:
            The pack's name.
        """
        plain: dict[str, Any] = {"frames": self._frames}
        if self._replaces is not None:
            plain["replaces"] = self._replaces
        footer = encode(plain)
        name = pack_name(footer)
        parse_footer(footer, name, "the footer just made")
        self._write(footer)
        self._write(_TRAILER.pack(len(footer), xxh3_64_intdigest(footer), END_MAGIC))
        return name


def encode_small(id: ObjectId, content: bytes) -> tuple[FrameHead, list[Block]]:
    """Frame of an object that lies in memory, its elements being bytes of text."""
    head = FrameHead(id, len(content), Codec.PLANES, 1, BLOCK_LOG2, 0, None)
    view = memoryview(content)
    blocks = [
        encode_block(view[i : i + (1 << BLOCK_LOG2)], width=1, is_float=False)
        for i in range(0, len(content), 1 << BLOCK_LOG2)
    ]
    return head, blocks


def parse_footer(footer: bytes, name: bytes | None, where: str) -> tuple[Frame, ...]:
    """Frames of a pack from its footer.

    Raises:
        Corrupt: the footer does not hash to `name`, or is not well-formed.
        Unsupported: it holds what this version does not know.
    """
    if name is not None and pack_name(footer) != name:
        raise Corrupt(where, "its footer does not hash to its name")
    try:
        plain = decode(footer, where)
    except BadEncoding as error:
        raise Corrupt(where, error.rule) from error
    if type(plain) is not dict or type(plain.get("frames")) is not list:
        raise Corrupt(where, "its footer lists no frames")
    for key in plain:
        if key[:1].isupper():
            raise Unsupported(f"{where}: critical footer field {key!r}", hint="use a newer mstore")
    return tuple(_checked_frame(f, where) for f in plain["frames"])


def trash_key(name: bytes, seconds: int) -> str:
    """Where a pack lies that was put away `seconds` after 1970."""
    return f"trash/{seconds}-{name.hex()}.pack"


def name_of_trash_key(key: str) -> tuple[bytes, int] | None:
    """Name of the pack at a key in the trash, and when it came there; None if it is none."""
    match = _TRASH_KEY.fullmatch(key)
    return (bytes.fromhex(match[2]), int(match[1])) if match is not None else None


def read_footer(
    backend: Backend, name: bytes, *, key: str | None = None
) -> tuple[int, tuple[Frame, ...]]:
    """Size of a pack and its frames, from its tail.

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
    """The frame that begins at an offset of a pack, without the pack's footer.

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
            raise Corrupt(where, "the pack ends before it")
        return found

    magic, head_size = _FRAME_START.unpack(take(offset, _FRAME_START.size))
    if magic != FRAME_MAGIC or head_size > _MAX_HEAD_BYTES:
        raise Corrupt(where, "is none")
    position = offset + _FRAME_START.size
    encoded = take(position, head_size)
    (checksum,) = _SUM.unpack(take(position + head_size, _SUM.size))
    if xxh3_64_intdigest(encoded) != checksum:
        raise Corrupt(where, "its head does not have its checksum")
    position += head_size + _SUM.size
    try:
        head = FrameHead.from_plain(decode(encoded, where), where)
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
    """Frames of a pack whose tail is lost or damaged, found from its front.

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
    """The frame that begins at an offset, or None; its blocks have the sums that they claim."""
    try:
        frame = read_frame(backend, name, offset)
        reader = FrameReader(backend, name, frame)
        for index in range(len(frame.blocks)):
            reader.stored_block(index)
    except MStoreError:
        return None
    return frame


BaseRange = Callable[[int, int], bytes]
"""Reads (offset, size) of a delta base; may give fewer bytes where the base ends."""


@dataclass(frozen=True)
class FrameReader:
    """One object in one pack, block by block.

    Args:
        backend: where the pack lies.
        pack: its name.
        frame: the frame.
        base: reads the delta base; None where the frame has none.
    """

    backend: Backend
    pack: bytes
    frame: Frame
    base: BaseRange | None = None

    def _where(self, index: int) -> str:
        return f"pack {self.pack.hex()[:12]}, object {self.frame.head.id.short}, block {index}"

    def block(self, index: int, *, into: memoryview | None = None) -> Buffer:
        """Raw bytes of one block, checked against its sums.

        Args:
            index: which.
            into: where they are to stand; None: anywhere.

        Raises:
            Corrupt, Unsupported, KeyError (the pack is gone).
        """
        head, header = self.frame.head, self.frame.blocks[index]
        where = self._where(index)
        check_mode(head.codec, header.mode, where)
        stored: bytes = b""
        if header.stored_size:
            offset = self.frame.block_offsets[index]
            stored = self.backend.get(pack_key(self.pack), offset=offset, size=header.stored_size)
            if len(stored) != header.stored_size:
                raise Corrupt(where, "the pack ends before it")
        raw_size = head.block_raw_size(index)
        base: bytes | None = None
        if header.mode >= 16 and self.base is not None:
            base = self.base(header.base_offset, base_size_of(header.mode, stored, raw_size))
        return decode_block(
            header,
            stored,
            raw_size=raw_size,
            width=head.width,
            base=base,
            where=where,
            into=into,
        )

    def stored_block(self, index: int) -> Block:
        """A block as it is stored, checked by the sum of its stored bytes. Raises Corrupt."""
        header = self.frame.blocks[index]
        check_mode(self.frame.head.codec, header.mode, self._where(index))
        stored = b""
        if header.stored_size:
            offset = self.frame.block_offsets[index]
            stored = self.backend.get(pack_key(self.pack), offset=offset, size=header.stored_size)
        if len(stored) != header.stored_size or xxh3_64_intdigest(stored) != header.stored_sum:
            raise Corrupt(self._where(index), "its stored bytes do not have their checksum")
        return Block(header, stored)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Buffer]:
        """Raw bytes of blocks `first:last`, in order."""
        for index in range(first, len(self.frame.blocks) if last is None else last):
            yield self.block(index)

    def range(self, offset: int, size: int) -> bytes:
        """Raw bytes `offset:offset+size`; reads only the blocks concerned."""
        end = min(offset + size, self.frame.head.raw_size)
        if offset >= end:
            return b""
        log2 = self.frame.head.block_log2
        first, last = offset >> log2, (end - 1) >> log2
        parts: list[Any] = []
        for index in range(first, last + 1):
            raw = memoryview(self.block(index))
            start = index << log2
            parts.append(raw[max(0, offset - start) : end - start])
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def read_into(self, offset: int, out: memoryview) -> None:
        """Fill `out` with raw bytes from `offset`; whole blocks are decoded in place.

        Raises:
            Corrupt: also where the object ends before.
        """
        head, size = self.frame.head, len(out)
        if offset + size > head.raw_size:
            raise Corrupt(self._where(0), f"the object is shorter than {offset + size} bytes")
        position = 0
        while position < size:
            index = (offset + position) >> head.block_log2
            begin = index << head.block_log2
            block_size = head.block_raw_size(index)
            if begin == offset + position and block_size <= size - position:
                self.block(index, into=out[position : position + block_size])
                position += block_size
                continue
            raw = memoryview(self.block(index)).cast("B")[offset + position - begin :]
            raw = raw[: size - position]
            out[position : position + len(raw)] = raw
            position += len(raw)

    def check_id(self) -> None:
        """Decode the whole object and compare its hash with its id, a block at a time.

        Raises:
            Corrupt, Unsupported, NotFound, KeyError.
        """
        id = self.frame.head.id
        if isinstance(id, BlobId):
            hasher = hasher_of_blob()
            for block in self.blocks():
                hasher.update(block)
            found = hasher.digest()
        else:
            found = object_id(id.kind, b"".join(self.blocks())).raw
        if found != id.raw:
            raise Corrupt(f"{id.kind.name.lower()} {id.hex}", "its content does not hash to its id")

    def check_frame_start(self) -> None:
        """Compare the head and the block headers in the pack with those in the footer.

        Raises:
            Corrupt: they differ.
        """
        head = encode(self.frame.head.plain())
        expected = _FRAME_START.pack(FRAME_MAGIC, len(head)) + head + _SUM.pack(xxh3_64_intdigest(head))
        key = pack_key(self.pack)
        if self.backend.get(key, offset=self.frame.offset, size=len(expected)) != expected:
            raise Corrupt(self._where(0), "the frame's head is not the one in the footer")
        offsets = self.frame.block_offsets
        for index, header in enumerate(self.frame.blocks):
            start = offsets[index] - BLOCK_HEADER_SIZE
            if self.backend.get(key, offset=start, size=BLOCK_HEADER_SIZE) != header.packed():
                raise Corrupt(self._where(index), "its header is not the one in the footer")
