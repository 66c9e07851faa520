"""Notes and tags: the objects that are about another one."""

from __future__ import annotations

import pytest

from mstore.errors import BadEncoding
from mstore.objects import CommitId, Note, NoteId, Tag, Time, decode, encode

RAW = bytes(range(32))
NOTE = Note(CommitId(RAW), "facts", {"metrics": {"a": 1.0}}, "Ada", Time(1, 0))
TAG = Tag(CommitId(RAW), "v1", "first", "Ada", Time(1, 0))


def test_the_map_of_a_note() -> None:
    encoded = {
        "subject": RAW,
        "subject_kind": 4,
        "kind": "facts",
        "payload": {"metrics": {"a": 1.0}},
        "author": "Ada",
        "time": [1, 0],
    }
    assert decode(NOTE.encoded, "note") == encoded
    later = Note(CommitId(RAW), "facts", {}, "Ada", Time(2, 0), previous=NOTE.id)
    assert decode(later.encoded, "note")["previous"] == NOTE.id.raw
    assert Note.decode(later.encoded).previous == NoteId(NOTE.id.raw)


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


def test_a_subject_of_no_known_kind() -> None:
    for value, key in ((NOTE, "subject_kind"), (TAG, "target_kind")):
        encoded = encode({**decode(value.encoded, "x"), key: 9})
        with pytest.raises(BadEncoding, match="refers to an object of the unknown kind 9"):
            type(value).decode(encoded)
