"""Stores, and blobs that their tests put in, a delta by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mstore.codec import BLOCK_LOG2, Codec, encode_block
from mstore.objects import BlobId, blob_id
from mstore.store import Store
from mstore.store.blob_source import BlobSource
from mstore.store.frame import FrameHead
from mstore.store.pack import PackWriter
from mstore.store.pack_keys import pack_key
from mstore.store.transaction import Transaction


class Bytes:
    """A source in memory that counts its reads."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.name = "memory"
        self.reads = 0

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        assert size <= 1 << BLOCK_LOG2, "blobs are read a block at a time"
        part = self.content[offset : offset + size]
        assert len(part) == size
        return part


def put(store: Store, *contents: bytes, width: int = 1, is_float: bool = False) -> list[BlobId]:
    """Store blobs in one pack; gives their ids."""
    with Transaction(store) as transaction:
        ids = transaction.store_blobs(
            [BlobSource(Bytes(c), ((0, len(c)),), width, is_float) for c in contents]
        )
        transaction.publish()
    return ids


def put_delta(store: Store, content: bytes, base: bytes, *, depth: int = 1, width: int = 2) -> bytes:
    """Write a delta frame by hand; gives the pack's name."""
    blocks = []
    for begin in range(0, len(content), 1 << BLOCK_LOG2):
        end = min(begin + (1 << BLOCK_LOG2), len(content))
        part = base[begin:end]
        blocks.append(
            encode_block(
                content[begin:end],
                width=width,
                is_float=True,
                base=part if len(part) == end - begin else None,
                base_offset=begin,
            )
        )
    head = FrameHead(
        blob_id(content), len(content), Codec.DELTA, width, BLOCK_LOG2, depth, blob_id(base)
    )
    with store.backend.put_new() as upload:
        writer = PackWriter(upload)
        writer.add(head, blocks)
        name = writer.seal()
        upload.publish(pack_key(name))
    store.refresh()
    return name


def near(size: int, seed: int) -> tuple[bytes, bytes]:
    """Floats, and floats of which a tenth moved a little."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(size // 2).astype(np.float16)
    changed = base.copy()
    changed[rng.integers(0, len(changed), len(changed) // 10)] += np.float16(0.01)
    return base.tobytes(), changed.tobytes()


def with_catalog(folder: Path) -> Store:
    """A store, made if it is not there, whose catalog is a file."""
    if not (folder / "store").exists():
        Store.create(folder / "store")
    return Store.at(folder / "store", catalog_path=lambda id: folder / "catalog.sqlite")
