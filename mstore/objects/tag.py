"""The tag: a named, dated pointer. Source: docs/format.md section 5.6."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from mstore.frozen import frozen
from mstore.objects.encoding import decode, encode
from mstore.objects.ids import Kind, ObjectId, TagId, structured_id
from mstore.objects.keys import Keys, subject_id
from mstore.objects.time import Time

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Tag:
    """A named, dated pointer with a message."""

    target: ObjectId
    name: str
    message: str
    author: str
    time: Time
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        return encode(
            {
                **self.extra,
                "target": self.target.raw,
                "target_kind": int(self.target.kind),
                "name": self.name,
                "message": self.message,
                "author": self.author,
                "time": self.time.to_pair(),
            }
        )

    @cached_property
    def id(self) -> TagId:
        """The id of the canonical bytes."""
        return cast("TagId", structured_id(Kind.TAG, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "tag") -> Tag:
        """Read a tag. Raises BadEncoding."""
        keys = Keys(decode(encoded, what), what)
        return cls(
            subject_id(keys, "target", "target_kind", what),
            keys.take("name", str),
            keys.take("message", str),
            keys.take("author", str),
            Time.from_pair(keys.take("time", list), what),
            keys.rest(),
        )
