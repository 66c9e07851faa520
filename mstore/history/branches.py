"""branch, tag, reflog, undo: names for versions, and taking their moves back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mstore.backend import make_folder
from mstore.context import Place, going_on, peeled, ref_move
from mstore.errors import (
    Conflict,
    Corrupt,
    MStoreError,
    NotFound,
    RefMoved,
    RevisionNotFound,
    StorageFailed,
    Unconfirmed,
    UsageError,
)
from mstore.history.query.resolve import resolve
from mstore.history.status import compare_folder
from mstore.maintain.reachability import check_whole
from mstore.objects import ID_TYPES, Commit, CommitId, Kind, ObjectId, Tag, Time
from mstore.store import Record, check_ref_name
from mstore.store.transaction import Transaction
from mstore.workspace import Head, Operation, RefMove, Workspace
from mstore.worktree.writer import Destination, move_in, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mstore.store import Move, Refs


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch.

    Args:
        name: its name.
        id: its commit.
        commit: that commit's value.
        current: HEAD stands on it.
    """

    name: str
    id: CommitId
    commit: Commit
    current: bool


@dataclass(frozen=True, kw_only=True)
class TagEntry:
    """A tag; `tag` is None for one without a message."""

    name: str
    id: CommitId
    tag: Tag | None


def branches(place: Place) -> tuple[Branch, ...]:
    """All branches, by name."""
    head = place.head
    found = []
    for name, value in place.store.refs.all("heads").items():
        id = peeled(place.store, value.target)
        current = head is not None and head.branch == name
        found.append(Branch(name=name, id=id, commit=place.store.commit(id), current=current))
    return tuple(found)


def make_branch(
    place: Place, name: str, revision: str | None = None, *, force: bool = False
) -> CommitId:
    """Make a branch, or with `force` move one.

    Raises:
        Conflict: it exists, or collides with another name.
        Refused: the name is not allowed.
        UsageError: `force` would move the branch that HEAD stands on.
    """
    check_ref_name(name)
    id = resolve(place, revision or "HEAD").id
    refs = place.store.refs
    head = place.head
    try:
        before = refs.read(f"heads/{name}")
    except Exception:
        if not force:
            raise
        before = None
    if before is not None and not force:
        raise Conflict(f"branch {name!r} exists", hint=f"`mstore branch -f {name} REV` moves it")
    if before is not None and head is not None and head.branch == name and before.target != id:
        raise UsageError(
            f"{name!r} is the branch you stand on", hint=f"`mstore checkout {id.short}` first"
        )
    move = place.move("branch", f"{'moved to' if before else 'made at'} {id.short}")
    expected = before.target if before is not None else None
    with place.store.leaning_on(id):
        check_whole(place, id)
        with place.remembering(f"branch {name}", ref_move(f"heads/{name}", expected, id)):
            refs.move(f"heads/{name}", id, move, expected=expected, whatever=force)
    return id


def delete_branch(place: Place, name: str) -> CommitId:
    """Delete a branch; its commits stay until gc, and `undo` brings it back.

    Raises:
        RevisionNotFound: there is none.
        UsageError: HEAD stands on it.
    """
    head = place.head
    if head is not None and head.branch == name:
        raise UsageError(f"{name!r} is the branch you stand on", hint="checkout another one first")
    return _delete(place, "heads", name)


def _delete(place: Place, namespace: str, name: str) -> CommitId:
    value = place.store.refs.read(f"{namespace}/{check_ref_name(name)}")
    if value is None:
        raise RevisionNotFound(name)
    id = peeled(place.store, value.target)
    kind = "branch" if namespace == "heads" else "tag"
    full, move = f"{namespace}/{name}", place.move("delete", f"was {id.short}")
    with place.remembering(f"delete {kind} {name}", ref_move(full, value.target, None)):
        place.store.refs.move(full, None, move, expected=value.target)
    return id


