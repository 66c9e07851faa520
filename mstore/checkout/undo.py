"""undo: take back the last move of a ref, or the last operation of a workspace."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mstore.checkout.put_back import check_unchanged, files_put_back
from mstore.checkout.undo_plan import UndoPlan, backup_of, check_refs_unmoved, plan_undo, targets_of
from mstore.context import Context, defer_unconfirmed, peeled, ref_move
from mstore.errors import (
    Conflict,
    DurabilityUnknown,
    MStoreError,
    StorageFailed,
)
from mstore.fs.durable import make_folder
from mstore.fs.failures import storage_failed
from mstore.history.reachability import check_complete
from mstore.objects import CommitId, ObjectId
from mstore.workspace import Head, Operation, RefMove, Workspace
from mstore.worktree.destination import Destination
from mstore.worktree.swap import move_in, remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, kw_only=True)
class Undone:
    """The result of an undo.

    Args:
        action: the operation that was undone.
        refs: name without namespace → its target now, or None where it is gone.
        restored: files put back.
    """

    action: str
    refs: Mapping[str, ObjectId | None]
    restored: tuple[str, ...] = ()


def undo(context: Context, name: str | None = None) -> Undone:
    """Undo one's own last move of a ref, or the last operation of this workspace.

    Args:
        context: the store, and the workspace if there is one.
        name: a ref; None: the last operation.

    Raises:
        UsageError: there is nothing to undo, or another user made the move.
        RefMoved: the ref has moved on since.
        Dirty: files were changed since.
    """
    return run_undo(context, plan_undo(context, name))


def run_undo(context: Context, plan: UndoPlan) -> Undone:
    """Run a plan; errors as those of `undo`.

    Args:
        context: the store, and the workspace if there is one.
        plan: from `plan_undo`.
    """
    if plan.operation is None:
        return _run_ref(context, plan)
    workspace = context.need_workspace("undo without a name")
    left = [operation for operation in workspace.operations() if operation not in plan.void]
    if not left or left[-1] != plan.operation:
        raise Conflict(
            "the last operation is another one than when this undo was planned",
            hint="nothing was undone; run the same command again",
        )
    for operation in plan.void:
        workspace.forget_operation(operation)
    return _Undoing(context, workspace, plan.operation).run()


def _run_ref(context: Context, plan: UndoPlan) -> Undone:
    (move,) = plan.moves
    new, old = targets_of(move)
    name = move.ref.partition("/")[2]
    action = plan.action.removesuffix(f" on {name}")
    with context.journaled(f"undo of {name}", ref_move(move.ref, new, old)):
        _move_back(context, move.ref, new, old, f"undo: {action}")
    return Undone(action=plan.action, refs={name: old})


def _move_back(
    context: Context, ref: str, new: ObjectId | None, old: ObjectId | None, why: str
) -> None:
    move = context.move("undo", why)
    with context.store.protecting(*([old] if old is not None else [])):
        if old is not None and not ref.startswith("notes/"):
            check_complete(context, peeled(context.store, old))
        context.store.refs.move(ref, old, move, expected=new)


class _Undoing:
    """One operation while it is taken back: files, then HEAD, then refs.

    An undo that is killed goes on where it stopped: the journal marks the operation before
    its first step, and the backup folder is renamed before the first copy is moved back.
    """

    def __init__(self, context: Context, workspace: Workspace, operation: Operation) -> None:
        self._context = context
        self._workspace = workspace
        self._operation = operation
        self._begun = False
        self._unconfirmed: list[DurabilityUnknown] = []
        self._backup, self._source = backup_of(workspace, operation)

    def run(self) -> Undone:
        """Take it back. Raises what `undo` raises."""
        operation = self._operation
        check_refs_unmoved(self._context, operation)
        self._check_complete()
        restored: tuple[str, ...] = ()
        if operation.head is not None or operation.folder is not None:
            restored = self._restore_files()
        self._begin()
        moved = {
            move.ref.partition("/")[2]: self._restore_ref(move) for move in reversed(operation.moves)
        }
        with contextlib.suppress(StorageFailed):
            # It is undone; where the record stays, nothing is left to do.
            self._workspace.forget_operation(self._operation)
        if self._unconfirmed:
            raise self._unconfirmed[0]
        return Undone(action=operation.action, refs=moved, restored=restored)

    def _check_complete(self) -> None:
        """Check that what refs go back to exists, before a file is touched. Raises NotFound."""
        for move in self._operation.moves:
            _, old = targets_of(move)
            if old is not None and not move.ref.startswith("notes/"):
                check_complete(self._context, peeled(self._context.store, old))

    def _begin(self) -> None:
        """Mark the operation: killed half-way, the next try goes on with it."""
        if not self._begun:
            self._workspace.mark_operation(self._operation)
            self._begun, self._operation = True, replace(self._operation, undoing=True)

    def _restore_ref(self, move: RefMove) -> ObjectId | None:
        context = self._context
        new, old = targets_of(move)
        value = context.store.refs.read(move.ref)
        if (value.target if value is not None else None) != old:
            with defer_unconfirmed(self._unconfirmed):
                _move_back(context, move.ref, new, old, f"undo: {self._operation.action}")
        renames = self._operation.action.startswith("rename branch") and old is not None
        if context.head is not None and renames:
            renamed = next((m.ref.partition("/")[2] for m in self._operation.moves if m.new), None)
            if context.head.branch == renamed:
                with defer_unconfirmed(self._unconfirmed):
                    self._workspace.set_head(Head(branch=move.ref.partition("/")[2]))
        return old

    # -- HEAD and files

    def _restore_files(self) -> tuple[str, ...]:
        """Put HEAD and files back to where they were before a checkout."""
        operation = self._operation
        self._check_head()
        folder = Path(operation.folder) if operation.folder is not None else None
        # Where an undo was killed among the copies, the files before them are back already.
        among_copies = operation.backup is not None and (
            self._backup is None or self._source == self._backup
        )
        if folder is None or among_copies:
            self._restore_head()
        elif operation.head is not None:
            before, after = operation.head
            at = CommitId.parse(before["at"]) if before.get("at") else None
            written = CommitId.parse(after["at"])
            with files_put_back(self._context, folder, at, written, operation.touched):
                self._restore_head()
        elif folder.is_dir():
            self._remove_written(folder)
        if folder is None or self._backup is None or self._source is None:
            return ()
        return self._restore_backup(folder, self._backup, self._source)

    def _check_head(self) -> None:
        if self._operation.head is None:
            return
        current = dict(self._workspace.head.to_dict().items())
        before, after = self._operation.head
        # An undo that was killed may have moved HEAD already.
        if not any(current == {k: v for k, v in s.items() if k != "at"} for s in (after, before)):
            raise Conflict("HEAD has moved since", hint="`mstore checkout` to where you want to be")

    def _restore_head(self) -> None:
        self._begin()
        with _backup_marked(self._backup, self._source):
            if self._operation.head is not None:
                document = {k: v for k, v in self._operation.head[0].items() if k != "at"}
                with defer_unconfirmed(self._unconfirmed):
                    self._context.set_head(Head.from_dict(document, "operations"))

    def _remove_written(self, folder: Path) -> None:
        """Remove the files that a checkout wrote into a named folder."""
        operation = self._operation
        if operation.version is not None and not operation.undoing:
            version = CommitId.parse(operation.version)
            check_unchanged(self._context, folder, version, operation.touched)
        self._begin()
        with Destination(folder) as destination:
            for path in operation.touched:
                remove(destination, path)

    def _restore_backup(self, folder: Path, backup: Path, source: Path) -> tuple[str, ...]:
        restored: list[str] = []
        try:
            with _backup_marked(backup, source):
                make_folder(folder)
            with Destination(folder) as destination:
                for copy in sorted(p for p in source.rglob("*") if p.is_file()):
                    path = copy.relative_to(source).as_posix()
                    move_in(copy, destination, path)
                    restored.append(path)
        except (MStoreError, OSError) as error:
            raise StorageFailed(
                f"not all replaced files are restored yet: {error}",
                hint=f"they are in {source}; run `mstore undo` again to finish",
            ) from error
        shutil.rmtree(source, ignore_errors=True)
        return tuple(restored)


@contextlib.contextmanager
def _backup_marked(backup: Path | None, source: Path | None) -> Iterator[None]:
    """Rename the backup folder to `*.back` first, so that an undo that was killed is recognised."""
    if backup is None or source is None or not backup.is_dir() or backup == source:
        yield
        return
    try:
        backup.rename(source)
    except OSError as error:
        raise storage_failed(error, f"cannot rename {backup}") from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            source.rename(backup)
        raise
