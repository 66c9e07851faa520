"""The note: a late fact about another object. Source: docs/format.md section 5.5."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from mstore.frozen import frozen
from mstore.objects.encoding import decode, encode
from mstore.objects.ids import Kind, NoteId, ObjectId, structured_id
from mstore.objects.keys import Keys, raw_id, subject_id
from mstore.objects.time import Time

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Note:
    """A fact about an object that became known after it was stored."""

    subject: ObjectId
    note_kind: str
    payload: Mapping[str, Any]
    author: str
    time: Time
    previous: NoteId | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        made: dict[str, Any] = {
            **self.extra,
            "subject": self.subject.raw,
            "subject_kind": int(self.subject.kind),
            "kind": self.note_kind,
            "payload": dict(self.payload),
            "author": self.author,
            "time": self.time.to_pair(),
        }
        if self.previous is not None:
            made["previous"] = self.previous.raw
        return encode(made)

    @cached_property
    def id(self) -> NoteId:
        """The id of the canonical bytes."""
        return cast("NoteId", structured_id(Kind.NOTE, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "note") -> Note:
        """Read a note. Raises BadEncoding."""
        keys = Keys(decode(encoded, what), what)
        previous = keys.take("previous", bytes, None)
        return cls(
            subject_id(keys, "subject", "subject_kind", what),
            keys.take("kind", str),
            keys.take("payload", dict),
            keys.take("author", str),
            Time.from_pair(keys.take("time", list), what),
            NoteId(raw_id(previous, what)) if previous is not None else None,
            keys.rest(),
        )