def rename_branch(place: Place, old: str, new: str) -> None:
    """Give a branch another name; HEAD follows.

    Raises:
        RevisionNotFound: there is no such branch.
        Conflict: the new name is taken.
    """
    workspace = place.workspace
    if workspace is None or workspace.head.branch != old:
        _rename(place, "heads", old, new)
        return
    with place.standing(Head(branch=new)) as move_head:
        _rename(place, "heads", old, new, follow=move_head, stay=lambda: place.stand(Head(branch=old)))


def _rename(
    place: Place,
    namespace: str,
    old: str,
    new: str,
    *,
    follow: Callable[[], None] = lambda: None,
    stay: Callable[[], None] = lambda: None,
) -> None:
    refs = place.store.refs
    value = refs.read(f"{namespace}/{check_ref_name(old)}")
    if value is None:
        raise RevisionNotFound(old)
    was = place.move("rename", f"was {old}")
    there = refs.read(f"{namespace}/{check_ref_name(new)}")
    if there is not None and not (
        there.target == value.target and _is_last(refs, f"{namespace}/{new}", was)
    ):
        raise Conflict(f"{new!r} exists")
    kind = "branch" if namespace == "heads" else "tag"
    # The new name first: a crash in between leaves both, never neither, and the next try goes on.
    late: list[Unconfirmed] = []
    moves = (
        ref_move(f"{namespace}/{new}", None, value.target),
        ref_move(f"{namespace}/{old}", value.target, None),
    )
    with place.remembering(f"rename {kind} {old} to {new}", *moves):
        if there is None:
            with going_on(late):
                refs.move(f"{namespace}/{new}", value.target, was, expected=None)
        gone = place.move("rename", f"is now {new}")
        try:
            with going_on(late):
                follow()
            with going_on(late):
                refs.move(f"{namespace}/{old}", None, gone, expected=value.target)
        except MStoreError as error:
            back = place.move("rename", f"of {old} failed")
            try:
                stay()
                refs.move(f"{namespace}/{new}", None, back, expected=value.target)
            except MStoreError:
                error.hint = f"both names stand now: {old!r} and {new!r}; the same command goes on"
            raise
    if late:
        raise late[0]


def _is_last(refs: Refs, name: str, move: Move) -> bool:
    """Whether the last move of a ref was one like this, made here."""
    try:
        last = refs.log(name)[0].move
    except (Corrupt, NotFound):
        return False
    mine = (move.action, move.message, move.workspace)
    return (last.action, last.message, last.workspace) == mine


def tags(place: Place) -> tuple[TagEntry, ...]:
    """All tags, by name."""
    found = []
    for name, value in place.store.refs.all("tags").items():
        tag = place.store.tag(value.target) if value.target.kind is Kind.TAG else None  # type: ignore[arg-type]
        found.append(TagEntry(name=name, id=peeled(place.store, value.target), tag=tag))
    return tuple(found)


def make_tag(
    place: Place,
    name: str,
    revision: str | None = None,
    *,
    message: str | None = None,
    force: bool = False,
) -> CommitId:
    """Tag a version; with a message, by an object of its own.

    Raises:
        Conflict: it exists.
    """
    check_ref_name(name)
    id = resolve(place, revision or "HEAD").id
    before = place.store.refs.read(f"tags/{name}")
    if before is not None and not force:
        raise Conflict(f"tag {name!r} exists", hint="--force moves it")
    target: ObjectId = id
    expected = before.target if before is not None else None
    with place.store.leaning_on(id), contextlib.ExitStack() as stack:
        check_whole(place, id)
        if message is not None:
            tag = Tag(id, name, message, place.author, Time.now())
            transaction = stack.enter_context(Transaction(place.store, threads=1))
            transaction.put(tag)
            transaction.publish()
            target = tag.id
        move = place.move("tag", f"at {id.short}")
        with place.remembering(f"tag {name}", ref_move(f"tags/{name}", expected, target)):
            place.store.refs.move(f"tags/{name}", target, move, expected=expected)
    return id


def delete_tag(place: Place, name: str) -> CommitId:
    """Delete a tag. Raises RevisionNotFound."""
    return _delete(place, "tags", name)


