"""undo: take back the last move of a ref, or the last operation of a workspace."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mstore.context import Context, defer_unconfirmed, peeled, ref_move
from mstore.errors import (
    Conflict,
    Corrupt,
    DurabilityUnknown,
    MStoreError,
    NotFound,
    RefMoved,
    StorageFailed,
    UsageError,
)
from mstore.fs.durable import make_folder
from mstore.history.reachability import check_complete
from mstore.history.reflog import reflog
from mstore.history.status import compare_folder
from mstore.objects import ID_TYPES, CommitId, Kind, ObjectId
from mstore.workspace import Head, Operation, RefMove, Workspace
from mstore.worktree.destination import Destination
from mstore.worktree.swap import move_in, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mstore.store import Move


@dataclass(frozen=True, kw_only=True)
class Undone:
    """What undo took back.

    Args:
        action: what was undone.
        refs: name without namespace → its target now, or None where it is gone.
        restored: files brought back.
    """

    action: str
    refs: Mapping[str, ObjectId | None]
    restored: tuple[str, ...] = ()


def undo(context: Context, name: str | None = None) -> Undone:
    """Take back one's own last move: of one ref, or the last operation of this workspace.

    Raises:
        UsageError: there is nothing to undo, or the move was somebody else's.
        RefMoved: the ref has moved on since.
    """
    if name is not None:
        return _undo_ref(context, name)
    workspace = context.need_workspace("undo without a name")
    for operation in reversed(workspace.operations()):
        if not _never_happened(context, workspace, operation):
            return _undo_operation(context, workspace, operation)
        workspace.forget_operation(operation)
    raise UsageError("nothing to undo")


def _never_happened(context: Context, workspace: Workspace, operation: Operation) -> bool:
    """Whether a process was killed between writing an operation down and doing any of it.

    A move that happened is in the ref's reflog, wherever the ref is now; a checkout's files
    are written before its record; HEAD is moved by this workspace's operations alone.
    """
    if operation.undoing or _copies(workspace, operation)[0] is not None:
        return False
    moves = [move for move in operation.moves if move.old != move.new]
    if any(_was_made(context, workspace, move) for move in moves):
        return False
    if operation.head is None:
        return bool(moves)
    before, after = ({k: v for k, v in s.items() if k != "at"} for s in operation.head)
    if workspace.head.to_dict() != before:
        return False
    if before == after:
        return False
    if operation.folder is None:
        return True
    if not Path(operation.folder).is_dir():
        return False
    at = operation.head[0]["at"]
    _, changes = compare_folder(context, Path(operation.folder), CommitId.parse(at) if at else None)
    return not set(changes.paths()) & set(operation.touched)


def _was_made(context: Context, workspace: Workspace, move: RefMove) -> bool:
    try:
        records = context.store.refs.log(move.ref)
    except NotFound:
        return False
    except Corrupt:
        return True
    here = (workspace.id, move.old, move.new)
    return any(
        here == (r.move.workspace, *(None if t is None else t.hex for t in (r.old, r.new)))
        for r in records
    )


def _undo_ref(context: Context, name: str) -> Undone:
    full, records = reflog(context, name)
    last = records[0]
    own = context.workspace.id if context.workspace is not None else None
    if last.move.workspace != own or last.move.author != context.author:
        who = last.move.author
        raise UsageError(
            f"the last move of {name} was not made here but by {who}", hint=f"`mstore reflog {name}`"
        )
    value = context.store.refs.read(full)
    if (value.target if value is not None else None) != last.new:
        raise RefMoved(name)
    with context.journaled(f"undo of {name}", ref_move(full, last.new, last.old)):
        _move_back(context, full, last.new, last.old, f"undo: {last.move.action}")
    return Undone(action=f"{last.move.action} on {name}", refs={name: last.old})


def _move_back(
    context: Context, ref: str, new: ObjectId | None, old: ObjectId | None, why: str
) -> None:
    move: Move = context.move("undo", why)
    with context.store.protecting(*([old] if old is not None else [])):
        if old is not None and not ref.startswith("notes/"):
            check_complete(context, peeled(context.store, old))
        context.store.refs.move(ref, old, move, expected=new)


def _undo_operation(context: Context, workspace: Workspace, operation: Operation) -> Undone:
    moved: dict[str, ObjectId | None] = {}
    refs = context.store.refs
    # Compare all before moving any.
    for ref in operation.moves:
        value = refs.read(ref.ref)
        if (value.target.hex if value is not None else None) not in (ref.new, ref.old):
            raise RefMoved(
                ref.ref.partition("/")[2], hint="somebody moved it on; `mstore reflog` shows who"
            )
        if ref.old is not None and not ref.ref.startswith("notes/"):
            check_complete(
                context, peeled(context.store, ID_TYPES[Kind[ref.kind.upper()]].parse(ref.old))
            )
    restored: tuple[str, ...] = ()
    unconfirmed: list[DurabilityUnknown] = []
    begun = False

    def begin() -> None:
        """Killed half-way, the next try goes on with this operation."""
        nonlocal begun, operation
        if not begun:
            workspace.mark_operation(operation)
            begun, operation = True, replace(operation, undoing=True)

    if operation.head is not None or operation.folder is not None:
        restored = _restore_files(context, workspace, operation, unconfirmed, begin)
    begin()
    for ref in reversed(operation.moves):
        make = ID_TYPES[Kind[ref.kind.upper()]]
        new, old = (make.parse(t) if t else None for t in (ref.new, ref.old))
        value = refs.read(ref.ref)
        if (value.target if value is not None else None) != old:
            with defer_unconfirmed(unconfirmed):
                _move_back(context, ref.ref, new, old, f"undo: {operation.action}")
        moved[ref.ref.partition("/")[2]] = old
        if (
            context.head is not None
            and operation.action.startswith("rename branch")
            and old is not None
        ):
            renamed = next((m.ref.partition("/")[2] for m in operation.moves if m.new), None)
            if context.head.branch == renamed:
                with defer_unconfirmed(unconfirmed):
                    workspace.set_head(Head(branch=ref.ref.partition("/")[2]))
    with contextlib.suppress(
        StorageFailed
    ):  # Undone it is; where the record stays, nothing is left to do.
        workspace.forget_operation(operation)
    if unconfirmed:
        raise unconfirmed[0]
    return Undone(action=operation.action, refs=moved, restored=restored)


def _restore_files(
    context: Context,
    workspace: Workspace,
    operation: Operation,
    unconfirmed: list[DurabilityUnknown],
    begin: Callable[[], None],
) -> tuple[str, ...]:
    """Put HEAD and files back to where they were before a checkout."""
    from mstore.checkout.execute import check_unchanged, put_back

    restored: list[str] = []
    if operation.head is not None:
        before, after = operation.head
        current = dict(workspace.head.to_dict().items())
        # An undo that was killed may have moved HEAD already.
        if not any(current == {k: v for k, v in s.items() if k != "at"} for s in (after, before)):
            raise Conflict("HEAD has moved since", hint="`mstore checkout` to where you want to be")
    folder = Path(operation.folder) if operation.folder is not None else None

    backup, going = _copies(workspace, operation)

    def stand() -> None:
        begin()
        with _beginning(backup, going):
            if operation.head is not None:
                document = {k: v for k, v in operation.head[0].items() if k != "at"}
                with defer_unconfirmed(unconfirmed):
                    context.set_head(Head.from_dict(document, "operations"))

    # Where an undo was killed among the copies, the files before them are back already.
    begun = operation.backup is not None and (backup is None or going == backup)
    if begun:
        stand()
    elif folder is not None and operation.head is not None:
        before = operation.head[0]
        at = CommitId.parse(before["at"]) if before.get("at") else None
        after_id = CommitId.parse(operation.head[1]["at"])
        put_back(context, folder, at, after_id, operation.touched, then=stand)
    elif folder is not None and folder.is_dir():
        if operation.version is not None and not operation.undoing:
            check_unchanged(context, folder, CommitId.parse(operation.version), operation.touched)
        begin()
        with Destination(folder) as destination:
            for path in operation.touched:
                remove(destination, path)
    if folder is not None and backup is not None and going is not None:
        import shutil

        try:
            with _beginning(backup, going):
                make_folder(folder)
            with Destination(folder) as destination:
                for source in sorted(p for p in going.rglob("*") if p.is_file()):
                    path = source.relative_to(going).as_posix()
                    move_in(source, destination, path)
                    restored.append(path)
        except (MStoreError, OSError) as error:
            raise StorageFailed(
                f"files that were replaced are not all back yet: {error}",
                hint=f"they lie in {going}; `mstore undo` again goes on",
            ) from error
        shutil.rmtree(going, ignore_errors=True)
    if folder is None:
        stand()
    return tuple(restored)


@contextlib.contextmanager
def _beginning(backup: Path | None, going: Path | None) -> Iterator[None]:
    """Around the first step after the files: what marks that the copies are next."""
    if backup is None or going is None or not backup.is_dir() or backup == going:
        yield
        return
    try:
        backup.rename(going)
    except OSError as error:
        raise StorageFailed(f"cannot rename {backup}: {error.strerror}", errno=error.errno) from error
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            going.rename(backup)
        raise


def _copies(workspace: Workspace, operation: Operation) -> tuple[Path | None, Path | None]:
    """Where the copies of an operation lie, and where they are moved back from.

    They are renamed before the first one is moved, so that an undo that was killed is
    told from one that has not begun: both paths are the same then. None, None: there are none.
    """
    if operation.backup is None:
        return None, None
    backup = workspace.path / "undo" / operation.backup
    going = backup.with_name(f"{backup.name}.back")
    if going.is_dir():
        return going, going
    return (backup, going) if backup.is_dir() else (None, None)
