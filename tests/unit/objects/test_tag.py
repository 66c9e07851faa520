"""The tag: a named, dated pointer."""

from __future__ import annotations

import pytest

from mstore.errors import BadEncoding
from mstore.objects import CommitId, Tag, Time, decode, encode

RAW = bytes(range(32))
TAG = Tag(CommitId(RAW), "v1", "first", "Ada", Time(1, 0))


def test_the_map_of_a_tag() -> None:
    encoded = {
        "target": RAW,
        "target_kind": 4,
        "name": "v1",
        "message": "first",
        "author": "Ada",
        "time": [1, 0],
    }
    assert decode(TAG.encoded, "tag") == encoded
    assert Tag.decode(TAG.encoded) == TAG


def test_a_target_of_no_known_kind() -> None:
    encoded = encode({**decode(TAG.encoded, "x"), "target_kind": 9})
    with pytest.raises(BadEncoding, match="refers to an object of the unknown kind 9"):
        Tag.decode(encoded)


def test_a_tag_may_stand_on_a_tag_and_keys_of_a_later_version_stay() -> None:
    outer = Tag(TAG.id, "v2", "second", "Bo", Time(2, 60), {"signature": b"x"})
    again = Tag.decode(outer.encoded)
    assert again == outer and again.target == TAG.id and again.extra == {"signature": b"x"}
    assert again.id == outer.id != TAG.id
