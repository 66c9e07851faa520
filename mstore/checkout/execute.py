"""checkout: a version becomes a model directory again, byte for byte.

It never edits a file. Three ways: into a folder that is absent or empty
(written beside it, then renamed), into a folder all of whose files the store
has, and in place (the model directory and HEAD move). A plan is made first;
what it would lose refuses it, and `--force` keeps a copy of that for `undo`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from mstore.checkout.load_snippet import base_source, line_that_loads
from mstore.context import Context, defer_unconfirmed, display_path, ref_move
from mstore.errors import (
    BadPath,
    Conflict,
    Dirty,
    DurabilityUnknown,
    MStoreError,
    StorageFailed,
    UsageError,
)
from mstore.formats import check_index
from mstore.fs.durable import UnconfirmedChange, confirm_folder, make_folder
from mstore.history.query.resolve import Resolved, resolved
from mstore.history.status import changes_between, compare_folder
from mstore.modeldir.read import Tree, read_folder
from mstore.modeldir.stored_tree import StoredFolder, facts_of_manifest
from mstore.modeldir.visible import visible_manifest, what_is_forgotten
from mstore.objects import BlobId, Commit, CommitId, Manifest, ManifestFile
from mstore.store import check_ref_name
from mstore.text import escaped
from mstore.workspace import Head, Operation
from mstore.worktree.destination import TEMPORARY_PREFIX, Destination, check_paths
from mstore.worktree.scan import OpenFile
from mstore.worktree.staging import discard, make_staging, sweep_staging
from mstore.worktree.swap import (
    absent_folders,
    clear_obstruction,
    find_obstructions,
    move_in,
    move_out,
    put_in_place,
    remove_empty_folders,
    remove_folders,
    roll_back,
    stash_existing,
)
from mstore.worktree.writer import HELD_FROM_BYTES, LocalCopy, write_staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mstore.history.query.resolve import AnyRevision
    from mstore.progress import Progress


_OLD_FILES_AT_ONCE: Final = 64


@dataclass(frozen=True, kw_only=True)
class CheckoutResult:
    """What checkout did.

    Args:
        id: the commit.
        commit: its value.
        path: the folder written, or None where only HEAD moved.
        branch: the branch that HEAD now stands on, or None.
        written: files written.
        removed: files removed.
        unchanged: files that were right already.
        backup: where replaced files are kept, or None.
        detached: HEAD now stands on a commit alone.
        load: one line of Python that loads what was written, ready to paste, or None.
        base: where the base of an adapter was written, so that the line works here, or None.
        warnings: one sentence each.
    """

    id: CommitId
    commit: Commit
    path: Path | None
    branch: str | None = None
    written: int = 0
    removed: int = 0
    unchanged: int = 0
    backup: Path | None = None
    detached: bool = False
    load: str | None = None
    base: Path | None = None
    warnings: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.id.short} → {self.path}" if self.path is not None else self.id.short


@dataclass(frozen=True)
class _Plan:
    """What a checkout does to a folder that exists."""

    write: tuple[ManifestFile, ...]
    remove: tuple[str, ...]
    keep: int
    back_up: tuple[str, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return (*(f.path for f in self.write), *self.remove)


def checkout(
    context: Context,
    revision: AnyRevision,
    *,
    to: Path | None = None,
    force: bool = False,
    new_branch: str | None = None,
    progress: Progress | None = None,
) -> CheckoutResult:
    """Write a version into a folder.

    Args:
        context: the store, and the workspace if there is one.
        revision: what.
        to: the folder; None: the model directory, and HEAD moves.
        force: replace files that no commit holds, keeping a copy for `undo`.
        new_branch: make this branch at the revision and stand on it.
        progress: told of bytes written.

    Raises:
        Dirty: files would be lost.
        BadPath: the version, or the folder, breaks a rule of paths.
        Conflict: the new branch exists.
        UsageError, NotFound, Corrupt, StorageFailed.
    """
    version = resolved(context, revision)
    # No name may keep it, and gc run beside.
    with context.store.protecting(version.id):
        return _checkout(context, version, to, force, new_branch, progress)


def _checkout(
    context: Context,
    version: Resolved,
    to: Path | None,
    force: bool,
    new_branch: str | None,
    progress: Progress | None,
) -> CheckoutResult:
    warnings = [version.warning] if version.warning else []
    commit = context.store.commit(version.id)
    manifest = visible_manifest(context.store, version.id, commit)
    warnings += what_is_forgotten(context.store, version.id, commit)
    if any(f.path.endswith(".index.json") for f in manifest.files):
        # An index is input: one that leads out of its folder is not written anywhere.
        check_index(StoredFolder(context.store, manifest), allow_incomplete=True)
    if to is not None:
        if new_branch is not None:
            raise UsageError(
                "a new branch moves HEAD, and --to leaves it alone", hint="use one of them"
            )
        result = _checkout_to(context, version.id, commit, manifest, to, force, progress)
    else:
        branch = new_branch or version.branch
        result = _checkout_here(
            context, version.id, commit, manifest, branch, new_branch, force, progress
        )
    load: str | None = None
    base: Path | None = None
    if result.path is not None:
        load, base, warning = _to_paste(context, commit, manifest, result.path, progress)
        warnings += [warning] if warning else []
    return replace(result, warnings=(*warnings, *result.warnings), load=load, base=base)


def _to_paste(
    context: Context, commit: Commit, manifest: Manifest, path: Path, progress: Progress | None
) -> tuple[str | None, Path | None, str | None]:
    """The line that loads what was written, the base written beside it for that, and a warning."""
    facts = facts_of_manifest(context.store, manifest)
    source = base_source(context.store, commit, manifest, facts)
    base: Path | None = None
    warning: str | None = None
    if source is not None and source.commit is not None:
        base = path.with_name(f"{path.name}-base")
        wanted = visible_manifest(context.store, source.commit, context.store.commit(source.commit))
        try:
            if not os.path.lexists(base):
                _write_beside(context, wanted, base, progress)
            elif base.is_symlink() or changes_between(
                read_folder(base, exclude=context.own_folders), wanted
            ):
                raise Conflict(f"{display_path(base)} holds something else")
        except MStoreError as error:
            # The version itself is there; only the line cannot be made to work.
            warning = (
                f"the base of this adapter was not written: {error.message};"
                f" `mstore checkout {source.commit.short} --to DIR` writes it"
            )
            base = None
    return line_that_loads(facts, path, source, base), base, warning


# -- into a folder


def _checkout_to(
    context: Context,
    id: CommitId,
    commit: Commit,
    manifest: Manifest,
    to: Path,
    force: bool,
    progress: Progress | None,
) -> CheckoutResult:
    check_paths(manifest.files)
    try:
        status = os.lstat(to)
    except FileNotFoundError:
        _write_beside(context, manifest, to, progress)
        return CheckoutResult(id=id, commit=commit, path=to, written=len(manifest.files))
    except OSError as error:
        raise StorageFailed(f"cannot look at {to}: {error.strerror}", errno=error.errno) from error
    if stat.S_ISLNK(status.st_mode):
        raise BadPath(str(to), "is a symbolic link; name the folder itself")
    if not stat.S_ISDIR(status.st_mode):
        raise BadPath(str(to), "is a file, not a folder")
    if not os.listdir(to):
        _write_beside(context, manifest, to, progress)
        return CheckoutResult(id=id, commit=commit, path=to, written=len(manifest.files))
    tree = read_folder(to, exclude=context.own_folders)
    unknown = tuple(p for p, e in tree.entries.items() if not _store_has(context, e))
    occupied = _occupied(to, tree, manifest)
    unknown = (*unknown, *occupied)
    if unknown and not force:
        raise Dirty(
            f"{display_path(to)} holds {_count(unknown, 'file')} that no commit has: {_some(unknown)}",
            unknown,
            hint="--force replaces them and keeps a copy for `mstore undo`; or choose another folder",
        )
    plan = _plan(tree, manifest, back_up=tuple(tree.entries) if unknown else (), occupied=occupied)

    def remember(backup: Path | None) -> None:
        if context.workspace is None or backup is None:
            return
        operation = Operation(
            f"checkout {id.short} --to {to}",
            folder=str(to.resolve()),
            backup=backup.name,
            touched=plan.touched,
            version=id.hex,
        )
        with context.workspace.journaled(operation):
            pass  # What belongs to it is done; where this fails, it is taken back.

    backup = _apply(context, plan, manifest, to, tree, progress, remember)
    return CheckoutResult(
        id=id,
        commit=commit,
        path=to,
        written=len(plan.write),
        removed=len(plan.remove),
        unchanged=plan.keep,
        backup=backup,
    )


def _store_has(context: Context, entry: ManifestFile) -> bool:
    return all(context.store.has(s.blob) for s in entry.segments)


def _write_beside(context: Context, manifest: Manifest, to: Path, progress: Progress | None) -> None:
    """Write a new folder next to where it goes, then rename it there."""
    parent = to.absolute().parent
    beside = parent / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
    try:
        make_folder(parent)
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sweep_staging(above)
            local_copies = make_staging(beside.name, above)
        finally:
            os.close(above)
    except OSError as error:
        raise StorageFailed(f"cannot write in {parent}: {error.strerror}", errno=error.errno) from error
    try:
        with Destination(beside) as destination:
            check_paths(manifest.files, destination)
            staged = write_staged(
                context.store, manifest.files, destination, progress=_counted(manifest.files, progress)
            )
            put_in_place(destination, staged)
            discard(destination, staged)
        try:
            os.rename(beside, to)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise Conflict(f"{to} came into being meanwhile: {error.strerror}") from error
            what = f"cannot rename {beside.name} to {to}: {error.strerror}"
            raise StorageFailed(what, errno=error.errno) from error
        try:
            confirm_folder(parent)
        except UnconfirmedChange as error:
            raise error.explained(f"{to} was written") from error
    except DurabilityUnknown:
        raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        os.close(local_copies)


def _occupied(folder: Path, tree: Tree, manifest: Manifest) -> tuple[str, ...]:
    """Ignored files that lie where the version has files: nobody else has them."""
    with Destination(folder) as destination:
        paths = [f.path for f in manifest.files]
        return find_obstructions(destination, paths, tree.entries, tree.found.ignored)


def _plan(
    tree: Tree, manifest: Manifest, *, back_up: tuple[str, ...], occupied: tuple[str, ...] = ()
) -> _Plan:
    write = tuple(
        f
        for f in manifest.files
        if f.path not in tree.entries or tree.entries[f.path].segments != f.segments
    )
    target = manifest.by_path
    gone = tuple(p for p in tree.entries if p not in target)
    touched = {f.path for f in write} | set(gone)
    keep = len(manifest.files) - len(write)
    return _Plan(write, gone, keep, (*(p for p in back_up if p in touched), *occupied))


def _apply(
    context: Context,
    plan: _Plan,
    manifest: Manifest,
    folder: Path,
    tree: Tree,
    progress: Progress | None,
    then: Callable[[Path | None], None] = lambda backup: None,
) -> Path | None:
    """Carry a plan out, and `then` what belongs to it; gives the folder of the copies kept, if any.

    What fails, at whatever step, leaves everything as it was.
    """
    backup: Path | None = None
    if plan.back_up:
        # Beside a store without a workspace, the copies lie next to the folder.
        root = (
            context.workspace.path / "undo"
            if context.workspace is not None
            else folder.absolute().parent
        )
        name = (
            f"{context.workspace.next_operation():06d}"
            if context.workspace is not None
            else f"{folder.name}.replaced-{os.urandom(4).hex()}"
        )
        backup = root / name
        if os.path.lexists(backup):  # Of a checkout that was killed: what it saved stays.
            backup = root / f"{name}-{os.urandom(4).hex()}"
    moved: list[str] = []
    new: frozenset[int] = frozenset()
    with Destination(folder) as destination:
        check_paths(manifest.files, destination)
        absent = absent_folders(destination, [f.path for f in plan.write])
        with _open_local_copies(tree, plan.write) as local_copies:
            staged = write_staged(
                context.store,
                plan.write,
                destination,
                local_copies=local_copies,
                progress=_counted(plan.write, progress),
            )
        try:
            if backup is not None:
                for path in plan.back_up:
                    move_out(destination, path, backup / path)
                    moved.append(path)
            # Out of the way first: where a file was, the version may have a folder.
            new = stash_existing(destination, staged, plan.remove)
            put_in_place(destination, staged)
            then(backup)
        except BaseException:
            roll_back(destination, staged, plan.remove, new)
            for path in moved:
                with contextlib.suppress(MStoreError, OSError):
                    clear_obstruction(destination, staged, path)
                    move_in(cast("Path", backup) / path, destination, path)
            remove_folders(destination, absent)
            discard(destination, staged)
            raise
        discard(destination, staged)
        for path in plan.remove:
            remove_empty_folders(destination, path)
    return backup


@contextlib.contextmanager
def _open_local_copies(
    tree: Tree, files: tuple[ManifestFile, ...]
) -> Iterator[dict[BlobId, LocalCopy]]:
    """Blobs of files to be written that lie whole in files of the folder, these being open."""
    wanted = {s.blob for f in files for s in f.segments if s.length >= HELD_FROM_BYTES and not s.offset}
    local_copies: dict[BlobId, LocalCopy] = {}
    with contextlib.ExitStack() as stack:
        opened = 0
        for file in tree.found.files:
            entry = tree.entries.get(file.path)
            if entry is None or opened == _OLD_FILES_AT_ONCE:
                continue
            position, found = 0, []
            for segment in entry.segments:
                if segment.blob in wanted and segment.blob not in local_copies and not segment.offset:
                    found.append((segment, position))
                position += segment.length
            if not found:
                continue
            try:
                source = stack.enter_context(OpenFile(file))
            except MStoreError:
                continue  # It was there a moment ago; the store has what it held.
            opened += 1
            for segment, at in found:
                local_copies[segment.blob] = LocalCopy(source.descriptor, at, segment.length)
        yield local_copies


def _counted(
    files: tuple[ManifestFile, ...], progress: Progress | None
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    total = sum(f.size_bytes for f in files)
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress("writing", done, total)

    return advance


# -- in place


def _checkout_here(
    context: Context,
    id: CommitId,
    commit: Commit,
    manifest: Manifest,
    branch: str | None,
    new_branch: str | None,
    force: bool,
    progress: Progress | None,
) -> CheckoutResult:
    if context.workspace is None:
        raise UsageError("without a workspace, checkout needs --to DIR")
    workspace = context.workspace
    if new_branch is not None:
        check_ref_name(new_branch)
        if context.branch_tip(new_branch) is not None:
            raise Conflict(
                f"branch {new_branch!r} exists", hint=f"`mstore checkout {new_branch}` goes there"
            )
    folder = workspace.unambiguous_model_dir()
    before = workspace.head
    after = Head(branch=branch) if branch is not None else Head(commit=id)
    at = context.head_commit()
    result = CheckoutResult(id=id, commit=commit, path=folder, branch=branch, detached=branch is None)
    backup: Path | None = None
    plan: _Plan | None = None
    if folder is None and id != at:
        raise UsageError(
            "this workspace has no model directory yet, so there is nowhere to write",
            hint="`mstore checkout REV --to DIR`, or `mstore config model-dir DIR` first",
        )

    unconfirmed: list[DurabilityUnknown] = []

    def then(written: _Plan | None, backup: Path | None) -> None:
        refs = context.store.refs
        operation = Operation(
            f"checkout {branch or id.short}",
            (ref_move(f"heads/{new_branch}", None, id),) if new_branch is not None else (),
            (_frozen(before, at), _frozen(after, id)),
            str(folder.resolve()) if folder is not None and written is not None else None,
            backup.name if backup is not None else None,
            written.touched if written is not None else (),
        )
        with context.prepare_head(after) as move_head, contextlib.ExitStack() as stack:
            if before != after or written is not None:
                stack.enter_context(workspace.journaled(operation))
            if new_branch is not None:
                move = context.move("branch", f"made at {id.short}")
                with defer_unconfirmed(unconfirmed):
                    refs.move(f"heads/{new_branch}", id, move, expected=None)
            try:
                with defer_unconfirmed(unconfirmed):
                    move_head()
            except MStoreError as error:
                if new_branch is not None:
                    move = context.move("branch", "HEAD could not follow")
                    try:
                        refs.move(f"heads/{new_branch}", None, move, expected=id)
                    except MStoreError:
                        # Even a record of its removal needs room.
                        error.hint = f"the branch stands: `mstore checkout {new_branch}` goes on"
                raise

    if folder is not None and (id != at or force):
        check_paths(manifest.files)
        plan, backup = _replace_files(context, folder, manifest, at, force, progress, then)
    else:
        then(None, None)
    if unconfirmed:
        raise unconfirmed[0]
    if plan is None:
        return result
    return replace(
        result,
        written=len(plan.write),
        removed=len(plan.remove),
        unchanged=plan.keep,
        backup=backup,
    )


def _frozen(head: Head, commit: CommitId | None) -> dict[str, str]:
    """HEAD as an operation remembers it, with the commit that its files were of."""
    document: Mapping[str, str] = head.to_dict()
    return {**document, "at": commit.hex if commit is not None else ""}


def _replace_files(
    context: Context,
    folder: Path,
    manifest: Manifest,
    at: CommitId | None,
    force: bool,
    progress: Progress | None,
    then: Callable[[_Plan, Path | None], None],
) -> tuple[_Plan, Path | None]:
    if folder.is_symlink():
        raise BadPath(str(folder), "is a symbolic link; checkout writes into folders only")
    if not folder.exists():
        plan = _Plan(manifest.files, (), 0, ())
        _write_beside(context, manifest, folder, progress)
        try:
            then(plan, None)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return plan, None
    tree, changes = compare_folder(context, folder, at)
    # A file that already is what the version wants is no loss.
    target = manifest.by_path
    lost = tuple(
        p
        for p in (*changes.added, *changes.changed)
        if p not in target or tree.entries[p].segments != target[p].segments
    )
    occupied = _occupied(folder, tree, manifest)
    removed = tuple(p for p in changes.removed if p in target)
    if (lost or occupied or removed) and not force:
        paths = (*lost, *occupied, *removed)
        raise Dirty(
            f"{display_path(folder)} has changes that no commit holds: {_some(paths)}",
            paths,
            hint="`mstore commit` keeps them; --force replaces them and keeps a copy for `mstore undo`",
        )
    plan = _plan(tree, manifest, back_up=lost, occupied=occupied)

    def then_all(backup: Path | None) -> None:
        then(plan, backup)

    return plan, _apply(context, plan, manifest, folder, tree, progress, then_all)


def _some(paths: tuple[str, ...]) -> str:
    named = ", ".join(escaped(p) for p in paths[:4])
    return named + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")


def _count(things: tuple[str, ...], noun: str) -> str:
    return f"{len(things)} {noun}{'s' if len(things) != 1 else ''}"


def check_unchanged(
    context: Context, folder: Path, version: CommitId, touched: tuple[str, ...]
) -> None:
    """Refuse to take back files that were changed since they were written.

    Raises:
        Dirty: some were.
    """
    _, changes = compare_folder(context, folder, version)
    _refuse_changed(folder, [p for p in changes.paths() if p in set(touched)])


def _refuse_changed(folder: Path, paths: Sequence[str]) -> None:
    if paths:
        raise Dirty(
            f"{display_path(folder)} was changed since: {_some(tuple(paths))}",
            tuple(paths),
            hint="`mstore commit` keeps that; then `mstore checkout` goes where you want",
        )


def put_back(
    context: Context,
    folder: Path,
    before: CommitId | None,
    after: CommitId,
    touched: tuple[str, ...],
    *,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Undo a checkout in place: what it wrote or removed becomes what it was in the version before.

    Args:
        context: the store, and the workspace if there is one.
        folder: the model directory.
        before: the version that it held; None: none.
        after: the version that checkout wrote.
        touched: paths that checkout wrote or removed; no other file is looked at.
        then: what belongs to it; where that fails, the files are as they were.

    Raises:
        Dirty: one of them was changed since.
    """
    if not folder.is_dir():
        raise Conflict(f"{folder} is gone")
    tree, changes = compare_folder(context, folder, after)
    target = Manifest(())
    if before is not None:
        target = visible_manifest(context.store, before, context.store.commit(before))

    def is_back(path: str) -> bool:
        """An undo that was killed had brought this one back."""
        entry, wanted = tree.entries.get(path), target.by_path.get(path)
        return (entry.segments if entry else None) == (wanted.segments if wanted else None)

    _refuse_changed(folder, [p for p in changes.paths() if p in set(touched) and not is_back(p)])
    plan = _plan(tree, target, back_up=())
    only = set(touched)
    plan = replace(
        plan,
        write=tuple(f for f in plan.write if f.path in only),
        remove=tuple(p for p in plan.remove if p in only),
    )
    _apply(context, plan, target, folder, tree, None, lambda backup: then())
