"""branch: names that move on with each commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstore.context import Context, peeled, ref_move
from mstore.errors import Conflict, UsageError
from mstore.history.reachability import check_complete
from mstore.history.ref_moves import delete_ref, rename_ref
from mstore.store import check_ref_name
from mstore.workspace import Head

if TYPE_CHECKING:
    from mstore.objects import Commit, CommitId


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch.

    Args:
        name: its name.
        id: its commit.
        commit: that commit's value.
        current: HEAD points to it.
    """

    name: str
    id: CommitId
    commit: Commit
    current: bool


def branches(context: Context) -> tuple[Branch, ...]:
    """Return all branches, by name."""
    head = context.head
    found = []
    for name, value in context.store.refs.all("heads").items():
        id = peeled(context.store, value.target)
        current = head is not None and head.branch == name
        found.append(Branch(name=name, id=id, commit=context.store.commit(id), current=current))
    return tuple(found)


def make_branch(context: Context, name: str, id: CommitId, *, force: bool = False) -> CommitId:
    """Make a branch, or with `force` move one.

    Raises:
        Conflict: it exists, or collides with another name.
        InvalidInput: the name is not allowed.
        UsageError: `force` would move the current branch.
    """
    check_ref_name(name)
    refs = context.store.refs
    head = context.head
    try:
        before = refs.read(f"heads/{name}")
    except Exception:
        if not force:
            raise
        before = None
    if before is not None and not force:
        raise Conflict(f"branch {name!r} exists", hint=f"`mstore branch -f {name} REV` moves it")
    if before is not None and head is not None and head.branch == name and before.target != id:
        raise UsageError(f"{name!r} is the current branch", hint=f"`mstore checkout {id.short}` first")
    move = context.move("branch", f"{'moved to' if before else 'made at'} {id.short}")
    expected = before.target if before is not None else None
    with context.store.protecting(id):
        check_complete(context, id)
        with context.journaled(f"branch {name}", ref_move(f"heads/{name}", expected, id)):
            refs.move(f"heads/{name}", id, move, expected=expected, force=force)
    return id


def delete_branch(context: Context, name: str) -> CommitId:
    """Delete a branch; its commits stay until gc, and `undo` restores it.

    Raises:
        RevisionNotFound: there is none.
        UsageError: HEAD points to it.
    """
    head = context.head
    if head is not None and head.branch == name:
        raise UsageError(f"{name!r} is the current branch", hint="checkout another one first")
    return delete_ref(context, "heads", name)


def rename_branch(context: Context, old: str, new: str) -> None:
    """Give a branch another name; HEAD follows.

    Raises:
        RevisionNotFound: there is no such branch.
        Conflict: the new name is taken.
    """
    workspace = context.workspace
    if workspace is None or workspace.head.branch != old:
        rename_ref(context, "heads", old, new)
        return
    with context.prepare_head(Head(branch=new)) as move_head:
        rename_ref(
            context,
            "heads",
            old,
            new,
            follow=move_head,
            stay=lambda: context.set_head(Head(branch=old)),
        )
