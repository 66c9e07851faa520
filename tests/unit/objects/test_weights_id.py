"""The identity of a model."""

from __future__ import annotations

import itertools

from blake3 import blake3

from mstore.objects import BlobId, blob_id, encode, weights_id_of

ROWS: list[tuple[str, str, tuple[int, ...], BlobId]] = [
    ("b", "F32", (2,), blob_id(b"1")),
    ("a", "F32", (2,), blob_id(b"2")),
    ("é", "BF16", (), blob_id(b"3")),
]


def test_it_is_the_hash_of_the_sorted_rows() -> None:
    rows = [[n, d, list(s), b.raw] for n, d, s, b in sorted(ROWS, key=lambda row: row[0].encode())]
    expected = blake3(encode(rows), derive_key_context="mstore 2026-11 weights").hexdigest()
    assert {weights_id_of(list(p)).hex for p in itertools.permutations(ROWS)} == {expected}


def test_name_dtype_shape_and_bytes_count() -> None:
    name, dtype, shape, blob = ROWS[0]
    others = [
        ("c", dtype, shape, blob),
        (name, "I32", shape, blob),
        (name, dtype, (1, 2), blob),
        (name, dtype, shape, blob_id(b"4")),
    ]
    assert len({weights_id_of([row]) for row in [ROWS[0], *others]}) == 5
