"""The commit: a version of a model directory. Source: docs/format.md section 5.4."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from mstore.errors import BadEncoding
from mstore.frozen import frozen
from mstore.objects.encoding import decode, encode, metric
from mstore.objects.ids import CommitId, Kind, ManifestId, WeightsId, structured_id
from mstore.objects.keys import Keys, raw_id
from mstore.objects.time import Time

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Base:
    """The model that an adapter or fine-tune starts from, as far as it is known."""

    weights: WeightsId | None = None
    commit: CommitId | None = None
    name: str | None = None
    revision: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_map(self) -> dict[str, Any]:
        """Return the map that a commit holds."""
        made: dict[str, Any] = dict(self.extra)
        if self.weights is not None:
            made["weights"] = self.weights.raw
        if self.commit is not None:
            made["commit"] = self.commit.raw
        if self.name is not None:
            made["name"] = self.name
        if self.revision is not None:
            made["revision"] = self.revision
        return made

    @classmethod
    def from_map(cls, value: Any, what: str) -> Base:
        """Read a base's map. Raises BadEncoding."""
        keys = Keys(value, what)
        weights, commit = keys.take("weights", bytes, None), keys.take("commit", bytes, None)
        return cls(
            WeightsId(raw_id(weights, what)) if weights is not None else None,
            CommitId(raw_id(commit, what)) if commit is not None else None,
            keys.take("name", str, None),
            keys.take("revision", str, None),
            keys.rest(),
        )


@frozen
class Commit:
    """A version of a model directory, with the facts of how it was made."""

    parents: tuple[CommitId, ...]
    manifest: ManifestId
    author: str
    time: Time
    message: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, WeightsId] = field(default_factory=dict)
    base: Base | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes."""
        made: dict[str, Any] = {
            **self.extra,
            "parents": [p.raw for p in self.parents],
            "manifest": self.manifest.raw,
            "author": self.author,
            "time": self.time.to_pair(),
            "message": self.message,
            "metadata": dict(self.metadata),
            "metrics": {k: metric(v) for k, v in self.metrics.items()},
            "weights": {k: v.raw for k, v in self.weights.items()},
        }
        if self.base is not None:
            made["base"] = self.base.to_map()
        return encode(made)

    @cached_property
    def id(self) -> CommitId:
        """The id of the canonical bytes."""
        return cast("CommitId", structured_id(Kind.COMMIT, self.encoded))

    @classmethod
    def decode(cls, encoded: bytes, what: str = "commit") -> Commit:
        """Read a commit. Raises BadEncoding."""
        keys = Keys(decode(encoded, what), what)
        base = keys.take("base", dict, None)
        weights = keys.take("weights", dict)
        return cls(
            tuple(CommitId(raw_id(p, what)) for p in keys.take("parents", list)),
            ManifestId(raw_id(keys.take("manifest", bytes), what)),
            keys.take("author", str),
            Time.from_pair(keys.take("time", list), what),
            keys.take("message", str),
            keys.take("metadata", dict),
            _metrics(keys.take("metrics", dict), what),
            {k: WeightsId(raw_id(v, what)) for k, v in weights.items()},
            Base.from_map(base, what) if base is not None else None,
            keys.rest(),
        )


def _metrics(value: Any, what: str) -> dict[str, float]:
    if type(value) is not dict or any(type(v) is not float for v in value.values()):
        raise BadEncoding(what, "its metrics must be floats")
    return value
