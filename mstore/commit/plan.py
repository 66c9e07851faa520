"""Plan a commit: the folder, the branch, and whether anything changed at all.

Apart from the rest because most commits of a watched folder end here: what only a new
version needs (formats, codecs, threads) is not loaded for them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mstore.errors import Conflict, InvalidInput, UsageError
from mstore.frozen import frozen
from mstore.objects import ROLES, Commit, CommitId, Manifest, ManifestFile, holds_tensors
from mstore.plan import Plan
from mstore.store import check_ref_name
from mstore.text import display_path
from mstore.worktree.scan import Scan, checkpoints_in, scan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mstore.commit.options import CommitOptions
    from mstore.context import Context


@frozen(kw_only=True)
class CommitPlan(Plan):
    """The plan of a commit.

    Args:
        scan: the folder and its files.
        options: how to commit.
        named: the folder was named, not taken from the workspace.
        branch: where the commit goes.
        is_new: the branch has to be made.
        parent_id: the commit before it, or None.
        parent: its value.
        base_id: the version that it starts from, where one was named.
        cached: manifest entries, by path, of files that have not changed since they were read.
        read_at_ns: when `cached` was looked up, before any file is read; ns since 1970.
        unchanged: the folder is known to hold what the parent holds: no commit will be made.
    """

    scan: Scan
    options: CommitOptions
    named: bool
    branch: str
    is_new: bool
    parent_id: CommitId | None
    parent: Commit | None
    base_id: CommitId | None
    cached: Mapping[str, ManifestFile]
    read_at_ns: int
    unchanged: bool

    @property
    def size_bytes(self) -> int:
        """Bytes of all files that the commit holds."""
        return sum(file["size_bytes"] for file in self._files())

    @property
    def unread(self) -> tuple[str, ...]:
        """Paths of files that are new, or may have changed since they were last read."""
        return tuple(file["path"] for file in self._files() if not file["cached"])

    def _files(self) -> list[dict[str, Any]]:
        from mstore.formats import role_of

        files = []
        for file in self.scan.files:
            role = role_of(file.path)
            if role not in self.options.without:
                files.append(
                    {
                        "path": file.path,
                        "role": role,
                        "size_bytes": file.stamp.size_bytes,
                        "cached": file.path in self.cached,
                    }
                )
        return files

    def __str__(self) -> str:
        from mstore.text import counted, size

        where = f"{display_path(self.scan.root)} to {self.branch}"
        if self.unchanged and self.parent_id is not None:
            return f"would not commit {where}: nothing changed since {self.parent_id.short}"
        after = f"after {self.parent_id.short}" if self.parent_id is not None else "as a first version"
        files, unread = self._files(), self.unread
        return (
            f"would commit {where}{' (a new branch)' if self.is_new else ''} {after}:"
            f" {counted(len(files), 'file')}, {size(self.size_bytes)}, of which {len(unread)} may be"
            " new or changed"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        return {
            "path": str(self.scan.root),
            "branch": self.branch,
            "new_branch": self.is_new,
            "parent": self.parent_id.hex if self.parent_id is not None else None,
            "base": self.base_id.hex if self.base_id is not None else None,
            "message": self.options.message,
            "unchanged": self.unchanged,
            "size_bytes": self.size_bytes,
            "files": self._files(),
            "ignored": list(self.scan.ignored),
        }


def plan_commit(context: Context, path: Path | None, options: CommitOptions) -> CommitPlan:
    """Plan a commit; changes nothing.

    Args:
        context: the store, and the workspace if there is one.
        path: the folder; None: the model directory.
        options: how to commit.

    Raises:
        UsageError: no folder or no branch is clear.
        InvalidInput: the folder holds what cannot be stored, or no weights.
        NotFound, StorageFailed.
    """
    folder = path if path is not None else _model_dir(context)
    branch, parent_id, is_new = _branch(context, options)
    unknown = options.without - set(ROLES)
    if unknown:
        raise UsageError(
            f"no such role: {', '.join(sorted(unknown))}", hint="roles: " + ", ".join(ROLES)
        )
    if "recorded" in options.metadata:
        raise UsageError("the metadata key 'recorded' is mstore's own", hint="choose another name")
    base_id = None
    if options.base is not None:
        from mstore.history.query.resolve import resolved

        base_id = resolved(context, options.base).id
    found = scan(folder, exclude=context.own_folders)
    parent = context.store.commit(parent_id) if parent_id is not None else None
    read_at_ns = time.time_ns()
    cache = context.stat_cache
    cached = cache.find(found.files) if cache is not None else {}
    unchanged = (
        parent is not None and not options.allow_empty and _is_parent(cached, found, parent, options)
    )
    if not unchanged:
        _check_weights(found, options)
    return CommitPlan(
        scan=found,
        options=options,
        named=path is not None,
        branch=branch,
        is_new=is_new,
        parent_id=parent_id,
        parent=parent,
        base_id=base_id,
        cached=cached,
        read_at_ns=read_at_ns,
        unchanged=unchanged,
    )


def _model_dir(context: Context) -> Path:
    workspace = context.need_workspace("a commit that names no folder")
    folder = workspace.unambiguous_model_dir()
    if folder is None:
        raise UsageError(
            "no folder was named, and this workspace has no model directory yet",
            hint="`mstore commit DIR`: DIR is what `save_model` or `save_pretrained` wrote",
        )
    return folder


def _branch(context: Context, options: CommitOptions) -> tuple[str, CommitId | None, bool]:
    """Give the branch to append to, the parent, and whether the branch has to be made."""
    head = context.head
    branch = options.branch
    if branch is None:
        if head is None:
            raise UsageError(
                "without a workspace, a commit needs --branch", hint="`--branch main`, say"
            )
        if head.branch is None:
            raise UsageError(
                "HEAD is detached: it names a commit, and no branch",
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
    context.store.refs.check_new(f"heads/{branch}")
    if options.start is not None:
        from mstore.history.query.resolve import resolved

        return branch, resolved(context, options.start).id if options.start else None, True
    return branch, context.head_commit(), True


def _is_parent(
    cached: Mapping[str, ManifestFile], found: Scan, parent: Commit, options: CommitOptions
) -> bool:
    """Return whether the stat cache alone shows that the tree is its parent's, and is one to accept.

    What the parent was checked for (its shard index, say) is not checked again.
    """
    if options.strict or len(cached) < len(found.files):
        return False
    has_weights = any(holds_tensors(e.role, e.path) for e in cached.values())
    if not has_weights and not options.allow_no_weights:
        return False
    kept = [cached[p] for p in found.paths() if cached[p].role not in options.without]
    return Manifest.of(kept).id == parent.manifest


def _check_weights(found: Scan, options: CommitOptions) -> None:
    from mstore.formats import role_of

    if options.allow_no_weights or any(holds_tensors(role_of(p), p) for p in found.paths()):
        return
    name, checkpoints = display_path(found.root), checkpoints_in(found.root)
    if checkpoints:
        hint = (
            f"commit one: `mstore commit {name}/{checkpoints[-1]}`,"
            f" or all of them: `mstore import {name}`"
        )
    else:
        hint = "`--allow-no-weights` commits it anyway"
    raise InvalidInput(str(found.root), "holds no weights" if found.files else "is empty", hint=hint)
