"""Objects: one value, one encoding, one id; whatever else is refused."""

from __future__ import annotations

import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstore.errors import BadEncoding, BadPath, InvalidInput, MStoreError
from mstore.objects import (
    Base,
    BlobId,
    Commit,
    CommitId,
    Layout,
    LayoutId,
    Manifest,
    ManifestFile,
    ManifestId,
    Note,
    NoteId,
    Segment,
    Slice,
    Tag,
    TensorEntry,
    Time,
    WeightsId,
    blob_id,
    check_path,
    decode,
    encode,
)

raw_ids = st.binary(min_size=32, max_size=32)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sizes = st.integers(0, 2**40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | texts
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
metadata = st.dictionaries(texts, values, max_size=4)
times = st.builds(Time, st.integers(-(2**62), 2**62), st.integers(-840, 840))
paths = st.lists(
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=5),
    min_size=1,
    max_size=3,
).map("/".join)


@st.composite
def tensors(draw: st.DrawFn) -> TensorEntry:
    begin = draw(sizes)
    part = draw(st.none() | st.builds(Slice, st.tuples(sizes, sizes), st.tuples(sizes, sizes)))
    return TensorEntry(
        draw(texts),
        draw(texts),
        tuple(draw(st.lists(sizes, max_size=4))),
        begin,
        begin + draw(sizes),
        part,
    )


layouts = st.builds(Layout, texts, st.lists(tensors(), max_size=4).map(tuple))


@st.composite
def files(draw: st.DrawFn) -> ManifestFile:
    segments = tuple(
        Segment(BlobId(draw(raw_ids)), draw(sizes), draw(sizes)) for _ in range(draw(st.integers(0, 3)))
    )
    layout = draw(st.none() | raw_ids.map(LayoutId))
    return ManifestFile(draw(paths), draw(texts), sum(s.length for s in segments), segments, layout)


manifests = st.lists(files(), max_size=4, unique_by=lambda f: f.path).map(Manifest.of)
bases = st.builds(
    Base,
    st.none() | raw_ids.map(WeightsId),
    st.none() | raw_ids.map(CommitId),
    st.none() | texts,
    st.none() | texts,
)
commits = st.builds(
    Commit,
    st.lists(raw_ids.map(CommitId), max_size=3).map(tuple),
    raw_ids.map(ManifestId),
    texts,
    times,
    texts,
    metadata,
    st.dictionaries(texts, st.floats(), max_size=3),
    st.dictionaries(texts, raw_ids.map(WeightsId), max_size=2),
    st.none() | bases,
)
notes = st.builds(
    Note, raw_ids.map(CommitId), texts, metadata, texts, times, st.none() | raw_ids.map(NoteId)
)
tags = st.builds(Tag, raw_ids.map(CommitId), texts, texts, texts, times)


@given(st.one_of(layouts, manifests, commits, notes, tags))
def test_round_trip(value: Any) -> None:
    back = type(value).decode(value.encoded)
    assert back.encoded == value.encoded
    assert back.id == value.id


@given(
    st.one_of(layouts, manifests, commits, notes, tags),
    st.dictionaries(st.text("abc", min_size=1), values),
)
def test_unknown_optional_keys_are_kept_and_hashed(value: Any, more: dict[str, Any]) -> None:
    plain = decode(value.encoded, "value")
    encoded = encode({**{f"x{k}": v for k, v in more.items()}, **plain})
    back = type(value).decode(encoded)
    assert back.encoded == encoded
    assert (back.id == value.id) == (not more)


@given(st.one_of(layouts, manifests, commits, notes, tags))
def test_unknown_critical_keys_are_refused(value: Any) -> None:
    encoded = encode({**decode(value.encoded, "value"), "Must": 1})
    with pytest.raises(BadEncoding, match="critical"):
        type(value).decode(encoded)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for kind in (Layout, Manifest, Commit, Note, Tag):
        with pytest.raises(MStoreError):
            kind.decode(noise)


@given(manifests, st.data())
def test_a_changed_byte_is_another_object_or_none(manifest: Manifest, data: st.DataObject) -> None:
    encoded = bytearray(manifest.encoded)
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = Manifest.decode(bytes(encoded))
    except MStoreError:
        return
    assert other.id != manifest.id and other.encoded == bytes(encoded)


@pytest.mark.parametrize(
    ("label", "encoded"),
    [
        ("a map key twice", bytes.fromhex("a2616101616102")),
        ("keys unsorted", bytes.fromhex("a2616201616102")),
        ("an integer longer than need be", bytes.fromhex("1801")),
        ("a float longer than need be", bytes.fromhex("fb3ff0000000000000")),
        ("another NaN", bytes.fromhex("f97e01")),
        ("an indefinite array", bytes.fromhex("9f01ff")),
        ("a tag", bytes.fromhex("c11a514b67b0")),
        ("undefined", bytes.fromhex("f7")),
        ("a map key that is no text", bytes.fromhex("a10102")),
        ("bytes after the value", bytes.fromhex("0000")),
        ("text that is no UTF-8", bytes.fromhex("61ff")),
        ("nested 5,000 deep", b"\x81" * 5000 + b"\x00"),
        ("an array of 2^64 - 1 items", b"\x9b" + b"\xff" * 8),
        ("cut short", bytes.fromhex("8201")),
        ("nothing", b""),
    ],
)
def test_what_is_not_canonical_is_refused(label: str, encoded: bytes) -> None:
    with pytest.raises(BadEncoding):
        decode(encoded, label)


def test_metrics_have_one_nan() -> None:
    import struct

    (odd,) = struct.unpack("<d", bytes.fromhex("010000000000f8ff"))
    one, other = (
        Commit((), ManifestId(bytes(32)), "a", Time(0, 0), "m", metrics={"loss": x})
        for x in (odd, math.nan)
    )
    assert one.id == other.id
    assert bytes.fromhex("f97e00") in one.encoded
    assert cbor2.loads(one.encoded)["message"] == "m"


def test_ids_are_typed_and_strict() -> None:
    assert blob_id(b"abc").hex == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    blob: object = BlobId(bytes(32))
    assert blob != CommitId(bytes(32))
    for bad in ("", "00", "G" * 64, "A" * 64, "../" + "0" * 61, "0" * 63 + "\n", "0" * 65):
        with pytest.raises(InvalidInput):
            BlobId.parse(bad)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a/../b",
        "..",
        "a\0b",
        "x" * 256,
        ".mstore",
        ".MStore/HEAD",
        "a/.mstore/x",
        ".mstore.",
        ".mstore ",
        ".mstore::$INDEX_ALLOCATION",
        "MSTORE~1",
        ".m\u200cstore",
        "\uff0emstore",
        ".\uff4dstore",
        "\udcff",
    ],
)
def test_paths_that_no_manifest_may_hold(path: str) -> None:
    with pytest.raises(BadPath):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["a", "a/b.c", "-rf", "..a", ".mstoreignore", "mstore", "ü/漢", "a b", "x" * 255]
)
def test_paths_that_a_manifest_may_hold(path: str) -> None:
    assert check_path(path) == path
