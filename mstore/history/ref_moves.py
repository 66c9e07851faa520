"""Deleting and renaming a ref, for branches and tags alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mstore.context import Place, going_on, peeled, ref_move
from mstore.errors import Conflict, Corrupt, MStoreError, NotFound, RevisionNotFound, Unconfirmed
from mstore.store import check_ref_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from mstore.objects import CommitId
    from mstore.store import Move, Refs


def delete_ref(place: Place, namespace: str, name: str) -> CommitId:
    """Delete a branch or a tag; gives the commit that it had. Raises RevisionNotFound."""
    value = place.store.refs.read(f"{namespace}/{check_ref_name(name)}")
    if value is None:
        raise RevisionNotFound(name)
    id = peeled(place.store, value.target)
    kind = "branch" if namespace == "heads" else "tag"
    full, move = f"{namespace}/{name}", place.move("delete", f"was {id.short}")
    with place.remembering(f"delete {kind} {name}", ref_move(full, value.target, None)):
        place.store.refs.move(full, None, move, expected=value.target)
    return id


def rename_ref(
    place: Place,
    namespace: str,
    old: str,
    new: str,
    *,
    follow: Callable[[], None] = lambda: None,
    stay: Callable[[], None] = lambda: None,
) -> None:
    """Give a branch or a tag another name.

    Args:
        place: where.
        namespace: `heads` or `tags`.
        old, new: names without namespace.
        follow: moves HEAD along, between the two refs' moves.
        stay: takes that back where the second ref cannot be moved.

    Raises:
        RevisionNotFound: there is no such name.
        Conflict: the new name is taken.
    """
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
