"""Any bytes: parse() raises nothing but MStoreError, and cuts always add up to the file."""

from __future__ import annotations

import contextlib
import io
import json
import struct

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from mstore.errors import MStoreError
from mstore.formats import BytesSource, cut, holds_token, parse, segments_of
from mstore.objects import Layout, TensorEntry, blob_id

SETTINGS = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
NAMES = st.sampled_from(["a.safetensors", "a.pt", "a.bin", "a.ckpt", "a.json"])


def _torch(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


SAFE = save(
    {"a": torch.arange(8.0), "b": torch.zeros(2, 2).bfloat16(), "c": torch.zeros(0)}, {"k": "v"}
)
ZIP = _torch({"a": torch.arange(8.0), "o": {"b": [torch.zeros(2).bfloat16()]}, "n": 3, "s": "text"})
VALID = st.sampled_from([("a.safetensors", SAFE), ("a.pt", ZIP)])


def check(name: str, content: bytes) -> None:
    source = BytesSource(name, content)
    with contextlib.suppress(MStoreError):
        holds_token(source)
    for options in ({}, {"strict": True}, {"allow_opaque": True}):
        try:
            layout = parse(source, **options).layout
        except MStoreError:
            continue
        if layout is not None:
            assert Layout.decode(layout.encoded) == layout
            assert all(0 <= t.begin <= t.end <= len(content) for t in layout.tensors)
        assert_rebuilt(content, layout)


def assert_rebuilt(content: bytes, layout: Layout | None) -> None:
    cuts = cut(len(content), layout)
    blobs = [b"".join(content[o : o + n] for o, n in c.pieces) for c in cuts]
    ids = [blob_id(b) for b in blobs]
    by_id = dict(zip(ids, blobs, strict=True))
    segments = segments_of(len(content), cuts, ids)
    assert b"".join(by_id[s.blob][s.offset : s.offset + s.length] for s in segments) == content
    assert sum(c.size_bytes for c in cuts) == len(content)


@SETTINGS
@given(NAMES, st.binary(max_size=300))
def test_random_bytes(name, content):
    check(name, content)


@SETTINGS
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_random_headers(header, buffer):
    check("a.safetensors", struct.pack("<Q", len(header)) + header + buffer)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "U8", "F4"]) | VALUES,
        "shape": st.lists(st.integers(0, 4), max_size=2) | VALUES,
        "data_offsets": st.lists(st.integers(0, 16), min_size=2, max_size=2) | VALUES,
        "x": VALUES,
    },
)


@SETTINGS
@given(
    st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), ENTRIES | VALUES),
    st.binary(max_size=16),
)
def test_random_entries(header, buffer):
    raw = json.dumps(header).encode()
    check("a.safetensors", struct.pack("<Q", len(raw)) + raw + buffer)


@SETTINGS
@given(VALID, st.data())
def test_mutated_files(valid, drawn):
    name, content = valid
    changed = bytearray(content)
    for _ in range(drawn.draw(st.integers(1, 4))):
        at = drawn.draw(st.integers(0, len(changed) - 1))
        action = drawn.draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if action == "flip":
            changed[at] = drawn.draw(st.integers(0, 255))
        elif action == "cut":
            del changed[at : at + drawn.draw(st.integers(1, 64))]
        elif action == "insert":
            changed[at:at] = drawn.draw(st.binary(min_size=1, max_size=8))
        else:
            del changed[max(at, 1) :]
        if not changed:
            break
    check(name, bytes(changed))


@SETTINGS
@given(st.binary(max_size=120))
def test_random_pickles_in_a_sound_zip(pkl):
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", pkl)
        archive.writestr("a/data/0", bytes(range(40)))
    content = buffer.getvalue()
    check("a.pt", content)
    layout = parse(BytesSource("a.pt", content)).layout
    assert layout is not None
    assert sum(t.size_bytes for t in layout.tensors) >= 40


@SETTINGS
@given(
    st.integers(0, 60_000),
    st.lists(
        st.tuples(st.integers(0, 60_000), st.integers(0, 20_000), st.sampled_from(["F32", "I8", "?"]))
    ),
)
def test_cuts_cover_any_layout(size, ranges):
    tensors = tuple(TensorEntry(str(i), d, (), b, b + n) for i, (b, n, d) in enumerate(ranges))
    assert_rebuilt(bytes(size), Layout("x", tensors))
    pieces = sorted(p for c in cut(size, Layout("x", tensors)) for p in c.pieces)
    position = 0
    for begin, length in pieces:
        assert begin == position
        assert length > 0
        position += length
    assert position == size
