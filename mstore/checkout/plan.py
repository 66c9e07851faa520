"""Plan a checkout: which files are written, removed and kept, and which packs hold them.

What a checkout would lose refuses it here, before anything is written.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mstore.errors import BadPath, Conflict, Dirty, UsageError
from mstore.formats import check_index
from mstore.fs.failures import storage_failed
from mstore.history.query.resolve import Resolved, resolved
from mstore.history.status import compare_folder
from mstore.modeldir.read import Tree, read_folder
from mstore.modeldir.stored_tree import StoredFolder
from mstore.modeldir.visible import visible_manifest, what_is_forgotten
from mstore.plan import Plan
from mstore.store import check_ref_name
from mstore.text import counted, display_path, escaped, size
from mstore.worktree.destination import Destination, check_paths
from mstore.worktree.swap import find_obstructions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mstore.context import Context
    from mstore.history.query.resolve import AnyRevision
    from mstore.objects import Commit, CommitId, Manifest, ManifestFile, ObjectId
    from mstore.store import Store
    from mstore.workspace import Head


@dataclass(frozen=True)
class PackUse:
    """The part of a pack that a checkout reads.

    Args:
        pack: the pack's name.
        objects: how many blobs, delta bases included.
        size_bytes: their stored bytes.
    """

    pack: bytes
    objects: int
    size_bytes: int


@dataclass(frozen=True)
class FolderPlan:
    """The plan of a checkout for its folder.

    Args:
        path: the folder.
        is_new: it is absent or empty; the version is written beside it and renamed there.
        write: files to write.
        remove: paths to remove.
        unchanged: how many files are right already.
        back_up: paths of which a copy is kept for `undo`.
        tree: the folder as it was read; None where it is new.
    """

    path: Path
    is_new: bool
    write: tuple[ManifestFile, ...]
    remove: tuple[str, ...] = ()
    unchanged: int = 0
    back_up: tuple[str, ...] = ()
    tree: Tree | None = field(default=None, repr=False)

    @property
    def touched(self) -> tuple[str, ...]:
        """Paths that are written or removed."""
        return (*(f.path for f in self.write), *self.remove)


@dataclass(frozen=True, kw_only=True)
class CheckoutPlan(Plan):
    """The plan of a checkout.

    Args:
        id: the commit.
        commit: its value.
        manifest: its files, without those that were forgotten.
        path: the folder, or None where there is none and only HEAD moves.
        folder: what happens to it; None where its files stay as they are.
        in_place: HEAD moves.
        branch: the branch that HEAD will be on; None: none.
        new_branch: the branch that is made, or None.
        head: HEAD before; None where it stays.
        at: the commit that HEAD was on, or None.
        packs: the packs to be read, in the order of their first use.
        warnings: one sentence each.
    """

    id: CommitId
    commit: Commit
    manifest: Manifest = field(repr=False)
    path: Path | None
    folder: FolderPlan | None
    in_place: bool
    branch: str | None = None
    new_branch: str | None = None
    head: Head | None = None
    at: CommitId | None = None
    packs: tuple[PackUse, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        folder = self.folder
        where = display_path(self.path) if self.path is not None else "HEAD alone"
        lines = [f"would check out {self.id.short} → {where}"]
        if folder is not None:
            written = size(sum(f.size_bytes for f in folder.write))
            lines.append(
                f"would write {counted(len(folder.write), 'file')} ({written}), remove"
                f" {len(folder.remove)}, leave {folder.unchanged} unchanged, and keep copies of"
                f" {len(folder.back_up)} for `mstore undo`"
            )
            read = size(sum(p.size_bytes for p in self.packs))
            lines.append(f"would read {read} in {counted(len(self.packs), 'pack')}")
        if self.in_place:
            made = f"would point HEAD to {'the new ' if self.new_branch else ''}branch {self.branch}"
            lines.append(made if self.branch is not None else "would detach HEAD")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        folder = self.folder
        return {
            "id": self.id.hex,
            "path": str(self.path) if self.path is not None else None,
            "new_folder": folder.is_new if folder is not None else False,
            "write": [
                {"path": f.path, "role": f.role, "size_bytes": f.size_bytes}
                for f in (folder.write if folder is not None else ())
            ],
            "remove": list(folder.remove) if folder is not None else [],
            "unchanged_count": folder.unchanged if folder is not None else 0,
            "back_up": list(folder.back_up) if folder is not None else [],
            "packs": [
                {"pack": p.pack.hex(), "object_count": p.objects, "stored_bytes": p.size_bytes}
                for p in self.packs
            ],
            "moves_head": self.in_place,
            "branch": self.branch,
            "new_branch": self.new_branch is not None,
            "warnings": list(self.warnings),
        }


def plan_checkout(
    context: Context,
    revision: AnyRevision,
    *,
    to: Path | None = None,
    force: bool = False,
    new_branch: str | None = None,
) -> CheckoutPlan:
    """Plan a checkout; changes nothing.

    Args:
        context: the store, and the workspace if there is one.
        revision: the version.
        to: the folder; None: the model directory, and HEAD moves.
        force: replace files that no commit holds, keeping a copy for `undo`.
        new_branch: make this branch at the revision and move HEAD to it.

    Raises:
        Dirty: files would be lost.
        BadPath: the version, or the folder, breaks a rule of paths.
        Conflict: the new branch exists.
        UsageError, NotFound, Corrupt, StorageFailed.
    """
    version = resolved(context, revision)
    plan = plan_files(context, version, to=to, force=force, new_branch=new_branch)
    write = plan.folder.write if plan.folder is not None else ()
    return replace(plan, packs=packs_needed(context.store, write))


def plan_files(
    context: Context, version: Resolved, *, to: Path | None, force: bool, new_branch: str | None
) -> CheckoutPlan:
    """Plan a checkout without its packs, which only who runs it later, or elsewhere, needs to know.

    Arguments and errors are those of `plan_checkout`; the version is looked up already.
    """
    store = context.store
    commit = store.commit(version.id)
    manifest = visible_manifest(store, version.id, commit)
    warnings = [version.warning] if version.warning else []
    warnings += what_is_forgotten(store, version.id, commit)
    if any(f.path.endswith(".index.json") for f in manifest.files):
        # An index is input: one that leads out of its folder is not written anywhere.
        check_index(StoredFolder(store, manifest), allow_incomplete=True)
    plan = CheckoutPlan(
        id=version.id,
        commit=commit,
        manifest=manifest,
        path=to,
        folder=None,
        in_place=to is None,
        warnings=tuple(warnings),
    )
    if to is None:
        return _plan_in_place(context, plan, version, new_branch, force)
    if new_branch is not None:
        raise UsageError("a new branch moves HEAD, and --to leaves it alone", hint="use one of them")
    return replace(plan, folder=_plan_into(context, manifest, to, force))


def packs_needed(store: Store, files: Iterable[ManifestFile]) -> tuple[PackUse, ...]:
    """Find the packs that hold the blobs of some files and the delta bases of these.

    Args:
        store: where they are.
        files: files, in the order in which they are written.

    Returns:
        The packs, in the order in which they are first needed. Blobs that no known pack
        holds are left out: reading them looks further, or says what is lost.
    """
    used: dict[bytes, tuple[int, int]] = {}
    seen: set[ObjectId] = set()
    for file in files:
        waiting: list[ObjectId] = [segment.blob for segment in reversed(file.segments)]
        while waiting:
            blob = waiting.pop()
            if blob in seen:
                continue
            seen.add(blob)
            copy = next(store.copies(blob, known_only=True), None)
            if copy is None:
                continue
            objects, stored = used.get(copy.pack, (0, 0))
            used[copy.pack] = (objects + 1, stored + copy.frame.stored_size)
            if copy.frame.head.base is not None:
                waiting.append(copy.frame.head.base)
    return tuple(PackUse(pack, *counts) for pack, counts in used.items())


# -- into a folder


def _plan_into(context: Context, manifest: Manifest, to: Path, force: bool) -> FolderPlan:
    check_paths(manifest.files)
    try:
        status = os.lstat(to)
    except FileNotFoundError:
        return FolderPlan(to, True, manifest.files)
    except OSError as error:
        raise storage_failed(error, f"cannot look at {to}") from error
    if stat.S_ISLNK(status.st_mode):
        raise BadPath(str(to), "is a symbolic link; name the folder itself")
    if not stat.S_ISDIR(status.st_mode):
        raise BadPath(str(to), "is a file, not a folder")
    if not os.listdir(to):
        return FolderPlan(to, True, manifest.files)
    tree = read_folder(to, exclude=context.own_folders)
    unknown = tuple(p for p, e in tree.entries.items() if not _store_has(context.store, e))
    obstructions = _obstructions(to, tree, manifest)
    unknown = (*unknown, *obstructions)
    if unknown and not force:
        files = counted(len(unknown), "file")
        raise Dirty(
            f"{display_path(to)} holds {files} that no commit has: {some(unknown)}",
            unknown,
            hint="--force replaces them and keeps a copy for `mstore undo`; or choose another folder",
        )
    back_up = tuple(tree.entries) if unknown else ()
    return folder_plan(to, tree, manifest, back_up=back_up, obstructions=obstructions)


def _store_has(store: Store, entry: ManifestFile) -> bool:
    return all(store.has(s.blob) for s in entry.segments)


def _obstructions(folder: Path, tree: Tree, manifest: Manifest) -> tuple[str, ...]:
    """List ignored files that lie where the version has files: no other copy of them exists."""
    with Destination(folder) as destination:
        paths = [f.path for f in manifest.files]
        return find_obstructions(destination, paths, tree.entries, tree.found.ignored)


def folder_plan(
    path: Path,
    tree: Tree,
    manifest: Manifest,
    *,
    back_up: tuple[str, ...] = (),
    obstructions: tuple[str, ...] = (),
) -> FolderPlan:
    """Plan how a folder becomes a version.

    Args:
        path: the folder.
        tree: its files.
        manifest: the files that it is to hold.
        back_up: paths of which a copy is kept if they are touched.
        obstructions: ignored paths in the way, of which a copy is kept too.
    """
    write = tuple(
        f
        for f in manifest.files
        if f.path not in tree.entries or tree.entries[f.path].segments != f.segments
    )
    wanted = manifest.by_path
    remove = tuple(p for p in tree.entries if p not in wanted)
    touched = {f.path for f in write} | set(remove)
    return FolderPlan(
        path,
        False,
        write,
        remove,
        len(manifest.files) - len(write),
        (*(p for p in back_up if p in touched), *obstructions),
        tree,
    )


# -- in place


def _plan_in_place(
    context: Context, plan: CheckoutPlan, version: Resolved, new_branch: str | None, force: bool
) -> CheckoutPlan:
    if context.workspace is None:
        raise UsageError("without a workspace, checkout needs --to DIR")
    if new_branch is not None:
        check_ref_name(new_branch)
        if context.branch_tip(new_branch) is not None:
            raise Conflict(
                f"branch {new_branch!r} exists", hint=f"`mstore checkout {new_branch}` goes there"
            )
    folder, at = context.workspace.unambiguous_model_dir(), context.head_commit()
    plan = replace(
        plan,
        path=folder,
        branch=new_branch or version.branch,
        new_branch=new_branch,
        head=context.workspace.head,
        at=at,
    )
    if folder is None:
        if plan.id != at:
            raise UsageError(
                "this workspace has no model directory yet, so there is nowhere to write",
                hint="`mstore checkout REV --to DIR`, or `mstore config model-dir DIR` first",
            )
        return plan
    if plan.id == at and not force:
        return plan
    check_paths(plan.manifest.files)
    return replace(plan, folder=_plan_model_dir(context, folder, plan, force))


def _plan_model_dir(context: Context, folder: Path, plan: CheckoutPlan, force: bool) -> FolderPlan:
    if folder.is_symlink():
        raise BadPath(str(folder), "is a symbolic link; checkout writes into folders only")
    manifest = plan.manifest
    if not folder.exists():
        return FolderPlan(folder, True, manifest.files)
    tree, changes = compare_folder(context, folder, plan.at)
    # A file that already is what the version wants is no loss.
    wanted = manifest.by_path
    lost = tuple(
        p
        for p in (*changes.added, *changes.changed)
        if p not in wanted or tree.entries[p].segments != wanted[p].segments
    )
    obstructions = _obstructions(folder, tree, manifest)
    removed = tuple(p for p in changes.removed if p in wanted)
    if (lost or obstructions or removed) and not force:
        paths = (*lost, *obstructions, *removed)
        raise Dirty(
            f"{display_path(folder)} has changes that no commit holds: {some(paths)}",
            paths,
            hint="`mstore commit` keeps them; --force replaces them and keeps a copy for `mstore undo`",
        )
    return folder_plan(folder, tree, manifest, back_up=lost, obstructions=obstructions)


def some(paths: tuple[str, ...]) -> str:
    """List the first few of some paths, escaped."""
    named = ", ".join(escaped(p) for p in paths[:4])
    return named + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