def rename_tag(place: Place, old: str, new: str) -> None:
    """Give a tag another name. Raises RevisionNotFound, Conflict."""
    _rename(place, "tags", old, new)


# -- reflog and undo


def full_name(place: Place, name: str) -> str:
    """A ref with its namespace: a branch, else a tag, else one that has a reflog.

    Raises:
        RevisionNotFound: there is none.
    """
    if name in ("HEAD", "@"):
        head = place.head
        if head is None or head.branch is None:
            raise UsageError("HEAD stands on no branch", hint="name a branch")
        name = head.branch
    check_ref_name(name)
    refs = place.store.refs
    for namespace in ("heads", "tags"):
        if name in set(refs.names(namespace)):
            return f"{namespace}/{name}"
    for namespace in ("heads", "tags"):
        if name in refs.logged(namespace):
            return f"{namespace}/{name}"
    raise RevisionNotFound(name)


def reflog(place: Place, name: str | None = None) -> tuple[str, tuple[Record, ...]]:
    """Moves of a ref, the latest first, and the ref's name with namespace.

    Raises:
        RevisionNotFound, NotFound, Corrupt.
    """
    full = full_name(place, name or "HEAD")
    return full, place.store.refs.log(full)


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


def undo(place: Place, name: str | None = None) -> Undone:
    """Take back one's own last move: of one ref, or the last operation of this workspace.

    Raises:
        UsageError: there is nothing to undo, or the move was somebody else's.
        RefMoved: the ref has moved on since.
    """
    if name is not None:
        return _undo_ref(place, name)
    workspace = place.need_workspace("undo without a name")
    for operation in reversed(workspace.operations()):
        if not _never_happened(place, workspace, operation):
            return _undo_operation(place, workspace, operation)
        workspace.forget_operation(operation)
    raise UsageError("nothing to undo")


def _never_happened(place: Place, workspace: Workspace, operation: Operation) -> bool:
    """Whether a process was killed between writing an operation down and doing any of it.

    A move that happened is in the ref's reflog, wherever the ref is now; a checkout's files
    are written before its record; HEAD is moved by this workspace's operations alone.
    """
    if operation.undoing or _copies(workspace, operation)[0] is not None:
        return False
    moves = [move for move in operation.moves if move.old != move.new]
    if any(_was_made(place, workspace, move) for move in moves):
        return False
    if operation.head is None:
        return bool(moves)
    before, after = ({k: v for k, v in s.items() if k != "at"} for s in operation.head)
    if workspace.head.plain() != before:
        return False
    if before == after:
        return False
    if operation.folder is None:
        return True
    if not Path(operation.folder).is_dir():
        return False
    at = operation.head[0]["at"]
    _, changes = compare_folder(place, Path(operation.folder), CommitId.parse(at) if at else None)
    return not set(changes.paths()) & set(operation.touched)


def _was_made(place: Place, workspace: Workspace, move: RefMove) -> bool:
    try:
        records = place.store.refs.log(move.ref)
    except NotFound:
        return False
    except Corrupt:
        return True
    here = (workspace.id, move.old, move.new)
    return any(
        here == (r.move.workspace, *(None if t is None else t.hex for t in (r.old, r.new)))
        for r in records
    )


def _undo_ref(place: Place, name: str) -> Undone:
    full, records = reflog(place, name)
    last = records[0]
    own = place.workspace.id if place.workspace is not None else None
    if last.move.workspace != own or last.move.author != place.author:
        who = last.move.author
        raise UsageError(
            f"the last move of {name} was not made here but by {who}", hint=f"`mstore reflog {name}`"
        )
    value = place.store.refs.read(full)
    if (value.target if value is not None else None) != last.new:
        raise RefMoved(name)
    with place.remembering(f"undo of {name}", ref_move(full, last.new, last.old)):
        _move_back(place, full, last.new, last.old, f"undo: {last.move.action}")
    return Undone(action=f"{last.move.action} on {name}", refs={name: last.old})


