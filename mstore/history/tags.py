"""tag: names for versions that stay where they are."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from mstore.context import Context, peeled, ref_move
from mstore.errors import Conflict
from mstore.history.reachability import check_complete
from mstore.history.ref_moves import delete_ref, rename_ref
from mstore.objects import CommitId, ObjectId, Tag, TagId, Time
from mstore.store import check_ref_name
from mstore.store.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class TagEntry:
    """A tag; `tag` is None for one without a message."""

    name: str
    id: CommitId
    tag: Tag | None


def tags(context: Context) -> tuple[TagEntry, ...]:
    """Return all tags, by name."""
    found = []
    for name, value in context.store.refs.all("tags").items():
        tag = context.store.tag(value.target) if isinstance(value.target, TagId) else None
        found.append(TagEntry(name=name, id=peeled(context.store, value.target), tag=tag))
    return tuple(found)


def make_tag(
    context: Context,
    name: str,
    id: CommitId,
    *,
    message: str | None = None,
    force: bool = False,
) -> CommitId:
    """Create or move a tag; with a message, by an object of its own.

    Raises:
        Conflict: it exists.
    """
    check_ref_name(name)
    before = context.store.refs.read(f"tags/{name}")
    if before is not None and not force:
        raise Conflict(f"tag {name!r} exists", hint="--force moves it")
    target: ObjectId = id
    expected = before.target if before is not None else None
    with context.store.protecting(id), contextlib.ExitStack() as stack:
        check_complete(context, id)
        if message is not None:
            tag = Tag(id, name, message, context.author, Time.now())
            transaction = stack.enter_context(Transaction(context.store, threads=1))
            transaction.put(tag)
            transaction.publish()
            target = tag.id
        move = context.move("tag", f"at {id.short}")
        with context.journaled(f"tag {name}", ref_move(f"tags/{name}", expected, target)):
            context.store.refs.move(f"tags/{name}", target, move, expected=expected)
    return id


def delete_tag(context: Context, name: str) -> CommitId:
    """Delete a tag. Raises RevisionNotFound."""
    return delete_ref(context, "tags", name)


def rename_tag(context: Context, old: str, new: str) -> None:
    """Give a tag another name. Raises RevisionNotFound, Conflict."""
    rename_ref(context, "tags", old, new)
