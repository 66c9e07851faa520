"""Ids: typed, checked, and how people and formats read them."""

from __future__ import annotations

import pytest
from blake3 import blake3

from mstore.errors import BadEncoding
from mstore.objects import ID_TYPES, BlobId, CommitId, Kind, blob_id, hasher_of_blob, object_id
from mstore.objects.ids import structured_id

RAW = bytes(range(32))


@pytest.mark.parametrize("kind", Kind)
def test_labels(kind: Kind) -> None:
    id = ID_TYPES[kind](RAW)
    word = {1: "blob", 2: "layout", 3: "manifest", 4: "commit", 5: "note", 6: "tag"}[kind]
    assert (id.kind_name, id.short, id.label) == (word, "0001020", f"{word} 0001020")
    assert str(id) == id.hex == RAW.hex()
    assert repr(id) == f"{type(id).__name__}({RAW.hex()})"


def test_equal_bytes_of_two_kinds_are_two_ids() -> None:
    assert BlobId(RAW) == BlobId(RAW)
    assert len({BlobId(RAW), CommitId(RAW), BlobId(RAW)}) == 2
    assert BlobId(bytes(32)) < BlobId(RAW)


def test_another_length_is_refused() -> None:
    with pytest.raises(BadEncoding) as caught:
        BlobId(b"abc")
    assert (caught.value.where, caught.value.rule) == ("id", "has 3 bytes, must have 32")


def test_each_kind_has_a_hash_of_its_own() -> None:
    ids = {object_id(kind, b"content").raw for kind in Kind}
    assert len(ids) == len(Kind)
    assert object_id(Kind.BLOB, b"content") == blob_id(b"content")
    hasher = hasher_of_blob()
    hasher.update(b"con")
    hasher.update(b"tent")
    assert hasher.digest() == blob_id(b"content").raw == blake3(b"content").digest()
    context = "mstore 2026-11 commit"
    expected = blake3(b"content", derive_key_context=context).digest()
    assert structured_id(Kind.COMMIT, b"content") == CommitId(expected)
