"""Packs whose footers lie, with names and checksums that are right: an error, or the right bytes.

Whoever can write into a store can compute every hash in it; only what a blob's id
says of its content cannot be forged. `FUZZ_EXAMPLES=100000` runs it long, by hand.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from mstore.codec import BLOCK_LOG2, Codec, encode_block
from mstore.errors import MStoreError
from mstore.objects import BlobId, blob_id, decode, encode, pack_name
from mstore.store import Store
from mstore.store.frame import FrameHead
from mstore.store.pack import _TRAILER, END_MAGIC, PackWriter
from mstore.store.pack_keys import pack_key

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))


def _pack() -> tuple[bytes, dict[bytes, bytes]]:
    """A pack of a few blobs, a delta among them; its bytes, and contents by id."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal(3000).astype(np.float32)
    near = base * np.float32(1.0001)
    contents = [b"", b"text " * 300, base.tobytes(), near.tobytes()]
    with tempfile.TemporaryDirectory() as folder:
        Store.create(Path(folder) / "s")
        store = Store.at(Path(folder) / "s")
        with store.backend.put_new() as upload:
            writer = PackWriter(upload)
            for content in contents[:3]:
                width = 4 if len(content) == 12000 else 1
                blocks = [encode_block(content, width=width, is_float=width == 4)] if content else []
                head = FrameHead(
                    blob_id(content), len(content), Codec.PLANES, width, BLOCK_LOG2, 0, None
                )
                writer.add(head, blocks)
            block = encode_block(contents[3], width=4, is_float=True, base=contents[2])
            head = FrameHead(
                blob_id(contents[3]), 12000, Codec.DELTA, 4, BLOCK_LOG2, 1, blob_id(contents[2])
            )
            writer.add(head, [block])
            name = writer.seal()
            upload.publish(pack_key(name))
        raw = (store.path / pack_key(name)).read_bytes()
    return raw, {blob_id(c).raw: c for c in contents}


PACK, CONTENTS = _pack()
FOOTER_SIZE = _TRAILER.unpack_from(PACK, len(PACK) - _TRAILER.size)[0]
BODY = PACK[: len(PACK) - _TRAILER.size - FOOTER_SIZE]
FOOTER = PACK[len(BODY) : len(BODY) + FOOTER_SIZE]

odd_values = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 300),
    st.binary(max_size=40),
    st.none(),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(sorted(CONTENTS)),
)


@st.composite
def lying_footers(draw: st.DrawFn) -> Any:
    """The footer with some fields, or bytes of block tables, replaced."""
    plain = decode(FOOTER, "footer")
    for _ in range(draw(st.integers(1, 3))):
        frame = draw(st.sampled_from(plain["frames"]))
        kind = draw(st.sampled_from(["head", "offset", "table", "drop", "twice"]))
        if kind == "head" and type(frame[1]) is list:
            frame[1][draw(st.integers(0, len(frame[1]) - 1))] = draw(odd_values)
        elif kind == "offset":
            frame[0] = draw(odd_values)
        elif kind == "table" and type(frame[2]) is bytes and frame[2]:
            table = bytearray(frame[2])
            table[draw(st.integers(0, len(table) - 1))] = draw(st.integers(0, 255))
            frame[2] = bytes(table)
        elif kind == "drop":
            frame.pop()
            frame.append(draw(odd_values))
        else:
            plain["frames"].append(list(frame))
    return plain


ROOT = Path(tempfile.mkdtemp()) / "store"
Store.create(ROOT)
atexit.register(shutil.rmtree, ROOT.parent, ignore_errors=True)


def _read_all(body: bytes, footer: bytes) -> None:
    path = ROOT / pack_key(pack_name(footer))
    path.write_bytes(body + footer + _TRAILER.pack(len(footer), xxh3_64_intdigest(footer), END_MAGIC))
    store = Store.at(ROOT)
    try:
        for raw, content in CONTENTS.items():
            id = BlobId(raw)
            for read in (store.get, lambda id: b"".join(store.stream(id))):
                with contextlib.suppress(MStoreError):
                    assert read(id) == content
    finally:
        store.close()
        path.unlink()


@given(lying_footers())
@settings(max_examples=EXAMPLES)
def test_a_footer_that_lies(plain: Any) -> None:
    try:
        footer = encode(plain)
    except MStoreError:
        return
    _read_all(BODY, footer)


@given(st.lists(st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=EXAMPLES)
def test_a_body_that_was_changed(changes: list[tuple[int, int]]) -> None:
    body = bytearray(BODY)
    for place, value in changes:
        body[place] = value
    _read_all(bytes(body), FOOTER)


@given(st.binary(max_size=300))
@settings(max_examples=EXAMPLES)
def test_a_footer_of_noise(noise: bytes) -> None:
    _read_all(BODY, noise)
