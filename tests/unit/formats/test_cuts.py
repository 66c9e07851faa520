"""Where files are cut, and the segments that put them together again."""

from __future__ import annotations

import pytest

from mstore.formats import Cut, cut, segments_of
from mstore.objects import Layout, Segment, TensorEntry, blob_id

MIB = 1 << 20


def layout(*ranges, dtype="F32"):
    return Layout("x", tuple(TensorEntry(f"t{i}", dtype, (), b, e) for i, (b, e) in enumerate(ranges)))


def test_no_layout_is_one_blob():
    assert cut(10, None) == (Cut(((0, 10),)),)
    assert cut(0, None) == ()
    assert cut(0, layout()) == ()
    assert cut(10, layout()) == (Cut(((0, 10),)),)


def test_tensors_of_4_kib_are_blobs_and_the_rest_is_one():
    cuts = cut(20_000, layout((100, 4196), (4196, 4200), (8000, 12095), (12095, 20_000)))
    assert cuts == (
        Cut(((0, 100), (4196, 12095 - 4196))),
        Cut(((100, 4096),), 4, True, "t0"),
        Cut(((12095, 20_000 - 12095),), 4, True, "t3"),
    )


def test_ranges_that_coincide_or_overlap_are_one():
    cuts = cut(30_000, layout((0, 10_000), (0, 10_000), (5000, 20_000), (20_000, 30_000)))
    assert [(c.pieces, c.name) for c in cuts] == [
        (((0, 20_000),), "t0"),
        (((20_000, 10_000),), "t3"),
    ]
    assert cut(20_000, layout((0, 5000), (0, 20_000)))[0].name == "t1"


def test_a_long_stretch_is_a_blob_of_its_own():
    cuts = cut(20 * MIB + 8192, layout((10, 4106), (20 * MIB, 20 * MIB + 4096)))
    assert Cut(((4106, 20 * MIB - 4106),)) in cuts
    assert Cut(((0, 10), (20 * MIB + 4096, 4096))) in cuts


def test_mixed_blobs_are_closed_past_16_mib():
    ranges, at = [], 0
    for _ in range(3):
        ranges.append((at + 9 * MIB, at + 9 * MIB + 4096))
        at += 9 * MIB + 4096
    mixed = [c for c in cut(at, layout(*ranges)) if c.name is None]
    assert [c.size_bytes for c in mixed] == [18 * MIB, 9 * MIB]


@pytest.mark.parametrize(
    ("dtype", "element"),
    [
        ("F32", (4, True)),
        ("BF16", (2, True)),
        ("F64", (8, True)),
        ("C64", (4, True)),
        ("C128", (8, True)),
        ("I64", (8, False)),
        ("U16", (2, False)),
        ("F8_E4M3", (1, True)),
        ("F6_E2M3", (1, False)),
        ("BOOL", (1, False)),
        ("of a later version", (1, False)),
    ],
)
def test_elements_for_the_codec(dtype, element):
    (made,) = cut(8192, layout((0, 8192), dtype=dtype))
    assert (made.width, made.is_float) == element


def test_entries_past_the_end_are_not_cut():
    assert cut(5000, layout((0, 9000))) == (Cut(((0, 5000),)),)


def test_segments():
    cuts = cut(10_000, layout((100, 5000)))
    mixed, tensor = blob_id(b"mixed"), blob_id(b"tensor")
    assert segments_of(10_000, cuts, [mixed, tensor]) == (
        Segment(mixed, 0, 100),
        Segment(tensor, 0, 4900),
        Segment(mixed, 100, 5000),
    )
    assert segments_of(0, (), ()) == ()


def test_neighbours_of_one_blob_are_one_segment():
    one = blob_id(b"x")
    assert segments_of(10, (Cut(((0, 4), (4, 6))),), [one]) == (Segment(one, 0, 10),)
    # Two equal blobs side by side begin again at 0.
    assert len(segments_of(10, (Cut(((0, 5),)), Cut(((5, 5),))), [one, one])) == 2


def test_cuts_that_do_not_cover():
    with pytest.raises(ValueError, match="do not meet"):
        segments_of(10, (Cut(((1, 9),)),), [blob_id(b"")])
    with pytest.raises(ValueError, match="end at byte"):
        segments_of(10, (Cut(((0, 9),)),), [blob_id(b"")])
