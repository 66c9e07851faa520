"""Manifests: which files hold tensors, order, and what is refused."""

from __future__ import annotations

import pytest

from mstore.errors import BadEncoding, BadPath
from mstore.objects import (
    LayoutId,
    Manifest,
    ManifestFile,
    Segment,
    blob_id,
    encode,
    holds_tensors,
)

BLOB = blob_id(b"x")
LAYOUT = LayoutId(bytes(32))


def _file(path: str, role: str = "weights", layout: LayoutId | None = None) -> ManifestFile:
    return ManifestFile(path, role, 6, (Segment(BLOB, 0, 4), Segment(BLOB, 0, 2)), layout)


@pytest.mark.parametrize(
    ("role", "path", "holds"),
    [
        ("weights", "model.safetensors", True),
        ("adapter", "a/adapter_model.bin", True),
        ("weights", "model.safetensors.index.json", False),
        ("adapter", "adapter_config.json", False),
        ("training-state", "optimizer.pt", False),
        ("other", "x.safetensors", False),
    ],
)
def test_which_files_hold_tensors(role: str, path: str, holds: bool) -> None:
    assert holds_tensors(role, path) is holds
    assert _file(path, role).holds_tensors is holds


def test_files_are_sorted_by_the_bytes_of_their_paths() -> None:
    manifest = Manifest.of([_file("b"), _file("é"), _file("a/z"), _file("B")])
    assert [f.path for f in manifest.files] == ["B", "a/z", "b", "é"]
    assert manifest.size_bytes == 24
    assert manifest.by_path["b"] is manifest.files[2]
    assert Manifest.decode(manifest.encoded) == manifest


def test_objects_are_the_blobs_and_the_layout() -> None:
    assert _file("a").objects == {BLOB}
    assert _file("a", layout=LAYOUT).objects == {BLOB, LAYOUT}


@pytest.mark.parametrize(
    ("paths", "error"), [(("b", "a"), BadEncoding), (("a", "a"), BadEncoding), (("../a",), BadPath)]
)
def test_order_and_paths_are_checked(paths: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        Manifest.decode(encode({"files": [_file(p).to_map() for p in paths]}))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"size": 7}, "m.bin: its segments do not add up to its size"),
        ({"segments": [[BLOB.raw, 0]]}, "m.bin: a segment must have three fields"),
        ({"segments": [[b"x", 0, 6]]}, "expected a 32-byte id, found b'x'"),
        ({"layout": b"x"}, "expected a 32-byte id, found b'x'"),
        ({"role": 1}, "the value of 'role' must be text"),
    ],
)
def test_a_file_that_breaks_a_rule(change: dict[str, object], rule: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        ManifestFile.from_map({**_file("m.bin").to_map(), **change}, "manifest 1")
    assert (caught.value.where, caught.value.rule) == ("manifest 1", rule)
