"""What identifies the tensors of a model directory, and which bytes are read for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mstore.modeldir.digests import tensor_digests, weights_of
from mstore.objects import (
    Layout,
    ManifestFile,
    Segment,
    TensorEntry,
    blob_id,
    tensor_blobs,
    weights_id_of,
)

SMALL, LARGE = b"small" * 2, bytes(range(256)) * 40


def _layout(*sizes: int) -> Layout:
    """Tensors of bytes, one after the other, from byte 8."""
    begin, found = 8, []
    for number, size in enumerate(sizes):
        found.append(TensorEntry(f"t{number}", "U8", (size,), begin, begin + size))
        begin += size
    return Layout("safetensors", tuple(found))


def _entry(*segments: tuple[bytes, int, int]) -> ManifestFile:
    cut = tuple(Segment(blob_id(blob), offset, length) for blob, offset, length in segments)
    return ManifestFile("a.safetensors", "weights", sum(s.length for s in cut), cut)


def test_a_tensor_that_is_a_blob_needs_no_reading() -> None:
    layout = _layout(len(LARGE), len(SMALL), len(LARGE))
    mixed = b"headhead" + SMALL
    entry = _entry(
        (mixed, 0, 8), (LARGE, 0, len(LARGE)), (mixed, 8, len(SMALL)), (LARGE, 0, len(LARGE))
    )
    assert tensor_blobs(entry, layout) == {0: blob_id(LARGE), 2: blob_id(LARGE)}
    content = b"headhead" + LARGE + SMALL + LARGE
    reads: list[tuple[int, int]] = []

    @contextmanager
    def open_file(path: str) -> Iterator[Callable[[int, int], bytes]]:
        assert path == "a.safetensors"

        def read(offset: int, size: int) -> bytes:
            reads.append((offset, size))
            return content[offset : offset + size]

        yield read

    assert tensor_digests(entry, layout, open_file) == [blob_id(LARGE), blob_id(SMALL), blob_id(LARGE)]
    assert reads == [(8 + len(LARGE), len(SMALL))]


def test_where_all_tensors_are_blobs_no_file_is_opened() -> None:
    layout = _layout(len(LARGE))

    def open_file(path: str) -> Any:
        raise AssertionError(path)

    entry = _entry((b"headhead", 0, 8), (LARGE, 0, len(LARGE)))
    assert tensor_digests(entry, layout, open_file) == [blob_id(LARGE)]


def test_a_part_of_a_blob_is_no_tensors_blob() -> None:
    """Where the same blob stands whole elsewhere, its part has another digest."""
    layout = _layout(100, len(LARGE))
    entry = _entry((b"headhead", 0, 8), (LARGE, 0, 100), (LARGE, 0, len(LARGE)))
    assert tensor_blobs(entry, layout) == {1: blob_id(LARGE)}


def _file(path: str, role: str, content: bytes) -> ManifestFile:
    segments = (Segment(blob_id(content), 0, len(content)),) if content else ()
    return ManifestFile(path, role, len(content), segments)


def test_each_folder_with_weights_has_an_id_whatever_its_shards() -> None:
    layout = Layout("safetensors", (TensorEntry("w", "U8", (len(LARGE),), 0, len(LARGE)),))
    other = Layout("safetensors", (TensorEntry("v", "U8", (len(SMALL),), 0, len(SMALL)),))
    both = Layout(
        "safetensors",
        (*layout.tensors, TensorEntry("v", "U8", (len(SMALL),), len(LARGE), len(LARGE) + len(SMALL))),
    )
    whole = ManifestFile(
        "one/m.safetensors",
        "weights",
        len(LARGE) + len(SMALL),
        (Segment(blob_id(LARGE), 0, len(LARGE)), Segment(blob_id(SMALL), 0, len(SMALL))),
    )
    files = [
        whole,
        _file("two/m-1.safetensors", "weights", LARGE),
        _file("two/m-2.safetensors", "weights", SMALL),
        _file("config.json", "config", SMALL),
        _file("three/m.safetensors", "weights", LARGE),
    ]
    layouts = {
        "one/m.safetensors": both,
        "two/m-1.safetensors": layout,
        "two/m-2.safetensors": other,
        "three/m.safetensors": layout,
    }
    found = weights_of({f.path: f for f in files}, layouts, lambda path: None)  # type: ignore[arg-type, return-value]
    assert set(found) == {"one", "two", "three"}
    assert found["one"] == found["two"] != found["three"]


def test_weights_of_a_form_that_is_not_read_are_one_tensor_of_bytes() -> None:
    entries = {
        f.path: f for f in (_file("m.gguf", "weights", LARGE), _file("empty.gguf", "weights", b""))
    }
    found = weights_of(entries, {}, lambda path: None)  # type: ignore[arg-type, return-value]
    assert found == {"": weights_id_of([("m.gguf", "opaque", (len(LARGE),), blob_id(LARGE))])}
