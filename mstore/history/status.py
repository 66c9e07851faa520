"""status: HEAD, and what changed in the model directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mstore.compat import renamed_field
from mstore.errors import NotFound, UsageError
from mstore.formats import role_of
from mstore.modeldir.read import Tree, read_folder
from mstore.modeldir.visible import visible_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from mstore.backend import Activity
    from mstore.context import Context
    from mstore.objects import Commit, CommitId, Manifest


@dataclass(frozen=True)
class Changes:
    """The differences between a folder and a version; paths, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def paths(self) -> tuple[str, ...]:
        """Return all paths that changed."""
        return (*self.added, *self.changed, *self.removed)


@dataclass(frozen=True, kw_only=True)
class Status:
    """HEAD and the changes of a workspace.

    Args:
        branch: HEAD's branch, or None.
        commit: HEAD's commit, or None on an unborn branch.
        message: of that commit.
        model_dir: the model directory, or None while none is known.
        problem: why there is no clear model directory, or it cannot be read.
        changes: what differs in it from HEAD.
        ignored: ignored paths in it.
        branches: how many branches the store has.
        activity: what other commands do in the store, and what dead ones left, or None.
        trash_bytes: bytes in the trash.
        copies: folders of files that a killed `checkout --force` had replaced.
    """

    branch: str | None
    commit: CommitId | None
    message: str | None = None
    model_dir: Path | None = None
    problem: str | None = None
    changes: Changes = field(default_factory=Changes)
    ignored: tuple[str, ...] = ()
    branches: int = 0
    activity: Activity | None = None
    trash_bytes: int = 0
    copies: tuple[Path, ...] = ()

    left_out = renamed_field("left_out", "ignored")


def changes_between(tree: Tree, manifest: Manifest | None) -> Changes:
    """Compare a folder with a manifest."""
    there = manifest.by_path if manifest is not None else {}
    added, changed = [], []
    for path, entry in tree.entries.items():
        other = there.get(path)
        if other is None:
            added.append(path)
        elif entry.segments != other.segments:
            changed.append(path)
    removed = [path for path in there if path not in tree.entries]
    return Changes(tuple(added), tuple(changed), tuple(removed))


def uncommitted_roles(commit: Commit | None) -> frozenset[str]:
    """Give the roles that `commit --without` left out of a version."""
    recorded = commit.metadata.get("recorded") if commit is not None else None
    without = recorded.get("without") if isinstance(recorded, dict) else None
    return frozenset(str(r) for r in without) if isinstance(without, list) else frozenset()


def compare_folder(context: Context, folder: Path, id: CommitId | None) -> tuple[Tree, Changes]:
    """Read a folder, and compare it with a commit. Raises MStoreError."""
    store = context.store
    commit = store.commit(id) if id is not None else None
    manifest = visible_manifest(store, id, commit) if id is not None and commit is not None else None
    tree = read_folder(
        folder, cache=context.stat_cache, load_layout=store.layout, exclude=context.own_folders
    )
    changes = changes_between(tree, manifest)
    without = uncommitted_roles(commit)
    if without:
        added = tuple(p for p in changes.added if role_of(p) not in without)
        changes = Changes(added, changes.changed, changes.removed)
    return tree, changes


def status(context: Context) -> Status:
    """Describe HEAD and the changes in the model directory.

    Raises:
        UsageError: there is no workspace.
        InvalidInput: the model directory holds what cannot be committed.
    """
    workspace = context.need_workspace("status")
    head, id = workspace.head, context.head_commit()
    message = context.store.commit(id).message if id is not None else None
    branches = sum(1 for _ in context.store.refs.names("heads"))
    problem: str | None = None
    folder: Path | None = None
    changes = Changes()
    ignored: tuple[str, ...] = ()
    try:
        folder = workspace.unambiguous_model_dir()
        if folder is not None:
            tree, changes = compare_folder(context, folder, id)
            ignored = tree.found.ignored
    except (UsageError, NotFound) as error:
        problem = error.message
    return Status(
        branch=head.branch,
        commit=id,
        message=message,
        model_dir=folder,
        problem=problem,
        changes=changes,
        ignored=ignored,
        branches=branches,
        activity=context.store.activity(),
        copies=workspace.unclaimed_copies(),
        trash_bytes=sum(pack.size_bytes for pack in context.store.trash().values()),
    )
