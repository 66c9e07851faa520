"""Packs: frames in, one immutable file out, and the way back; also without the tail."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from mstore.backend import MemoryBackend
from mstore.codec import BLOCK_LOG2, Codec
from mstore.errors import Corrupt, Unsupported
from mstore.objects import BlobId, blob_id, encode
from mstore.store.frame import FrameHead
from mstore.store.frame_reader import FrameReader
from mstore.store.pack import (
    PackWriter,
    encode_small,
    parse_footer,
    read_footer,
    read_frame,
    scan_frames,
)
from mstore.store.pack_keys import pack_key

CONTENTS = [b"", b"small", bytes(range(256)) * 100, random.Random(1).randbytes((1 << 20) + 5000)]


def _pack(contents: list[bytes], replaces: bytes | None = None) -> tuple[MemoryBackend, bytes]:
    backend = MemoryBackend()
    with backend.put_new() as upload:
        writer = PackWriter(upload, replaces=replaces)
        for content in contents:
            writer.add_bytes(blob_id(content), content)
        name = writer.seal()
        upload.publish(pack_key(name))
    return backend, name


def _changed(
    backend: MemoryBackend, name: bytes, change: Callable[[bytearray], object]
) -> MemoryBackend:
    content = bytearray(backend.get(pack_key(name)))
    change(content)
    made = MemoryBackend()
    with made.put_new() as upload:
        upload.write(bytes(content))
        upload.publish(pack_key(name))
    return made


def test_what_went_in_comes_out() -> None:
    backend, name = _pack(CONTENTS)
    size, frames = read_footer(backend, name)
    assert size == backend.size(pack_key(name)) and [f.head.id for f in frames] == [
        blob_id(c) for c in CONTENTS
    ]
    for frame, content in zip(frames, CONTENTS, strict=True):
        reader = FrameReader(backend, name, frame)
        assert b"".join(map(bytes, reader.blocks())) == content
        reader.check_id()
        reader.check_frame_start()
        assert read_frame(backend, name, frame.offset).head == frame.head
        assert read_frame(backend, name, frame.offset).table == frame.table


def test_a_pack_that_replaces_another_has_another_name() -> None:
    _, name = _pack([b"x"])
    again, other = _pack([b"x"], replaces=name)
    assert other != name and _pack([b"x"])[1] == name
    assert [f.head.id for f in read_footer(again, other)[1]] == [blob_id(b"x")]


def test_a_pack_of_nothing_can_be_read() -> None:
    backend, name = _pack([])
    assert read_footer(backend, name) == (backend.size(pack_key(name)), ())
    assert list(scan_frames(backend, name)) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda content: content.clear(), "too short"),
        (lambda content: content.pop(), "does not end in a trailer"),
        (lambda content: content.__setitem__(-30, content[-30] ^ 1), "checksum"),
        (lambda content: content.__setitem__(-20, 255), "claims a footer"),
        (lambda content: content.__setitem__(-23, content[-23] ^ 64), "footer"),
    ],
)
def test_a_tail_that_is_damaged_is_corrupt_and_names_its_pack(
    change: Callable[[bytearray], object], rule: str
) -> None:
    backend, name = _pack([b"small"])
    with pytest.raises(Corrupt, match=rule) as met:
        read_footer(_changed(backend, name, change), name)
    assert met.value.where == f"pack {name.hex()[:12]}"


def test_a_pack_under_another_name_is_corrupt() -> None:
    backend, name = _pack([b"small"])
    other = bytes(32)
    with backend.put_new() as upload:
        upload.write(backend.get(pack_key(name)))
        upload.publish(pack_key(other))
    with pytest.raises(Corrupt, match="does not hash to its name"):
        read_footer(backend, other)
    with pytest.raises(KeyError):
        read_footer(backend, bytes([1]) * 32)
    assert read_footer(backend, name, key=pack_key(other))[1], "under a key that is given"


@pytest.mark.parametrize(
    ("fields", "error", "rule"),
    [
        ([], Corrupt, "lists no frames"),
        ({"frames": 3}, Corrupt, "lists no frames"),
        ({"frames": [[8]]}, Corrupt, "fewer than three"),
        ({"frames": [[0, [], b""]]}, Corrupt, "wrong type"),
        ({"frames": [], "Critical": 1}, Unsupported, "critical footer field 'Critical'"),
    ],
)
def test_a_footer_that_says_what_it_must_not(fields: Any, error: type[Exception], rule: str) -> None:
    with pytest.raises(error, match=rule):
        parse_footer(encode(fields), None, "x")
    assert parse_footer(encode({"frames": [], "later": 1}), None, "x") == ()


def test_frames_are_found_from_the_front_where_the_tail_is_lost() -> None:
    backend, name = _pack(CONTENTS)
    _, frames = read_footer(backend, name)
    cut = _changed(
        backend, name, lambda content: content.__delitem__(slice(frames[-1].block_offsets[-1], None))
    )
    assert [f.head for f in scan_frames(cut, name)] == [f.head for f in frames]
    broken = frames[1].offset
    hurt = _changed(cut, name, lambda content: content.__setitem__(broken + 9, content[broken + 9] ^ 1))
    assert [f.head.id for f in scan_frames(hurt, name)] == [
        f.head.id for f in frames if f.offset != broken
    ]


@pytest.mark.parametrize("offset", [0, 9, 10**6])
def test_where_no_frame_begins_it_is_said(offset: int) -> None:
    backend, name = _pack([b"small"])
    with pytest.raises(Corrupt, match=f"frame at {offset}"):
        read_frame(backend, name, offset)


def test_small_objects_have_frames_without_a_base() -> None:
    head, blocks = encode_small(blob_id(CONTENTS[3]), CONTENTS[3])
    assert (head.width, head.depth, head.base, head.block_count) == (1, 0, None, len(blocks))
    assert len(blocks) == 2 and encode_small(blob_id(b""), b"")[1] == []


@pytest.mark.parametrize(("depth", "base"), [(1, None), (0, blob_id(b"x")), (300, blob_id(b"x"))])
def test_heads_that_contradict_themselves_are_not_written(depth: int, base: BlobId | None) -> None:
    """Bad input 32, at the writer: the footer is decoded again before it is written."""
    with MemoryBackend().put_new() as upload:
        writer = PackWriter(upload)
        writer.add(FrameHead(blob_id(b""), 0, Codec.DELTA, 1, BLOCK_LOG2, depth, base), [])
        with pytest.raises(Corrupt):
            writer.seal()


def test_a_delta_of_itself_is_not_written() -> None:
    id = blob_id(b"abc")
    with MemoryBackend().put_new() as upload:
        writer = PackWriter(upload)
        writer.add(FrameHead(id, 0, Codec.DELTA, 1, BLOCK_LOG2, 1, id), [])
        with pytest.raises(Corrupt, match="contradict"):
            writer.seal()
