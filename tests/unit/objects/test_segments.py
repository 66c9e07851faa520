"""Which tensors are blobs by themselves."""

from __future__ import annotations

from mstore.objects import Layout, ManifestFile, Segment, TensorEntry, blob_id, tensor_blobs

MIXED, ONE, TWO = blob_id(b"mixed"), blob_id(b"one"), blob_id(b"two")


def _layout(*ranges: tuple[int, int]) -> Layout:
    return Layout("x", tuple(TensorEntry(f"t{i}", "U8", (), b, e) for i, (b, e) in enumerate(ranges)))


def _file(*segments: Segment) -> ManifestFile:
    return ManifestFile("x.pt", "weights", sum(s.length for s in segments), segments)


def test_a_whole_blob_at_the_place_of_a_tensor() -> None:
    file = _file(Segment(MIXED, 0, 10), Segment(ONE, 0, 50), Segment(MIXED, 10, 5), Segment(TWO, 0, 20))
    layout = _layout((2, 8), (10, 60), (60, 65), (65, 85), (65, 70))
    assert tensor_blobs(file, layout) == {1: ONE, 3: TWO}


def test_a_mixed_blob_that_begins_like_a_tensor_is_longer() -> None:
    file = _file(Segment(MIXED, 0, 10), Segment(ONE, 0, 50), Segment(MIXED, 10, 5))
    assert tensor_blobs(file, _layout((0, 10), (10, 60))) == {1: ONE}


def test_tied_tensors_are_one_blob() -> None:
    assert tensor_blobs(_file(Segment(ONE, 0, 50)), _layout((0, 50), (0, 50))) == {0: ONE, 1: ONE}
    assert tensor_blobs(_file(), _layout((0, 0))) == {}
