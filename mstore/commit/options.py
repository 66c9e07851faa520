"""The options and the result of a commit."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field
from mstore.frozen import frozen
from mstore.store import CommitSizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mstore.formats import Facts
    from mstore.history.query.resolve import AnyRevision
    from mstore.objects import Commit, CommitId, NoteId


_NO_SIZES: Final = CommitSizes(0, 0, 0)


@frozen(kw_only=True)
class CommitOptions:
    """The options of a commit.

    Args:
        message: None: made from the facts.
        branch: append to this one; None: HEAD's.
        start: where a new branch begins: a revision, "" for a root, None for HEAD.
        base: revision of the model that this one starts from.
        without: roles to leave out.
        metadata: values to record, by key.
        metrics: numbers by name.
        append: follow a branch that moved meanwhile, instead of a conflict.
        allow_empty: make a commit even if nothing changed.
        allow_no_weights: accept a folder without weights.
        allow_incomplete: accept an index whose shards are missing.
        allow_opaque: keep a broken .safetensors as bytes.
        strict: refuse unknown fields of safetensors.
        by_hand: a user named the folder; the first such becomes the model directory.
    """

    message: str | None = None
    branch: str | None = None
    start: AnyRevision | None = None
    base: AnyRevision | None = None
    without: frozenset[str] = frozenset()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    append: bool = False
    allow_empty: bool = False
    allow_no_weights: bool = False
    allow_incomplete: bool = False
    allow_opaque: bool = False
    strict: bool = False
    by_hand: bool = True

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> CommitOptions:
        """Make options of keywords; None means the default, roles may be any iterable.

        Raises:
            TypeError: there is no such option.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        if "without" in given:
            roles = given["without"]
            given["without"] = frozenset([roles] if isinstance(roles, str) else roles)
        return cls(**given)


@frozen(kw_only=True)
class CommitResult:
    """The result of a commit.

    Args:
        id: the commit; the parent where nothing had changed.
        commit: its value.
        branch: the branch that holds it.
        created: False where the tree equals its parent's and no commit was made.
        note: the note that took new metrics where no commit was made.
        facts: the facts of the directory; None where no commit was made.
        sizes: tensors, bytes, bytes that the parent lacks.
        new_bytes: raw bytes that the store lacked.
        stored_bytes: their size in the store.
        ignored: ignored paths.
        warnings: one sentence each.
    """

    id: CommitId
    commit: Commit
    branch: str
    created: bool
    note: NoteId | None = None
    facts: Facts | None = field(default=None, repr=False)
    sizes: CommitSizes = _NO_SIZES
    new_bytes: int = 0
    stored_bytes: int = 0
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    left_out = renamed_field("left_out", "ignored")

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole version."""
        return self.sizes.size_bytes

    @property
    def tensors(self) -> int:
        """Tensors in weights and adapters."""
        return self.sizes.tensors
