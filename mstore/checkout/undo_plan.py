"""Plan an undo: which moves of refs, which HEAD and which files would be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mstore.context import Context, ref_move
from mstore.errors import Corrupt, NotFound, RefMoved, UsageError
from mstore.history.reflog import reflog
from mstore.history.status import compare_folder
from mstore.objects import ID_TYPES, CommitId, Kind, ObjectId
from mstore.plan import Plan
from mstore.text import counted

if TYPE_CHECKING:
    from mstore.workspace import Operation, RefMove, Workspace


@dataclass(frozen=True, kw_only=True)
class UndoPlan(Plan):
    """The plan of an undo.

    Args:
        action: what would be undone.
        moves: moves of refs that are taken back, in the order in which they were made.
        operation: the workspace's operation; None where one ref alone was named.
        void: later operations that never came to anything, whose records are dropped.
    """

    action: str
    moves: tuple[RefMove, ...]
    operation: Operation | None = None
    void: tuple[Operation, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the model directory that may be put back."""
        return self.operation.touched if self.operation is not None else ()

    def __str__(self) -> str:
        lines = [f"would undo: {self.action}"]
        for move in reversed(self.moves):
            target = move.old[:12] if move.old is not None else "(gone)"
            lines.append(f"would move {move.ref.partition('/')[2]} → {target}")
        if self.operation is not None and self.operation.head is not None:
            before = self.operation.head[0]
            lines.append(f"would move HEAD → {before.get('branch') or before.get('commit', '')[:12]}")
        if self.files:
            folder = self.operation and self.operation.folder
            lines.append(f"would restore {counted(len(self.files), 'file')} of {folder}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give the plan as JSON values."""
        operation = self.operation
        head = operation.head[0] if operation is not None and operation.head is not None else None
        return {
            "action": self.action,
            "refs": [
                dict(zip(("kind", "name", "id"), (*kind_and_name(move.ref), move.old), strict=True))
                for move in reversed(self.moves)
            ],
            "head": (
                {"branch": head.get("branch"), "id": head.get("commit") or None}
                if head is not None
                else None
            ),
            "path": operation.folder if operation is not None else None,
            "restored": list(self.files),
        }


def kind_and_name(ref: str) -> tuple[Literal["branch", "tag", "note"], str]:
    """Split a ref into its kind and its name without namespace."""
    namespace, _, name = ref.partition("/")
    kinds: dict[str, Literal["branch", "tag", "note"]] = {"heads": "branch", "tags": "tag"}
    return kinds.get(namespace, "note"), name


def plan_undo(context: Context, name: str | None = None) -> UndoPlan:
    """Find what undo would take back; changes nothing. Arguments and errors as those of `undo`."""
    if name is not None:
        return _plan_ref(context, name)
    workspace = context.need_workspace("undo without a name")
    void: list[Operation] = []
    for operation in reversed(workspace.operations()):
        if not _never_happened(context, workspace, operation):
            check_refs_unmoved(context, operation)
            return UndoPlan(
                action=operation.action,
                moves=operation.moves,
                operation=operation,
                void=tuple(void),
            )
        void.append(operation)
    raise UsageError("nothing to undo")


def _plan_ref(context: Context, name: str) -> UndoPlan:
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
    return UndoPlan(action=f"{last.move.action} on {name}", moves=(ref_move(full, last.old, last.new),))


def targets_of(move: RefMove) -> tuple[ObjectId | None, ObjectId | None]:
    """Give the ids that a move remembers: after it, and before it."""
    make = ID_TYPES[Kind[move.kind.upper()]]
    new, old = (make.parse(text) if text else None for text in (move.new, move.old))
    return new, old


def check_refs_unmoved(context: Context, operation: Operation) -> None:
    """Check, before any ref is moved, that all are as the operation left them. Raises RefMoved."""
    for move in operation.moves:
        value = context.store.refs.read(move.ref)
        if (value.target.hex if value is not None else None) not in (move.new, move.old):
            raise RefMoved(
                move.ref.partition("/")[2],
                hint="`mstore reflog` shows who moved it",
            )


def _never_happened(context: Context, workspace: Workspace, operation: Operation) -> bool:
    """Return whether a process was killed between recording an operation and doing any of it.

    A move that happened is in the ref's reflog, wherever the ref is now; a checkout's files
    are written before its record; HEAD is moved by this workspace's operations alone.
    """
    if operation.undoing or backup_of(workspace, operation)[0] is not None:
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


def backup_of(workspace: Workspace, operation: Operation) -> tuple[Path | None, Path | None]:
    """Return where the copies of an operation lie, and where they are moved back from.

    They are renamed before the first one is moved, so that an undo that was killed is
    distinguished from one that has not begun: both paths are the same then. None, None: there are none.
    """
    if operation.backup is None:
        return None, None
    backup = workspace.path / "undo" / operation.backup
    source = backup.with_name(f"{backup.name}.back")
    if source.is_dir():
        return source, source
    return (backup, source) if backup.is_dir() else (None, None)
