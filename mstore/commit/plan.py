"""How a commit begins: the folder, the branch, and whether anything changed at all.

Apart from the rest because most commits of a watched folder end here: what only a new
version needs (formats, codecs, threads) is not loaded for them.
"""

from __future__ import annotations

import math
import time
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from mstore.compat import renamed_field
from mstore.errors import Conflict, UsageError
from mstore.frozen import frozen
from mstore.history.sizes import sizes_of_commit
from mstore.objects import (
    ROLES,
    Commit,
    CommitId,
    Manifest,
    ManifestFile,
    NoteId,
    holds_tensors,
)
from mstore.store import CommitSizes, check_ref_name
from mstore.worktree.scan import Scan, scan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mstore.context import Context
    from mstore.formats import Facts
    from mstore.history.query.resolve import AnyRevision


_NO_SIZES: Final = CommitSizes(0, 0, 0)


@frozen(kw_only=True)
class CommitOptions:
    """How to commit.

    Args:
        message: None: made from the facts.
        branch: append to this one; None: HEAD's.
        start: where a new branch begins: a revision, "" for a root, None for HEAD.
        base: revision of the model that this one starts from.
        without: roles to leave out.
        metadata: what was trained, how.
        metrics: numbers by name.
        append: follow whoever moved the branch meanwhile, instead of a conflict.
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


@frozen(kw_only=True)
class CommitResult:
    """What commit did.

    Args:
        id: the commit; the parent where nothing had changed.
        commit: its value.
        branch: the branch that holds it.
        created: False where the tree equals its parent's and no commit was made.
        note: the note that took new metrics where no commit was made.
        facts: what the directory says of itself; None where no commit was made.
        sizes: tensors, bytes, bytes that the parent lacks.
        new_bytes: raw bytes that the store lacked.
        stored_bytes: what they take in the store.
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

    def __str__(self) -> str:
        first = self.commit.message.partition("\n")[0]
        return f"[{self.branch} {self.id.short}] {first}"


@frozen(kw_only=True)
class CommitStart:
    """A commit that has something to do.

    Args:
        found: the folder and its files.
        named: the folder was named, not taken from the workspace.
        branch: where the commit goes.
        is_new: the branch has to be made.
        parent_id: the commit before it, or None.
        parent: its value.
        known: manifest entries, by path, of files that have not changed since they were read.
        read_at_ns: when `known` was looked up, before any file is read.
    """

    found: Scan
    named: bool
    branch: str
    is_new: bool
    parent_id: CommitId | None
    parent: Commit | None
    known: Mapping[str, ManifestFile]
    read_at_ns: int


def start_commit(
    context: Context, path: Path | None, options: CommitOptions
) -> CommitStart | CommitResult:
    """Begin a commit; where the stat cache shows that nothing changed, that is its end.

    Args:
        context: the store, and the workspace if there is one.
        path: the folder; None: the model directory.
        options: how.

    Raises:
        UsageError: no folder or no branch is clear.
        InvalidInput: the folder holds what cannot be stored.
        NotFound, StorageFailed.
    """
    folder = _folder(context, path)
    branch, parent_id, is_new = _branch(context, options)
    unknown = options.without - set(ROLES)
    if unknown:
        raise UsageError(
            f"no such role: {', '.join(sorted(unknown))}", hint="roles: " + ", ".join(ROLES)
        )
    found = scan(folder, exclude=context.own_folders)
    parent = context.store.commit(parent_id) if parent_id is not None else None
    read_at_ns = time.time_ns()
    known = context.workspace.stat_cache.find(found.files) if context.workspace is not None else {}
    if (
        parent is not None
        and parent_id is not None
        and not options.allow_empty
        and _is_parent(known, found, parent, options)
    ):
        return unchanged(
            context,
            branch,
            parent_id,
            parent,
            found,
            metrics=options.metrics,
            metadata=options.metadata,
        )
    return CommitStart(
        found=found,
        named=path is not None,
        branch=branch,
        is_new=is_new,
        parent_id=parent_id,
        parent=parent,
        known=known,
        read_at_ns=read_at_ns,
    )