def _move_back(place: Place, ref: str, new: ObjectId | None, old: ObjectId | None, why: str) -> None:
    move: Move = place.move("undo", why)
    with place.store.leaning_on(*([old] if old is not None else [])):
        if old is not None and not ref.startswith("notes/"):
            check_whole(place, peeled(place.store, old))
        place.store.refs.move(ref, old, move, expected=new)


def _undo_operation(place: Place, workspace: Workspace, operation: Operation) -> Undone:
    moved: dict[str, ObjectId | None] = {}
    refs = place.store.refs
    # Compare all before moving any.
    for ref in operation.moves:
        value = refs.read(ref.ref)
        if (value.target.hex if value is not None else None) not in (ref.new, ref.old):
            raise RefMoved(
                ref.ref.partition("/")[2], hint="somebody moved it on; `mstore reflog` shows who"
            )
        if ref.old is not None and not ref.ref.startswith("notes/"):
            check_whole(place, peeled(place.store, ID_TYPES[Kind[ref.kind.upper()]].parse(ref.old)))
    restored: tuple[str, ...] = ()
    late: list[Unconfirmed] = []
    begun = False

    def begin() -> None:
        """Killed half-way, the next try goes on with this operation."""
        nonlocal begun, operation
        if not begun:
            workspace.mark_operation(operation)
            begun, operation = True, replace(operation, undoing=True)

    if operation.head is not None or operation.folder is not None:
        restored = _restore_files(place, workspace, operation, late, begin)
    begin()
    for ref in reversed(operation.moves):
        make = ID_TYPES[Kind[ref.kind.upper()]]
        new, old = (make.parse(t) if t else None for t in (ref.new, ref.old))
        value = refs.read(ref.ref)
        if (value.target if value is not None else None) != old:
            with going_on(late):
                _move_back(place, ref.ref, new, old, f"undo: {operation.action}")
        moved[ref.ref.partition("/")[2]] = old
        if place.head is not None and operation.action.startswith("rename branch") and old is not None:
            renamed = next((m.ref.partition("/")[2] for m in operation.moves if m.new), None)
            if place.head.branch == renamed:
                with going_on(late):
                    workspace.set_head(Head(branch=ref.ref.partition("/")[2]))
    with contextlib.suppress(
        StorageFailed
    ):  # Undone it is; where the record stays, nothing is left to do.
        workspace.forget_operation(operation)
    if late:
        raise late[0]
    return Undone(action=operation.action, refs=moved, restored=restored)


def _restore_files(
    place: Place,
    workspace: Workspace,
    operation: Operation,
    late: list[Unconfirmed],
    begin: Callable[[], None],
) -> tuple[str, ...]:
    """Put HEAD and files back to where they were before a checkout."""
    from mstore.checkout.execute import check_unchanged, put_back

    restored: list[str] = []
    if operation.head is not None:
        before, after = operation.head
        current = dict(workspace.head.plain().items())
        # An undo that was killed may have moved HEAD already.
        if not any(current == {k: v for k, v in s.items() if k != "at"} for s in (after, before)):
            raise Conflict("HEAD has moved since", hint="`mstore checkout` to where you want to be")
    folder = Path(operation.folder) if operation.folder is not None else None

    backup, going = _copies(workspace, operation)

    def stand() -> None:
        begin()
        with _beginning(backup, going):
            if operation.head is not None:
                plain = {k: v for k, v in operation.head[0].items() if k != "at"}
                with going_on(late):
                    place.stand(Head.from_plain(plain, "operations"))

    # Where an undo was killed among the copies, the files before them are back already.
    begun = operation.backup is not None and (backup is None or going == backup)
    if begun:
        stand()
    elif folder is not None and operation.head is not None:
        before = operation.head[0]
        at = CommitId.parse(before["at"]) if before.get("at") else None
        after_id = CommitId.parse(operation.head[1]["at"])
        put_back(place, folder, at, after_id, operation.touched, then=stand)
    elif folder is not None and folder.is_dir():
        if operation.version is not None and not operation.undoing:
            check_unchanged(place, folder, CommitId.parse(operation.version), operation.touched)
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
