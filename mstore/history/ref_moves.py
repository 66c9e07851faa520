"""Deleting and renaming a ref, for branches and tags alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.context import Context, defer_unconfirmed, peeled, ref_move
from mstore.errors import Conflict, Corrupt, DurabilityUnknown, MStoreError, NotFound, RevisionNotFound
from mstore.store import check_ref_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.objects import CommitId
    from mstore.store import Move, Refs


def delete_ref(context: Context, namespace: str, name: str) -> CommitId:
    """Delete a branch or a tag; gives the commit that it had. Raises RevisionNotFound."""
    value = context.store.refs.read(f"{namespace}/{check_ref_name(name)}")
    if value is None:
        raise RevisionNotFound(name)
    id = peeled(context.store, value.target)
    kind = "branch" if namespace == "heads" else "tag"
    full, move = f"{namespace}/{name}", context.move("delete", f"was {id.short}")
    with context.journaled(f"delete {kind} {name}", ref_move(full, value.target, None)):
        context.store.refs.move(full, None, move, expected=value.target)
    return id


def rename_ref(
    context: Context,
    namespace: str,
    old: str,
    new: str,
    *,
    follow: Callable[[], None] = lambda: None,
    stay: Callable[[], None] = lambda: None,
) -> None:
    """Give a branch or a tag another name.

    Args:
        context: the store, and the workspace if there is one.
        namespace: `heads` or `tags`.
        old, new: names without namespace.
        follow: moves HEAD along, between the two refs' moves.
        stay: takes that back where the second ref cannot be moved.

    Raises:
        RevisionNotFound: there is no such name.
        Conflict: the new name is taken.
    """
    refs = context.store.refs
    value = refs.read(f"{namespace}/{check_ref_name(old)}")
    if value is None:
        raise RevisionNotFound(old)
    was = context.move("rename", f"was {old}")
    there = refs.read(f"{namespace}/{check_ref_name(new)}")
    if there is not None and not (
        there.target == value.target and _is_last(refs, f"{namespace}/{new}", was)
    ):
        raise Conflict(f"{new!r} exists")
    kind = "branch" if namespace == "heads" else "tag"
    # The new name first: a crash in between leaves both, never neither, and the next try goes on.
    unconfirmed: list[DurabilityUnknown] = []
    moves = (
        ref_move(f"{namespace}/{new}", None, value.target),
        ref_move(f"{namespace}/{old}", value.target, None),
    )
    with context.journaled(f"rename {kind} {old} to {new}", *moves):
        if there is None:
            with defer_unconfirmed(unconfirmed):
                refs.move(f"{namespace}/{new}", value.target, was, expected=None)
        gone = context.move("rename", f"is now {new}")
        try:
            with defer_unconfirmed(unconfirmed):
                follow()
            with defer_unconfirmed(unconfirmed):
                refs.move(f"{namespace}/{old}", None, gone, expected=value.target)
        except MStoreError as error:
            back = context.move("rename", f"of {old} failed")
            try:
                stay()
                refs.move(f"{namespace}/{new}", None, back, expected=value.target)
            except MStoreError:
                both = f"both names exist now: {old!r} and {new!r}"
                error.hint = f"{both}; run the same command again to finish"
            raise
    if unconfirmed:
        raise unconfirmed[0]


def _is_last(refs: Refs, name: str, move: Move) -> bool:
    """Return whether the last move of a ref was one like this, made here."""
    try:
        last = refs.log(name)[0].move
    except (Corrupt, NotFound):
        return False
    mine = (move.action, move.message, move.workspace)
    return (last.action, last.message, last.workspace) == mine