def _folder(context: Context, path: Path | None) -> Path:
    if path is not None:
        return path
    workspace = context.need_workspace("a commit that names no folder")
    folder = workspace.unambiguous_model_dir()
    if folder is None:
        raise UsageError(
            "no folder was named, and this workspace has no model directory yet",
            hint="`mstore commit DIR`: DIR is what `save_model` or `save_pretrained` wrote",
        )
    return folder


def _branch(context: Context, options: CommitOptions) -> tuple[str, CommitId | None, bool]:
    """The branch to append to, the parent, and whether the branch has to be made."""
    head = context.head
    branch = options.branch
    if branch is None:
        if head is None:
            raise UsageError(
                "without a workspace, a commit needs --branch", hint="`--branch main`, say"
            )
        if head.branch is None:
            raise UsageError(
                "HEAD stands on a commit, not on a branch",
                hint="`--branch NAME` commits to a branch, a new one if need be",
            )
        branch = head.branch
    check_ref_name(branch)
    tip = context.branch_tip(branch)
    if tip is not None:
        if options.start is not None:
            start = str(getattr(options.start, "id", options.start))
            raise Conflict(f"branch {branch!r} exists, so it cannot begin at {start!r}")
        return branch, tip, False
    if options.start is not None:
        context.store.refs.check_new(f"heads/{branch}")
        from mstore.history.query.resolve import resolved

        return branch, resolved(context, options.start).id if options.start else None, True
    context.store.refs.check_new(f"heads/{branch}")
    return branch, context.head_commit(), True


def _is_parent(
    known: Mapping[str, ManifestFile], found: Scan, parent: Commit, options: CommitOptions
) -> bool:
    """Whether the stat cache alone shows that the tree is its parent's, and is one to accept.

    What the parent was checked for (its shard index, say) is not checked again.
    """
    if options.strict or len(known) < len(found.files):
        return False
    has_weights = any(holds_tensors(e.role, e.path) for e in known.values())
    if not has_weights and not options.allow_no_weights:
        return False
    kept = [known[p] for p in found.paths() if known[p].role not in options.without]
    return Manifest.of(kept).id == parent.manifest


def unchanged(
    context: Context,
    branch: str,
    parent_id: CommitId,
    parent: Commit,
    found: Scan,
    *,
    metrics: Mapping[str, float],
    metadata: Mapping[str, Any],
    warnings: tuple[str, ...] = (),
) -> CommitResult:
    """The end of a commit of what the branch has: a note, where there is something new to say."""
    note = _noted(context, parent_id, parent, metrics, metadata) if metrics or metadata else None
    return CommitResult(
        id=parent_id,
        commit=parent,
        branch=branch,
        created=False,
        note=note,
        sizes=sizes_of_commit(context.store, parent_id, parent),
        ignored=found.ignored,
        warnings=warnings,
    )


def _noted(
    context: Context,
    id: CommitId,
    commit: Commit,
    metrics: Mapping[str, float],
    metadata: Mapping[str, Any],
) -> NoteId | None:
    from mstore.commit.note import add_facts
    from mstore.store import late_facts
    from mstore.text import storable

    late = late_facts(context.store, id)
    known = {**commit.metrics, **late.metrics}
    said = {**commit.metadata, **late.metadata}
    payload: dict[str, Any] = {}
    new = {k: float(v) for k, v in metrics.items() if not _equal(known.get(k), float(v))}
    if new:
        payload["metrics"] = new
    more = {k: v for k, v in metadata.items() if k not in said or said[k] != v}
    if more:
        payload["metadata"] = storable(more)
    if not payload:
        return None
    return add_facts(context, id, payload, "later facts")


def _equal(one: float | None, other: float) -> bool:
    return one is not None and (one == other or (math.isnan(one) and math.isnan(other)))
