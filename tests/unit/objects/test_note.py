"""The note: a late fact about another object."""

from __future__ import annotations

import pytest

from mstore.errors import BadEncoding
from mstore.objects import CommitId, Note, NoteId, Time, decode, encode

RAW = bytes(range(32))
NOTE = Note(CommitId(RAW), "facts", {"metrics": {"a": 1.0}}, "Ada", Time(1, 0))


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


def test_a_subject_of_no_known_kind() -> None:
    encoded = encode({**decode(NOTE.encoded, "x"), "subject_kind": 9})
    with pytest.raises(BadEncoding, match="refers to an object of the unknown kind 9"):
        Note.decode(encoded)
